//! Storage that lasts, on a real disk, through what the crate offers.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs,
    path::{Path as FilePath, PathBuf},
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};

use osier::backend::{Durable, Lock, OpenError};
use osier_core::{
    SessionId,
    store::{Backend, Batch, Change, Durability, Incoming, LoadCursor, Origin, ProgressId, StorageError, Store, StoredEntry, conformance},
    willow::{EntryId, SignedEntry},
};
use redb::{Database, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _, TableDefinition};
use willow25::prelude::{Entry, NamespaceId, SubspaceSecret, WriteCapability};

use crate::harness::{path, soon};

type Table = TableDefinition<'static, &'static [u8], &'static [u8]>;
const ENTRIES: Table = TableDefinition::new("entries");
const AUTHORS: Table = TableDefinition::new("authors");
const META: Table = TableDefinition::new("meta");

/// A directory that is not there yet, and not any more at the end.
pub struct Place(PathBuf);

impl Place {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("osier-storage-{}-{number}", std::process::id())))
    }

    fn file(&self) -> PathBuf {
        self.0.join("osier.redb")
    }

    fn text(&self) -> &str {
        self.0.to_str().unwrap()
    }

    pub async fn open(&self) -> Durable {
        Durable::open(self.text(), Lock::Fail).await.unwrap()
    }

    async fn why_not(&self) -> OpenError {
        Durable::open(self.text(), Lock::Fail).await.err().expect("it does not open")
    }

    /// Its files as they are now, as if the process had died.
    pub fn snapshot(&self) -> Self {
        let copy = Self::new();
        copy.copy_from(&self.0);
        copy
    }

    /// Takes over the files of a directory.
    pub fn copy_from(&self, folder: &FilePath) {
        copy_files(folder, &self.0);
    }

    pub fn copy_to(&self, folder: &FilePath) {
        copy_files(&self.0, folder);
    }

    fn bytes(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let files = fs::read_dir(&self.0).unwrap().map(|file| file.unwrap().path());
        files.map(|path| (path.strip_prefix(&self.0).unwrap().to_owned(), fs::read(&path).unwrap())).collect()
    }
}

fn copy_files(from: &FilePath, to: &FilePath) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
        let _ = fs::remove_file(&self.0);
    }
}

pub struct Author {
    secret: SubspaceSecret,
    capability: Arc<WriteCapability>,
}

impl Author {
    pub fn new(seed: u8) -> Self {
        let secret = SubspaceSecret::from_bytes(&[seed; 32]);
        let capability = WriteCapability::new_communal(NamespaceId::from_bytes(&[2; 32]), secret.corresponding_subspace_id());
        Self { secret, capability: Arc::new(capability) }
    }

    /// An entry as a store hands it to a backend, without its payload.
    pub fn entry(&self, at: &str, payload: &[u8]) -> StoredEntry {
        let entry = Entry::builder()
            .namespace_id(self.capability.granted_namespace().clone())
            .subspace_id(self.capability.receiver().clone())
            .path(path(at))
            .timestamp(1)
            .payload(payload)
            .build();
        let entry = SignedEntry::sign(entry, self.capability.clone(), &self.secret).unwrap();
        let incoming = Incoming { entry, payload: None, origin: Origin::Peer(SessionId(1)) };
        let changes = Store::new().plan(vec![incoming]).take_batch().changes;
        let [Change::Put(entry)] = &changes[..] else { panic!("one entry") };
        entry.clone()
    }
}

pub fn batch(changes: Vec<Change>, durability: Durability) -> Batch {
    Batch { changes, progress: ProgressId(1), durability, history: None }
}

pub fn bytes(id: EntryId, offset: usize, bytes: &[u8]) -> Change {
    Change::Payload { id, offset: offset as u64, bytes: bytes.to_vec() }
}

pub fn note(name: &str, value: &[u8]) -> Change {
    Change::Note { name: name.to_owned(), value: Some(value.to_vec()) }
}

pub async fn notes(backend: &Durable) -> BTreeMap<String, Vec<u8>> {
    backend.load(LoadCursor::default()).await.unwrap().notes.into_iter().collect()
}

