//! How durable backends keep entries: rows, and the records of authors that rows share.
//!
//! A backend keeps a row under the id of its entry and a record under the id of its author; what is written here it stores and gives
//! back as it was. A row is 165 bytes and the key of its path, so that all rows of a store can be read when it is opened, without their
//! payloads: reading one takes a hash of its bytes, no signature and no decompression of a curve point. It must not know how bytes get
//! to a disk.
//!
//! ```text
//! row     format=1 · author 32 · progress 8 · available 8 · timestamp 8 · payload length 8 · payload digest 32 · signature 64 · key · check 4
//! author  format=1 · subspace 32 · write capability (absolute)
//! ```
//! Numbers are big-endian. `check` is the beginning of BLAKE3 over the entry's id and the row without it; an author's id is BLAKE3 of
//! the record. A row or record that does not say what it said is damage, whatever the cause, and never taken for an entry.

use std::{collections::BTreeMap, sync::Arc};

use willow25::prelude::{NamespaceId, WriteCapability};

use super::{
    backend::StorageError,
    events::ProgressId,
    row::{Row, StoredEntry, Subspace},
};
use crate::willow::{CapCache, EntryId, KeyCache, Reader, Writer, cap_cache::encode_write_capability};

/// The format of rows and records that this code writes, and the only one so far.
const FORMAT: u8 = 1;
const AVAILABLE: std::ops::Range<usize> = 41..49;
const CHECK: usize = 4;
/// How many bytes a row has beside the key of its path.
const FIXED: usize = 1 + 32 + 8 + 8 + 8 + 8 + 32 + 64 + CHECK;

/// Names what the entries of one author in one namespace, by one capability, share.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AuthorId(pub [u8; 32]);

