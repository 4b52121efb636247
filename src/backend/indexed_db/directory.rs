//! Which entries are stored, and under which keys. A database could not be asked for the pack that an entry is in; so this is known from
//! reading all of it, which opening does anyway, and remembered.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
};

use osier_core::{store::LoadCursor, willow::EntryId};

use super::value::Members;

/// See the module.
#[derive(Default)]
pub(super) struct Directory {
    /// Where each entry is.
    places: RefCell<BTreeMap<EntryId, Place>>,
    /// Whether it says all there is to say.
    complete: Cell<bool>,
    /// How far the database was read, unless `complete`.
    read: Cell<LoadCursor>,
}

/// Where an entry is: in a pack, under the key of its head, or else under its own key.
type Place = Option<Rc<EntryId>>;

impl Directory {
    /// Whether everything in the database is known.
    pub(super) fn is_complete(&self) -> bool {
        self.complete.get()
    }

    /// Takes over what was found out anew.
    pub(super) fn replace(&self, anew: Self) {
        self.places.replace(anew.places.into_inner());
        self.complete.set(anew.complete.get());
        self.read.set(anew.read.get());
    }

    /// How many entries are stored.
    pub(super) fn len(&self) -> u64 {
        self.places.borrow().len() as u64
    }

    /// Whether there is a value with this entry, damaged or not.
    pub(super) fn has(&self, id: &EntryId) -> bool {
        self.places.borrow().contains_key(id)
    }

    /// The head of the pack that an entry is in, if it is in one.
    pub(super) fn head(&self, id: &EntryId) -> Option<EntryId> {
        self.places.borrow().get(id)?.as_deref().copied()
    }

    /// What is in the values of a part of the database, which follows the last one unless it is the first.
    pub(super) fn learn(&self, from: LoadCursor, values: impl Iterator<Item = Vec<EntryId>>, next: Option<LoadCursor>) {
        if self.complete.get() || (from != self.read.get() && from != LoadCursor::default()) {
            return;
        }
        if from == LoadCursor::default() {
            self.places.borrow_mut().clear();
        }
        values.for_each(|value| self.add(&value));
        self.read.set(next.unwrap_or_default());
        self.complete.set(next.is_none());
    }

    /// The entries of one value, in the order of their ids.
    fn add(&self, stored: &[EntryId]) {
        let head = match stored {
            [head, _, ..] => Some(Rc::new(*head)),
            _ => None,
        };
        self.places.borrow_mut().extend(stored.iter().map(|id| (*id, head.clone())));
    }

    /// What a transaction that is complete has changed.
    pub(super) fn change(&self, changed: Changed) {
        let mut places = self.places.borrow_mut();
        for id in changed.gone {
            places.remove(&id);
        }
        drop(places);
        changed.values.iter().for_each(|value| self.add(value));
    }
}

/// What a transaction changes of it.
#[derive(Default)]
pub(super) struct Changed {
    /// The entries of the values that are removed or written anew.
    gone: Vec<EntryId>,
    /// Those of the values that are written.
    values: Vec<Vec<EntryId>>,
}

impl Changed {
    /// What was in a pack is there no more.
    pub(super) fn take_apart(&mut self, pack: &Members<'_>) {
        self.gone.extend(pack.iter().map(|(id, _)| *id));
    }

    /// An entry has no value of its own any more.
    pub(super) fn remove(&mut self, id: EntryId) {
        self.gone.push(id);
    }

    /// These are in one value.
    pub(super) fn put(&mut self, members: &Members<'_>) {
        self.values.push(members.iter().map(|(id, _)| *id).collect());
    }

    /// An entry has a value of its own.
    pub(super) fn put_alone(&mut self, id: EntryId) {
        self.values.push(vec![id]);
    }
}