pub fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from((i * 7 + i / 253) % 256).unwrap()).collect()
}

/// Changes a database that nobody has open.
fn tamper(place: &Place, change: impl FnOnce(&redb::WriteTransaction)) {
    let database = Database::open(place.file()).unwrap();
    let transaction = database.begin_write().unwrap();
    change(&transaction);
    transaction.commit().unwrap();
}

#[tokio::test]
async fn durable_storage_conforms() {
    let places = RefCell::new(Vec::new());
    let empty = async || {
        let place = Place::new();
        let backend = place.open().await;
        places.borrow_mut().push(place);
        backend
    };
    let reopen = async |backend: Durable| {
        backend.close().await.unwrap();
        let place = places.borrow().last().unwrap().0.clone();
        Durable::open(place.to_str().unwrap(), Lock::Fail).await.unwrap()
    };
    conformance::run(empty, reopen).await;
}

#[tokio::test]
async fn durable_storage_conforms_also_when_the_process_dies_instead_of_closing() {
    let places = RefCell::new(Vec::new());
    let empty = async || {
        let place = Place::new();
        let backend = place.open().await;
        places.borrow_mut().push(place);
        backend
    };
    let reopen = async |_: Durable| {
        let copy = places.borrow().last().unwrap().snapshot();
        let backend = copy.open().await;
        places.borrow_mut().push(copy);
        backend
    };
    conformance::run(empty, reopen).await;
}

#[tokio::test]
async fn durable_commits_of_both_kinds_are_there_when_the_process_dies() {
    let place = Place::new();
    let backend = place.open().await;
    let (author, payload) = (Author::new(1), pattern(10_000));
    for (number, durability) in [Durability::Relaxed, Durability::Strict, Durability::Relaxed].into_iter().enumerate() {
        let entry = author.entry(&number.to_string(), &payload);
        let changes = vec![Change::Put(entry.clone()), bytes(entry.id(), 0, &payload), note("last", &[number as u8])];
        backend.commit(batch(changes, durability)).await.unwrap();
        let copied = place.snapshot();
        let copy = copied.open().await;
        assert_eq!(notes(&copy).await["last"], [number as u8]);
        assert_eq!(copy.read_payload(&entry.id(), 0, u64::MAX).await.unwrap(), payload);
        assert_eq!(copy.usage().await.unwrap().entries, number as u64 + 1);
    }
}

#[tokio::test]
async fn durable_storage_has_one_owner() {
    let place = Place::new();
    let first = place.open().await;
    for lock in [Lock::Fail, Lock::Steal, Lock::Wait(Duration::from_millis(50))] {
        assert_eq!(Durable::open(place.text(), lock).await.err(), Some(OpenError::AlreadyOpen), "{lock:?}");
    }
    // Who waits has it as soon as it is let go.
    let wait = Durable::open(place.text(), Lock::Wait(Duration::from_secs(60)));
    let (second, closed) = tokio::join!(soon("the storage", wait), async {
        first.commit(batch(vec![note("a", b"1")], Durability::Relaxed)).await.unwrap();
        first.close().await
    });
    closed.unwrap();
    assert_eq!(notes(&second.unwrap()).await["a"], b"1");
}

#[cfg(unix)]
#[tokio::test]
async fn durable_storage_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let backend = place.open().await;
    let mode = |path: &FilePath| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&place.0), mode(&place.file()), mode(&place.0.join("osier.log"))), (0o700, 0o600, 0o600));
    backend.close().await.unwrap();
}

