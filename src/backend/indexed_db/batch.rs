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
    /// No row, and so much of what will be a payload.
    Draft(u64),
    /// A row, without its id, and how much of the payload there is in segments.
    Row(Vec<u8>, u64),
    /// A row with all of its payload behind it, or in a pack, which is so long.
    Whole(u64),
    /// Something that does not say what was written, and how much of a payload there is, as far as that can be told.
    Damaged(u64),
}

impl Stored {
    /// How many bytes of its payload are stored.
    pub(super) fn available(&self) -> u64 {
        match self {
            Self::Nothing | Self::Draft(_) => 0,
            Self::Row(_, available) | Self::Whole(available) | Self::Damaged(available) => *available,
        }
    }

    pub(super) fn is_there(&self) -> bool {
        !matches!(self, Self::Nothing | Self::Draft(_))
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
    /// How much of a draft there is once the batch is written.
    drafted: u64,
    /// Whether the segments that are stored go away.
    pub(super) cleared: bool,
    /// The segments that are written, and where they begin.
    pub(super) segments: Vec<(u64, &'a [u8])>,
}

impl<'a> Effect<'a> {
    fn on(stored: Stored) -> Self {
        let next = match stored {
            Stored::Row(_, available) | Stored::Whole(available) => Next::Kept(available),
            Stored::Nothing | Stored::Draft(_) | Stored::Damaged(_) => Next::Nothing,
        };
        let drafted = if let Stored::Draft(drafted) = stored { drafted } else { 0 };
        Self { stored, next, drafted, cleared: false, segments: Vec::new() }
    }

    fn put(&mut self, entry: &'a StoredEntry) {
        if matches!(self.next, Next::Nothing) {
            self.next = Next::New(entry, 0);
            self.cleared |= self.stored.may_have_segments();
        }
    }

    fn remove(&mut self) {
        self.next = Next::Nothing;
        self.drafted = 0;
        // Whether there is a draft is not known here.
        self.cleared |= self.stored.may_have_segments() || !self.stored.is_there();
        self.segments.clear();
    }

    fn extend(&mut self, offset: u64, bytes: &'a [u8]) -> Result<(), StorageError> {
        let is_whole = matches!((&self.next, &self.stored), (Next::Kept(_), Stored::Whole(_)));
        let available = match &mut self.next {
            Next::Kept(available) | Next::New(_, available) => available,
            Next::Nothing => return Err(StorageError::Misfit("a payload without its entry")),
        };
        let before = *available;
        append(&mut self.segments, available, offset, bytes)?;
        if is_whole && *available > before { Err(StorageError::Misfit("more than a whole payload")) } else { Ok(()) }
    }

    fn draft(&mut self, offset: u64, bytes: &'a [u8]) -> Result<(), StorageError> {
        if self.is_there() || self.stored.is_there() {
            return Err(StorageError::Misfit("a draft for an entry that is there"));
        }
        append(&mut self.segments, &mut self.drafted, offset, bytes)
    }

    fn adopt(&mut self, length: u64) -> Result<(), StorageError> {
        match &mut self.next {
            Next::Nothing => Err(StorageError::Misfit("a draft without its entry")),
            Next::Kept(available) | Next::New(_, available) if *available == length => Ok(()),
            Next::New(_, available @ 0) if self.drafted == length => {
                (*available, self.drafted) = (length, 0);
                Ok(())
            }
            Next::Kept(_) | Next::New(..) => Err(StorageError::Misfit("a draft that is not all there")),
        }
    }

    /// The payload of a new entry, if all of it comes with it and goes behind the row.
    pub(super) fn small_payload(&self) -> Option<Vec<u8>> {
        let Next::New(entry, available) = self.next else { return None };
        if !(1..=SMALL).contains(&available) || available != entry.payload_length() {
            return None;
        }
        let payload = self.segments.iter().map(|(_, bytes)| *bytes).collect::<Vec<_>>().concat();
        // Of one that was adopted at least a part is stored already.
        Some(payload).filter(|payload| payload.len() as u64 == available)
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

/// Adds what is new of these bytes to the segments that are written behind what is here.
fn append<'a>(segments: &mut Vec<(u64, &'a [u8])>, here: &mut u64, offset: u64, bytes: &'a [u8]) -> Result<(), StorageError> {
    let known = here.checked_sub(offset).ok_or(StorageError::Misfit("a gap in a payload"))?;
    let news = bytes.get(usize::try_from(known).unwrap_or(usize::MAX)..).unwrap_or_default();
    if !news.is_empty() {
        segments.push((*here, news));
        *here += news.len() as u64;
    }
    Ok(())
}

/// Whether a change is about a draft.
pub(super) fn is_of_draft(change: &Change) -> bool {
    matches!(change, Change::Draft { .. } | Change::Adopt { .. })
}

/// The entries that must be read before a batch can be written. An entry that the batch puts is taken to be new, unless it may be there.
pub(super) fn to_read(batch: &Batch, may_be_there: impl Fn(&EntryId) -> bool) -> BTreeSet<EntryId> {
    let (mut new, mut read) = (BTreeSet::new(), BTreeSet::new());
    for change in &batch.changes {
        match change {
            Change::Put(entry) if read.contains(&entry.id()) || may_be_there(&entry.id()) => {
                read.insert(entry.id());
            }
            Change::Put(entry) => {
                new.insert(entry.id());
            }
            Change::Payload { id, .. } if new.contains(id) => {}
            Change::Remove(id) | Change::Payload { id, .. } | Change::Draft { id, .. } | Change::Adopt { id, .. } => {
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
        let Some(id) = change.entry() else { continue };
        let effect = effects.entry(id).or_insert_with(|| Effect::on(Stored::Nothing));
        match change {
            Change::Put(entry) => effect.put(entry),
            Change::Remove(_) => effect.remove(),
            Change::Payload { offset, bytes, .. } => effect.extend(*offset, bytes)?,
            Change::Draft { offset, bytes, .. } => effect.draft(*offset, bytes)?,
            Change::Adopt { length, .. } => effect.adopt(*length)?,
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