/// A row or record that does not say what was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a damaged row: {0}")]
pub struct Damaged(pub &'static str);

impl From<Damaged> for StorageError {
    fn from(damaged: Damaged) -> Self {
        Self::Corrupt(damaged.to_string())
    }
}

struct Author {
    subspace: Arc<Subspace>,
    capability: Arc<WriteCapability>,
    record: Vec<u8>,
    kept: bool,
}

/// Writes and reads rows, and knows which authors' records are kept. One for each open storage.
///
/// Before the first row with an author is kept, [`RowCodec::unkept`] gives the record to keep with it, in the same transaction; once that
/// is complete, [`RowCodec::keep`] says so. On opening, all records are learned before the rows are read.
#[derive(Default)]
pub struct RowCodec {
    authors: BTreeMap<AuthorId, Author>,
    shared: SharedAuthors,
    /// The author of the last row that was written; most rows have that of the row before.
    last: Option<AuthorId>,
}

impl RowCodec {
    /// Knows no author yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The author of an entry.
    pub fn author(&mut self, entry: &StoredEntry) -> AuthorId {
        let is_of =
            |author: &Author| Arc::ptr_eq(&author.capability, entry.capability()) && author.subspace.bytes() == entry.subspace_bytes();
        if let Some(last) = self.last.filter(|last| self.authors.get(last).is_some_and(is_of)) {
            return last;
        }
        let mut writer = Writer::with_capacity(256);
        writer.u8(FORMAT);
        write_author(&mut writer, entry);
        let record = writer.into_bytes();
        let id = AuthorId(*blake3::hash(&record).as_bytes());
        let (subspace, capability) = (entry.subspace().clone(), entry.capability().clone());
        let author = self.authors.entry(id).or_insert_with(|| Author { subspace, capability, record, kept: false });
        // The shared values may have been made anew since the last time.
        author.capability = entry.capability().clone();
        self.last = Some(id);
        id
    }

    /// The record of an author that is not kept yet.
    #[must_use]
    pub fn unkept(&self, author: &AuthorId) -> Option<&[u8]> {
        self.authors.get(author).filter(|author| !author.kept).map(|author| author.record.as_slice())
    }

    /// The record of an author is kept now.
    pub fn keep(&mut self, author: &AuthorId) {
        if let Some(author) = self.authors.get_mut(author) {
            author.kept = true;
            author.record = Vec::new();
        }
    }

    /// The record of an author is not kept any more, because no row names it.
    pub fn forget(&mut self, author: &AuthorId) {
        self.authors.remove(author);
        self.last = self.last.filter(|last| last != author);
    }

    /// Takes over the record of an author.
    ///
    /// # Errors
    /// If it does not say what was written; the rows with this author are damaged then, too.
    pub fn learn(&mut self, id: AuthorId, record: &[u8]) -> Result<(), Damaged> {
        if *blake3::hash(record).as_bytes() != id.0 {
            return Err(Damaged("the id of an author"));
        }
        let mut reader = Reader::new(record);
        let Ok(FORMAT) = reader.u8() else { return Err(Damaged("the beginning of an author's record")) };
        let (subspace, capability) = self.shared.read(&mut reader)?;
        reader.finish().map_err(|_| Damaged("the end of an author's record"))?;
        self.authors.insert(id, Author { subspace, capability, record: Vec::new(), kept: true });
        Ok(())
    }

    /// The row of an entry of which so many payload bytes are kept.
    pub fn encode(&mut self, entry: &StoredEntry, available: u64) -> Vec<u8> {
        let author = self.author(entry);
        let mut row = Vec::with_capacity(FIXED + entry.key().len());
        row.push(FORMAT);
        row.extend(author.0);
        row.extend(entry.progress().0.to_be_bytes());
        row.extend(available.to_be_bytes());
        row.extend(entry.micros().to_be_bytes());
        row.extend(entry.payload_length().to_be_bytes());
        row.extend(entry.payload_digest().as_bytes());
        row.extend(entry.signature());
        row.extend(entry.key());
        let check = check(&entry.id(), &row);
        row.extend(check);
        row
    }

    /// The entry of a row, and how many of its payload bytes are kept.
    ///
    /// # Errors
    /// If the row does not say what was written, or its author is not known.
    pub fn decode(&self, id: &EntryId, row: &[u8]) -> Result<(StoredEntry, u64), Damaged> {
        let body = verified(id, row)?;
        let mut reader = Reader::new(body);
        let short = |_| Damaged("a short row");
        reader.u8().map_err(short)?;
        let author = self.authors.get(&AuthorId(reader.array().map_err(short)?)).ok_or(Damaged("an author without a record"))?;
        let progress = u64::from_be_bytes(reader.array().map_err(short)?);
        let available = u64::from_be_bytes(reader.array().map_err(short)?);
        let timestamp = u64::from_be_bytes(reader.array().map_err(short)?);
        let payload_length = u64::from_be_bytes(reader.array().map_err(short)?);
        let payload_digest = reader.array().map_err(short)?;
        let signature = reader.array().map_err(short)?;
        if available > payload_length {
            return Err(Damaged("more payload than there is"));
        }
        let entry = StoredEntry::kept(Row {
            subspace: author.subspace.clone(),
            key: reader.rest().into(),
            timestamp,
            payload_length,
            payload_digest,
            id: *id,
            capability: author.capability.clone(),
            signature,
            progress: ProgressId(progress),
        });
        Ok((entry, available))
    }

    /// The author of a row.
    ///
    /// # Errors
    /// If it does not say what was written.
    pub fn author_of(id: &EntryId, row: &[u8]) -> Result<AuthorId, Damaged> {
        let body = verified(id, row)?;
        Ok(AuthorId(body.get(1..33).and_then(|bytes| bytes.try_into().ok()).ok_or(Damaged("a short row"))?))
    }

    /// How many payload bytes of its entry a row says are kept.
    ///
    /// # Errors
    /// If it does not say what was written.
    pub fn available(id: &EntryId, row: &[u8]) -> Result<u64, Damaged> {
        let body = verified(id, row)?;
        Ok(u64::from_be_bytes(body.get(AVAILABLE).and_then(|bytes| bytes.try_into().ok()).ok_or(Damaged("a short row"))?))
    }

    /// The row with another number of payload bytes.
    ///
    /// # Errors
    /// If it does not say what was written.
    pub fn with_available(id: &EntryId, row: &[u8], available: u64) -> Result<Vec<u8>, Damaged> {
        let mut row = verified(id, row)?.to_vec();
        row.get_mut(AVAILABLE).ok_or(Damaged("a short row"))?.copy_from_slice(&available.to_be_bytes());
        let check = check(id, &row);
        row.extend(check);
        Ok(row)
    }
}

/// Subspaces and capabilities as they are read, one value of each however often it is written.
#[derive(Default)]
pub(super) struct SharedAuthors {
    subspaces: BTreeMap<([u8; 32], [u8; 32]), Arc<Subspace>>,
    namespaces: BTreeMap<[u8; 32], Arc<NamespaceId>>,
    capabilities: CapCache,
}

impl SharedAuthors {
    /// Reads what [`write_author`] writes.
    pub(super) fn read(&mut self, reader: &mut Reader<'_>) -> Result<(Arc<Subspace>, Arc<WriteCapability>), Damaged> {
        let subspace = reader.array::<32>().map_err(|_| Damaged("the subspace of an author"))?;
        let capability = self.capabilities.decode_write_capability(reader).map_err(|_| Damaged("an author's capability"))?;
        let namespace = capability.granted_namespace();
        let namespace_bytes = *namespace.as_bytes();
        let namespace = self.namespaces.entry(namespace_bytes).or_insert_with(|| Arc::new(namespace.clone())).clone();
        let keys = self.capabilities.keys();
        let subspace = self
            .subspaces
            .entry((namespace_bytes, subspace))
            .or_insert_with(|| Arc::new(Subspace { namespace, id: keys.subspace(&subspace) }));
        Ok((subspace.clone(), capability))
    }

    /// Ids met before.
    pub(super) fn keys(&mut self) -> &mut KeyCache {
        self.capabilities.keys()
    }
}

/// Writes the subspace of an entry, and its write capability in full.
pub(super) fn write_author(writer: &mut Writer, entry: &StoredEntry) {
    writer.bytes(entry.subspace_bytes());
    encode_write_capability(writer, entry.capability());
}

fn check(id: &EntryId, body: &[u8]) -> [u8; CHECK] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&id.0);
    hasher.update(body);
    let [a, b, c, d, ..] = *hasher.finalize().as_bytes();
    [a, b, c, d]
}

/// The row without its check, if that holds.
fn verified<'a>(id: &EntryId, row: &'a [u8]) -> Result<&'a [u8], Damaged> {
    if row.len() < FIXED || row.first() != Some(&FORMAT) {
        return Err(Damaged("no row of this format"));
    }
    let (body, found) = row.split_at(row.len() - CHECK);
    if check(id, body) == found { Ok(body) } else { Err(Damaged("its check does not hold")) }
}