#[tokio::test]
async fn durable_storage_of_a_newer_version_is_refused_and_left_as_it_is() {
    let newer = 7_u32;
    let set = |transaction: &redb::WriteTransaction| {
        transaction.open_table(META).unwrap().insert(&b"schema"[..], &newer.to_be_bytes()[..]).unwrap();
    };
    let closed = Place::new();
    closed.open().await.close().await.unwrap();
    tamper(&closed, set);
    // The same, of a process that died.
    let killed = {
        let database = Database::open(closed.file()).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.open_table(META).unwrap().insert(&b"more"[..], &b""[..]).unwrap();
        transaction.commit().unwrap();
        closed.snapshot()
    };
    // A later redb.
    let format = closed.snapshot();
    let mut file = fs::read(format.file()).unwrap();
    (file[64], file[192]) = (4, 4);
    fs::write(format.file(), file).unwrap();
    for (place, found) in [(closed, newer), (killed, newer), (format, 4)] {
        let before = place.bytes();
        assert_eq!(place.why_not().await, OpenError::NewerVersion { found });
        assert_eq!(place.bytes(), before);
    }
}

#[tokio::test]
async fn durable_storage_is_not_made_of_what_is_something_else() {
    let file = Place::new();
    fs::write(&file.0, "a file").unwrap();
    assert!(matches!(file.why_not().await, OpenError::Unavailable { .. }));
    assert_eq!(fs::read(&file.0).unwrap(), b"a file");

    let folder = Place::new();
    fs::create_dir_all(folder.file()).unwrap();
    assert!(matches!(folder.why_not().await, OpenError::Unavailable { .. }));

    let nowhere = Durable::open("/proc/osier", Lock::Fail).await.err();
    assert!(matches!(nowhere, Some(OpenError::Unavailable { .. })), "{nowhere:?}");

    let text = Place::new();
    fs::create_dir(&text.0).unwrap();
    fs::write(text.file(), "some text that is longer than a page ".repeat(200)).unwrap();
    let before = text.bytes();
    assert!(matches!(text.why_not().await, OpenError::Storage(StorageError::Corrupt(_))));
    assert_eq!(text.bytes(), before);

    let foreign = Place::new();
    fs::create_dir(&foreign.0).unwrap();
    drop(Database::create(foreign.file()).unwrap());
    tamper(&foreign, |transaction| drop(transaction.open_table::<u64, u64>(TableDefinition::new("theirs")).unwrap()));
    let before = foreign.bytes();
    assert!(matches!(foreign.why_not().await, OpenError::Unavailable { .. }));
    assert_eq!(foreign.bytes(), before);
}

#[tokio::test]
async fn durable_storage_whose_files_are_removed_is_lost_and_says_so() {
    let place = Place::new();
    let backend = place.open().await;
    backend.commit(batch(vec![note("a", b"1")], Durability::Strict)).await.unwrap();
    fs::remove_dir_all(&place.0).unwrap();
    let again = batch(vec![note("a", b"2")], Durability::Strict);
    assert!(matches!(backend.commit(again).await, Err(StorageError::Lost(_))));
    backend.close().await.unwrap();
    assert_eq!(notes(&place.open().await).await, BTreeMap::new(), "a new one");
}

#[tokio::test]
async fn durable_storage_that_is_cut_short_or_scribbled_over_is_corrupt() {
    let whole = Place::new();
    let backend = whole.open().await;
    let author = Author::new(1);
    let changes = (0..500).map(|number| Change::Put(author.entry(&number.to_string(), b"payload"))).collect();
    backend.commit(batch(changes, Durability::Strict)).await.unwrap();
    backend.close().await.unwrap();

    let cut = whole.snapshot();
    let length = fs::metadata(cut.file()).unwrap().len();
    fs::OpenOptions::new().write(true).open(cut.file()).unwrap().set_len(length / 2).unwrap();
    assert!(matches!(cut.why_not().await, OpenError::Storage(StorageError::Corrupt(_))));

    let scribbled = whole.snapshot();
    let mut file = fs::read(scribbled.file()).unwrap();
    file[4096..].fill(0xa5);
    fs::write(scribbled.file(), file).unwrap();
    assert!(matches!(scribbled.why_not().await, OpenError::Storage(StorageError::Corrupt(_))));
}

