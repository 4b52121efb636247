//! Batches as a store makes them, of everything that happens to entries, and what is stored after each.

use std::sync::Arc;

use osier_core::{
    SessionId,
    store::{Backend as _, Batch, Change, Durability, Incoming, MemoryBackend, Origin, Plan, Store},
    willow::SignedEntry,
};
use willow25::{
    groupings::TimeRange,
    prelude::{Area, Entry, NamespaceId, Path, SubspaceSecret, WriteCapability},
};

use super::Contents;

/// Batches, each with what is stored after it.
pub(super) struct Script {
    pub(super) steps: Vec<(Batch, Contents)>,
}

impl Script {
    /// What is stored after so many steps.
    pub(super) fn after(&self, steps: usize) -> Contents {
        steps.checked_sub(1).map_or_else(Contents::default, |last| self.steps[last].1.clone())
    }
}

pub(super) struct Author {
    secret: SubspaceSecret,
    capability: Arc<WriteCapability>,
}

impl Author {
    pub(super) fn new(seed: u8) -> Self {
        let secret = SubspaceSecret::from_bytes(&[seed; 32]);
        let capability = WriteCapability::new_communal(namespace(), secret.corresponding_subspace_id());
        Self { secret, capability: Arc::new(capability) }
    }

    pub(super) fn writes(&self, path: &Path, time: u64, payload: &[u8], origin: Origin) -> Incoming {
        let entry = Entry::builder()
            .namespace_id(namespace())
            .subspace_id(self.capability.receiver().clone())
            .path(path.clone())
            .timestamp(time)
            .payload(payload)
            .build();
        let entry = SignedEntry::sign(entry, self.capability.clone(), &self.secret).unwrap();
        Incoming { entry, payload: (origin == Origin::Local).then(|| payload.to_vec()), origin }
    }
}

pub(super) fn namespace() -> NamespaceId {
    NamespaceId::from_bytes(&[2; 32])
}

pub(super) fn path(text: &str) -> Path {
    Path::from_slices(&text.split('/').map(str::as_bytes).collect::<Vec<_>>()).unwrap()
}

pub(super) fn payload(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from((i * 31 + i / 251 + seed) % 256).unwrap()).collect()
}

struct Writing {
    store: Store,
    steps: Vec<(Batch, Contents)>,
    model: MemoryBackend,
    runtime: tokio::runtime::Runtime,
}

impl Writing {
    fn plan(&mut self, plan: impl FnOnce(&Store) -> Plan) {
        let mut plan = plan(&self.store);
        let batch = plan.take_batch();
        self.store.apply(plan).unwrap();
        self.step(batch);
    }

    fn step(&mut self, batch: Batch) {
        let contents = self.runtime.block_on(async {
            self.model.commit(batch.clone()).await.unwrap();
            Contents::of(&self.model).await
        });
        self.steps.push((batch, contents));
    }
}

/// A script of some rounds, with some batches in each: written here, received, payloads in pieces, notes, pruning, forgetting.
pub(super) fn script(rounds: usize) -> Script {
    let (anna, bert) = (Author::new(1), Author::new(2));
    let peer = Origin::Peer(SessionId(1));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    // So few changes are kept that the history is trimmed, too.
    let mut writing = Writing { store: Store::with_history(12), steps: Vec::new(), model: MemoryBackend::new(), runtime };
    for round in 0..rounds {
        let (time, here, there) = (round as u64 + 1, path(&format!("here/{round}/deep")), path(&format!("there/{round}")));
        writing.plan(|store| store.plan(vec![anna.writes(&here, time, &payload(100 + 3000 * (round % 3), round), Origin::Local)]));
        let (large, small) = (payload(9000, round), payload(50, round));
        let sent = bert.writes(&there, time, &large, peer);
        let id = sent.entry.id;
        writing.plan(|store| store.plan(vec![sent, bert.writes(&path(&format!("small/{round}")), time, &small, peer)]));
        for (from, to) in [(0, 4000), (4000, 9000)] {
            let of = (&namespace(), bert.capability.receiver(), &there);
            writing.plan(|store| store.plan_payload(of, &id, from as u64, large[from..to].to_vec(), peer));
        }
        let note = |name: &str, value| Change::Note { name: name.to_owned(), value };
        let changes =
            vec![note("setting", Some(vec![round as u8])), note(&format!("secret/{}", round % 2), (round % 3 != 0).then(|| vec![7; 32]))];
        writing.step(Batch { changes, progress: writing.store.progress(), durability: Durability::Strict, ..Batch::default() });
        if round % 3 == 2 {
            writing.plan(|store| store.plan(vec![anna.writes(&path(&format!("here/{}", round - 1)), time, b"above", Origin::Local)]));
        }
        if round % 4 == 3 {
            let area = Area::new(None, path(&format!("there/{}", round - 2)), TimeRange::full());
            writing.plan(|store| store.plan_forget(&namespace(), &area));
        }
    }
    Script { steps: writing.steps }
}
