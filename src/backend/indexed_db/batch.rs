//! What a batch does to each entry, worked out before anything is written.

use std::collections::{BTreeMap, BTreeSet};

use osier_core::{
    store::{Batch, Change, RowCodec, StorageError, StoredEntry},
    willow::EntryId,
};

use super::value::{SMALL, Value};

/// What the database has of an entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Stored {
    Nothing,
    /// A row, without its id, and how much of the payload there is in segments.
    Row(Vec<u8>, u64),
    /// A row with all of its payload behind it, which is so long.
    Whole(u64),
    /// Something that does not say what was written, and how much of a payload there is, as far as that can be told.
    Damaged(u64),
}

impl Stored {
    /// How many bytes of its payload are stored.
    pub(super) fn available(&self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Row(_, available) | Self::Whole(available) | Self::Damaged(available) => *available,
        }
    }

    pub(super) fn is_there(&self) -> bool {
        *self != Self::Nothing
    }

    fn may_have_segments(&self) -> bool {
        !matches!(self, Self::Whole(_)) && self.available() > 0
    }
}

/// What there is of an entry once the batch is written.
pub(super) enum Next<'a> {
    Nothing,
    /// The row as it was, but for this much of the payload.
    Kept(u64),
    New(&'a StoredEntry, u64),
}

/// What a batch does to one entry.
pub(super) struct Effect<'a> {
    pub(super) stored: Stored,
    pub(super) next: Next<'a>,
    /// Whether the segments that are stored go away.
    pub(super) cleared: bool,
    /// The segments that are written, and where they begin.
    pub(super) segments: Vec<(u64, &'a [u8])>,
}

impl<'a> Effect<'a> {
    fn on(stored: Stored) -> Self {
        let next = match stored {
            Stored::Row(_, available) | Stored::Whole(available) => Next::Kept(available),
            Stored::Nothing | Stored::Damaged(_) => Next::Nothing,
        };
        Self { stored, next, cleared: false, segments: Vec::new() }
    }

    fn put(&mut self, entry: &'a StoredEntry) {
        if matches!(self.next, Next::Nothing) {
            self.next = Next::New(entry, 0);
            self.cleared |= self.stored.may_have_segments();
        }
    }

    fn remove(&mut self) {
        self.next = Next::Nothing;
        self.cleared |= self.stored.may_have_segments();
        self.segments.clear();
    }

    fn extend(&mut self, offset: u64, bytes: &'a [u8]) -> Result<(), StorageError> {
        let is_whole = matches!((&self.next, &self.stored), (Next::Kept(_), Stored::Whole(_)));
        let available = match &mut self.next {
            Next::Kept(available) | Next::New(_, available) => available,
            Next::Nothing => return Err(StorageError::Misfit("a payload without its entry")),
        };
        if offset > *available {
            return Err(StorageError::Misfit("a gap in a payload"));
        }
        let known = usize::try_from(*available - offset).unwrap_or(usize::MAX);
        let news = bytes.get(known..).unwrap_or_default();
        if !news.is_empty() {
            if is_whole {
                return Err(StorageError::Misfit("more than a whole payload"));
            }
            self.segments.push((*available, news));
            *available += news.len() as u64;
        }
        Ok(())
    }

    /// The payload of a new entry, if it is all here and goes behind the row.
    pub(super) fn small_payload(&self) -> Option<Vec<u8>> {
        match self.next {
            Next::New(entry, available) if (1..=SMALL).contains(&available) && available == entry.payload_length() => {
                Some(self.segments.iter().map(|(_, bytes)| *bytes).collect::<Vec<_>>().concat())
            }
            _ => None,
        }
    }

    /// How many bytes of its payload are stored afterwards.
    pub(super) fn available(&self) -> u64 {
        match self.next {
            Next::Nothing => 0,
            Next::Kept(available) | Next::New(_, available) => available,
        }
    }

    pub(super) fn is_there(&self) -> bool {
        !matches!(self.next, Next::Nothing)
    }
}

/// The entries that must be read before a batch can be written. An entry that the batch puts is taken to be new, unless this is `careful`.
pub(super) fn to_read(batch: &Batch, careful: bool) -> BTreeSet<EntryId> {
    let (mut new, mut read) = (BTreeSet::new(), BTreeSet::new());
    for change in &batch.changes {
        match change {
            Change::Put(entry) if careful || read.contains(&entry.id()) => {
                read.insert(entry.id());
            }
            Change::Put(entry) => {
                new.insert(entry.id());
            }
            Change::Payload { id, .. } if new.contains(id) => {}
            Change::Remove(id) | Change::Payload { id, .. } => {
                read.insert(*id);
            }
            Change::Note { .. } => {}
        }
    }
    read
}

/// What a batch does to the entries that it names; `read` says what the database has of those of [`to_read`].
pub(super) fn effects(batch: &Batch, read: BTreeMap<EntryId, Stored>) -> Result<BTreeMap<EntryId, Effect<'_>>, StorageError> {
    let mut effects: BTreeMap<EntryId, Effect<'_>> = read.into_iter().map(|(id, stored)| (id, Effect::on(stored))).collect();
    for change in &batch.changes {
        match change {
            Change::Put(entry) => effects.entry(entry.id()).or_insert_with(|| Effect::on(Stored::Nothing)).put(entry),
            Change::Remove(id) => effects.entry(*id).or_insert_with(|| Effect::on(Stored::Nothing)).remove(),
            Change::Payload { id, offset, bytes } => {
                effects.entry(*id).or_insert_with(|| Effect::on(Stored::Nothing)).extend(*offset, bytes)?;
            }
            Change::Note { .. } => {}
        }
    }
    Ok(effects)
}

/// What a value says of an entry. Segments of one that is damaged are not known here.
pub(super) fn stored(id: &EntryId, value: &[u8]) -> Stored {
    let Some(value) = Value::split(value) else { return Stored::Damaged(0) };
    match (RowCodec::available(id, value.row), value.payload) {
        (Ok(available), None) => Stored::Row(value.row.to_vec(), available),
        (Ok(available), Some(_)) => Stored::Whole(available),
        (Err(_), payload) => Stored::Damaged(payload.map_or(0, |payload| payload.len() as u64)),
    }
}