#[tokio::test]
async fn durable_damaged_rows_are_told_and_nothing_else_is_lost() {
    let place = Place::new();
    let backend = place.open().await;
    let (anna, bert) = (Author::new(1), Author::new(2));
    let payload = pattern(100);
    let entries: Vec<_> = (0..5).map(|number| anna.entry(&number.to_string(), &payload)).collect();
    let of_bert = bert.entry("of bert", &payload);
    let put = |entry: &StoredEntry| [Change::Put(entry.clone()), bytes(entry.id(), 0, &payload)];
    let changes = entries.iter().chain([&of_bert]).flat_map(put).collect();
    backend.commit(batch(changes, Durability::Strict)).await.unwrap();
    backend.close().await.unwrap();

    let (changed, cut) = (entries[1].id(), entries[3].id());
    tamper(&place, |transaction| {
        let mut rows = transaction.open_table(ENTRIES).unwrap();
        let mut row = rows.get(&changed.0[..]).unwrap().unwrap().value().to_vec();
        row[60] ^= 1;
        rows.insert(&changed.0[..], &row[..]).unwrap();
        rows.insert(&cut.0[..], &row[..20]).unwrap();
        rows.insert(&b"no id"[..], &row[..]).unwrap();
        // The record of Bert, told from that of Anna by the one row that names it.
        let of_bert = rows.get(&of_bert.id().0[..]).unwrap().unwrap().value()[1..33].to_vec();
        transaction.open_table(AUTHORS).unwrap().insert(&of_bert[..], &b"scribbled"[..]).unwrap();
    });
    let backend = place.open().await;
    let chunk = backend.load(LoadCursor::default()).await.unwrap();
    let mut damaged = vec![changed, cut, of_bert.id()];
    damaged.sort();
    assert_eq!(chunk.damaged, damaged);
    let mut whole: Vec<_> = [0, 2, 4].map(|number| (entries[number].id(), 100)).to_vec();
    whole.sort();
    assert_eq!(chunk.entries.iter().map(|(entry, available)| (entry.id(), *available)).collect::<Vec<_>>(), whole);

    // They can be removed, or put anew at once, and come back whole.
    let remove = damaged.iter().filter(|id| **id != cut).map(|id| Change::Remove(*id)).collect();
    backend.commit(batch(remove, Durability::Strict)).await.unwrap();
    assert_eq!(backend.usage().await.unwrap().payload_bytes, 400);
    let again = [&entries[1], &entries[3], &of_bert].into_iter().flat_map(put).collect();
    backend.commit(batch(again, Durability::Strict)).await.unwrap();
    backend.close().await.unwrap();
    let backend = place.open().await;
    let chunk = backend.load(LoadCursor::default()).await.unwrap();
    assert_eq!((chunk.entries.len(), chunk.damaged.len()), (6, 0));
    assert_eq!(backend.read_payload(&of_bert.id(), 0, 1000).await.unwrap(), payload);
    assert_eq!(backend.usage().await.unwrap().payload_bytes, 600);
}

#[tokio::test]
async fn durable_a_commit_that_nobody_waits_for_any_more_comes_whole_and_before_the_next() {
    let place = Place::new();
    let backend = place.open().await;
    let mut given_up = 0;
    for number in 0..50_u8 {
        let changes = |value: u8| vec![note("one", &[value]), note("other", &[value])];
        {
            let mut commit = std::pin::pin!(backend.commit(batch(changes(number), Durability::Strict)));
            let polled = std::future::poll_fn(|context| std::task::Poll::Ready(commit.as_mut().poll(context))).await;
            // The disk may have been faster, now and then.
            given_up += usize::from(polled.is_pending());
        }
        let found = notes(&backend).await;
        assert!(
            found.get("one") == found.get("other") && found.get("one").is_none_or(|value| value[0] == number || value[0] == number - 1)
        );
        backend.commit(batch(changes(number), Durability::Relaxed)).await.unwrap();
        assert_eq!(notes(&backend).await["one"], [number]);
    }
    assert!(given_up > 0);
}

