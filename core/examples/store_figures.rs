//! Prints what the store costs with 100,000 entries: `cargo run --release -p osier-core --example store_figures`.
#![allow(clippy::unwrap_used, clippy::unreachable, unsafe_code)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use osier_core::{
    store::{BlockSums, Chunk, HistoryKey, Incoming, MemoryBackend, Origin, Plan, ProgressId, Store},
    willow::{Area, Entry, FingerprintKey, Keylike, NamespaceId, Path, Range3d, SignedEntry, SubspaceSecret, WriteCapability},
};

/// Counts the bytes that are allocated.
struct Counting;

static BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[allow(clippy::disallowed_types)] // A measurement needs a clock; the core has none.
fn timed<T>(name: &str, times: u32, mut work: impl FnMut() -> T) -> T {
    let start = std::time::Instant::now();
    (1..times).for_each(|_| drop(black_box(work())));
    let result = work();
    println!("{name:<62} {:>12.2} µs", start.elapsed().as_secs_f64() * 1e6 / f64::from(times));
    result
}

fn once<T>(name: &str, work: impl FnOnce() -> T) -> T {
    let mut work = Some(work);
    timed(name, 1, || work.take().map(|work| work())).unwrap()
}

struct Author {
    secret: SubspaceSecret,
    capability: Arc<WriteCapability>,
}

impl Author {
    fn new(namespace: &NamespaceId, seed: u8) -> Self {
        let secret = SubspaceSecret::from_bytes(&[seed; 32]);
        let capability = Arc::new(WriteCapability::new_communal(namespace.clone(), secret.corresponding_subspace_id()));
        Self { secret, capability }
    }

    /// Entry `i` of a tree of folders with a hundred entries each, in a scattered order.
    fn entry(&self, i: u32, time: u64) -> Incoming {
        let place = i.wrapping_mul(0x9e37_79b1) % 1_000_003;
        let (folder, name) = (format!("folder {}", place % 1000), format!("entry number {place}"));
        let path = Path::from_slices(&[b"notes", folder.as_bytes(), name.as_bytes()]).unwrap();
        let entry = Entry::builder()
            .namespace_id(self.capability.granted_namespace().clone())
            .subspace_id(self.capability.receiver().clone())
            .path(path)
            .timestamp(time)
            .payload(b"payload")
            .build();
        let entry = SignedEntry::sign(entry, self.capability.clone(), &self.secret).unwrap();
        Incoming { entry, payload: None, origin: Origin::Import }
    }
}

/// What the record of the history adds to a plan, and what reading it costs.
fn record_figures(incoming: &[Incoming], namespace: &NamespaceId) {
    let single = || vec![incoming[7].clone()];
    for (name, history) in [("without", None), ("with", Some(HistoryKey(0)))] {
        let mut store = Store::new();
        store.restore(Chunk { history, ..Chunk::default() });
        let batches: Vec<_> = (0..20).map(|_| incoming.to_vec()).collect();
        let mut batches = batches.into_iter();
        timed(&format!("plan of 5,000 entries, in order, {name} a record"), 20, || batches.next().map(|batch| store.plan(batch)));
        timed(&format!("plan of one entry, {name} a record"), 20_000, || Some(store.plan(single())));
        let bytes = |plan: &mut Plan| plan.take_batch().history.map_or(0, |record| record.bytes.len());
        println!("record: {} bytes of 5,000, {} of one", bytes(&mut store.plan(incoming.to_vec())), bytes(&mut store.plan(single())));
    }
    for size in [1, 100] {
        let (mut store, backend) = (Store::new(), MemoryBackend::new());
        for part in incoming.chunks(size) {
            let plan = store.plan(part.to_vec());
            ready(store.commit(&backend, plan)).unwrap();
        }
        let (mut store, _) = ready(Store::open(&backend)).unwrap();
        let mut reader = store.history_reader(ProgressId(0)).unwrap();
        once(&format!("reading a history of 5,000 changes in batches of {size}"), || ready(reader.read(&backend))).unwrap();
        once("taking it over", || store.restore_history(reader));
        store.subscribe(namespace, &Area::full(), Some(ProgressId(0))).unwrap();
    }
}

fn ready<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(result) => result,
        std::task::Poll::Pending => unreachable!("a future of the core waits for something"),
    }
}

fn main() {
    let namespace = NamespaceId::from_bytes(&[2; 32]);
    let authors: Vec<_> = (1..=10).map(|seed| Author::new(&namespace, seed)).collect();
    let mut fresh: Vec<_> = (0..5000).map(|i| authors[0].entry(i, 1)).collect();
    fresh.sort_by(|a, b| a.entry.entry.path().cmp(b.entry.entry.path()));
    for name in ["plan of 5,000 entries of one author, in order, into nothing", "the same again"] {
        let incoming = fresh.clone();
        drop(once(name, || Store::new().plan(incoming)));
    }

    let entry = |i: u32| authors[i as usize % authors.len()].entry(i, u64::from(i));
    let mut store = Store::new();

    let before = BYTES.load(Relaxed);
    for batch in 0..19 {
        let incoming: Vec<_> = (batch * 5000..(batch + 1) * 5000).map(entry).collect();
        let name = format!("plan and apply of 5,000 entries, scattered, into {}", store.len());
        let plan = once(&name, || store.plan(incoming));
        once("", || store.apply(plan)).unwrap();
    }
    let last: Vec<_> = (95_000..100_000).map(entry).collect();
    let again = last.clone();
    let plan = once("plan of 5,000 entries, scattered, into 95,000", || store.plan(last));
    once("apply of these", || store.apply(plan)).unwrap();
    assert!(once("plan of 5,000 that are here already", || store.plan(again)).is_empty());
    println!("{} entries, paths of some 40 bytes", store.len());
    let per_entry = (BYTES.load(Relaxed) - before) as f64 / store.len() as f64;
    println!("memory for an entry, with the history: {per_entry:.0} bytes with pointers of {}", size_of::<usize>());

    let singles: Vec<_> = (100_000..101_000).map(entry).collect();
    let mut singles = singles.into_iter();
    timed("one insert, plan and apply", 1000, || {
        let plan = store.plan(singles.next().into_iter().collect());
        store.apply(plan).unwrap();
    });
    timed("one signature and entry id, for comparison", 1000, || entry(7));
    record_figures(&fresh, authors[0].capability.granted_namespace());

    let full = Range3d::full();
    let parts = timed("split of all into 8", 100, || store.split(&namespace, &full, 8));
    let folder = Area::new(None, Path::from_slices(&[b"notes", b"folder 77"]).unwrap(), osier_core::willow::TimeRange::full());
    timed("count of a part", 1000, || store.count(&namespace, &parts[3]));
    timed("size of a part", 1000, || store.size(&namespace, &parts[3]));
    timed("count of a folder over ten subspaces", 1000, || store.count(&namespace, &folder));
    let mut sums = BlockSums::new(FingerprintKey::from_session_secret(&[7; 32]));
    timed("summary of all, nothing cached", 1, || store.summary(&namespace, &full, &mut sums));
    timed("summary of all, cached", 1000, || store.summary(&namespace, &full, &mut sums));
    timed("summary of a part, cached", 1000, || store.summary(&namespace, &parts[3], &mut sums));
    timed("listing of all", 1, || store.entries(&namespace, &full).map(|entry| entry.available()).sum::<u64>());
}