#[tokio::test]
async fn durable_payloads_come_in_pieces_of_any_size_and_are_read_from_anywhere() {
    let place = Place::new();
    let backend = place.open().await;
    let payload = pattern(1_500_000);
    let entry = Author::new(1).entry("large", &payload);
    backend.commit(batch(vec![Change::Put(entry.clone())], Durability::Relaxed)).await.unwrap();
    let mut at = 0;
    for (number, size) in [1, 3968, 3969, 4096, 65_536, 100_000, 262_144, 262_017, 700_000].into_iter().cycle().enumerate() {
        let end = (at + size).min(payload.len());
        // Each piece brings something that is there already.
        let from = at.saturating_sub(number % 3);
        backend.commit(batch(vec![bytes(entry.id(), from, &payload[from..end])], Durability::Relaxed)).await.unwrap();
        at = end;
        if at == payload.len() {
            break;
        }
    }
    for place in [place.snapshot(), place] {
        backend.close().await.unwrap();
        let backend = place.open().await;
        for (from, length) in [(0, 1_500_000), (1, 1), (3967, 2), (131_071, 262_145), (1_499_999, 5), (1_500_000, 1), (700_001, 0)] {
            let expected = &payload[from..payload.len().min(from + length)];
            assert!(backend.read_payload(&entry.id(), from as u64, length as u64).await.unwrap() == expected, "{from} {length}");
        }
        assert_eq!(backend.usage().await.unwrap().payload_bytes, 1_500_000);
        backend.close().await.unwrap();
    }
}

#[tokio::test]
async fn durable_payloads_take_little_more_room_than_they_are_long() {
    let place = Place::new();
    let backend = place.open().await;
    let payload = pattern(16 << 20);
    let entry = Author::new(1).entry("large", &payload);
    backend.commit(batch(vec![Change::Put(entry.clone())], Durability::Relaxed)).await.unwrap();
    for (number, piece) in payload.chunks(256 * 1024).enumerate() {
        backend.commit(batch(vec![bytes(entry.id(), number * 256 * 1024, piece)], Durability::Relaxed)).await.unwrap();
    }
    backend.close().await.unwrap();
    let length = fs::metadata(place.file()).unwrap().len();
    assert!(length < 21 << 20, "{length}");
}

#[tokio::test]
async fn durable_storage_shrinks_and_forgets_authors_without_entries() {
    let place = Place::new();
    let backend = place.open().await;
    let (anna, bert) = (Author::new(1), Author::new(2));
    let payload = pattern(1_000_000);
    let (kept, gone): (Vec<_>, Vec<_>) =
        ((0..4).map(|i| anna.entry(&i.to_string(), &payload)).collect(), (0..40).map(|i| bert.entry(&i.to_string(), &payload)).collect());
    for entry in gone.iter().chain(&kept) {
        backend.commit(batch(vec![Change::Put(entry.clone()), bytes(entry.id(), 0, &payload)], Durability::Relaxed)).await.unwrap();
    }
    let remove = gone.iter().map(|entry| Change::Remove(entry.id())).collect();
    backend.commit(batch(remove, Durability::Strict)).await.unwrap();
    // As an open storage does when it is asked, and a closing one by itself.
    let closing = place.snapshot();
    assert_eq!(backend.compact().await, Ok(true));
    let length = |place: &Place| fs::metadata(place.file()).unwrap().len();
    assert!(length(&place) < 8_000_000, "{}", length(&place));
    // Bert may come back.
    backend.commit(batch(vec![Change::Put(gone[0].clone())], Durability::Strict)).await.unwrap();
    backend.close().await.unwrap();
    let backend = place.open().await;
    assert_eq!(backend.load(LoadCursor::default()).await.unwrap().entries.len(), 5);
    assert!(backend.read_payload(&kept[3].id(), 0, u64::MAX).await.unwrap() == payload);
    backend.close().await.unwrap();
    assert_eq!(backend.compact().await, Err(StorageError::Closed));

    assert!(length(&closing) > 20_000_000, "{}", length(&closing));
    closing.open().await.close().await.unwrap();
    assert!(length(&closing) < 8_000_000, "{}", length(&closing));
    let database = Database::open(closing.file()).unwrap();
    assert_eq!(database.begin_read().unwrap().open_table(AUTHORS).unwrap().len().unwrap(), 1);
}
