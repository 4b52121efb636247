//! Quotas: how much of a namespace is kept here at most, whoever it comes from.
//!
//! What would exceed a quota is refused, entry by entry; what replaces as much as it brings is not. A quota that is smaller than what is here
//! removes nothing. A draft or staged bytes count once they are there. It lasts as a note.

use std::collections::BTreeMap;

use willow25::prelude::NamespaceId;

use super::{
    Store,
    backend::Change,
    events::Origin,
    index::Index,
    notes::{note_name, noted_key},
    plan::{Outcome, Plan, Planning, Quiet},
    row::Held,
};
use crate::willow::KeyCache;

/// The names of notes about quotas begin like this; the id of the namespace follows, in hexadecimal.
pub const QUOTA: &str = "quota/";

/// How much of a namespace is kept at most; `None`: whatever there is room for.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Quota {
    /// Entries.
    pub entries: Option<u64>,
    /// Bytes of payloads that are here.
    pub payload_bytes: Option<u64>,
}

impl Quota {
    /// ```text
    /// (0 or 1 · entries 8) · (0 or 1 · payload bytes 8), big-endian
    /// ```
    fn encode(self) -> Vec<u8> {
        let part = |most: Option<u64>| [&[u8::from(most.is_some())][..], &most.unwrap_or(0).to_be_bytes()].concat();
        [part(self.entries), part(self.payload_bytes)].concat()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (entries, payload_bytes) = bytes.split_at_checked(9)?;
        let part = |bytes: &[u8]| {
            let (there, most) = bytes.split_first()?;
            let most = u64::from_be_bytes(most.try_into().ok()?);
            Some((*there == 1).then_some(most))
        };
        Some(Self { entries: part(entries)?, payload_bytes: part(payload_bytes)? })
    }
}

/// How much more of a namespace there is, or less.
#[derive(Clone, Copy, Default)]
pub(super) struct Growth {
    pub(super) entries: i128,
    pub(super) bytes: i128,
}

impl Growth {
    /// By an entry with so much payload, in the place of others.
    pub(super) fn of(available: u64, pruned: &[&Held]) -> Self {
        let before: u64 = pruned.iter().map(|held| held.available).fold(0, u64::saturating_add);
        Self { entries: 1 - pruned.len() as i128, bytes: i128::from(available) - i128::from(before) }
    }
}

impl Store {
    /// What would change if this were the quota of a namespace; `None`: if it had none.
    pub fn plan_quota(&self, namespace: &NamespaceId, quota: Option<Quota>) -> Plan {
        let mut planning = Planning::new(self);
        planning.put(Change::Note { name: note_name(QUOTA, namespace.as_bytes()), value: quota.map(Quota::encode) });
        planning.quiet(Quiet::Quota { namespace: namespace.clone(), quota });
        planning.durable_for(Origin::Local);
        planning.finish(vec![Outcome::NothingNew])
    }

    /// The quota of a namespace.
    #[must_use]
    pub fn quota(&self, namespace: &NamespaceId) -> Option<Quota> {
        self.quotas.get(namespace).copied()
    }

    /// How many bytes of payloads of a namespace are here.
    #[must_use]
    pub fn stored_bytes(&self, namespace: &NamespaceId) -> u64 {
        let stored = self.index(namespace).map_or(0, |index| index.weight().stored);
        u64::try_from(stored).unwrap_or(u64::MAX)
    }

    pub(super) fn set_quota(&mut self, namespace: NamespaceId, quota: Option<Quota>) {
        match quota {
            Some(quota) => self.quotas.insert(namespace, quota),
            None => self.quotas.remove(&namespace),
        };
    }

    /// Takes the quotas out of the notes of a storage that is opened.
    pub(super) fn take_quotas(&mut self, notes: &mut BTreeMap<String, Vec<u8>>) {
        let mut keys = KeyCache::default();
        notes.retain(|name, value| {
            let Some((id, quota)) = noted_key(QUOTA, name).zip(Quota::decode(value)) else { return true };
            self.quotas.insert(keys.namespace(&id), quota);
            false
        });
    }
}

impl Planning<'_> {
    /// Whether so much of a payload may be here, of which `available` bytes are.
    pub(super) fn allows_bytes(&mut self, namespace: &NamespaceId, available: u64, end: u64) -> bool {
        self.allows(namespace, Growth { entries: 0, bytes: i128::from(end) - i128::from(available) })
    }

    /// Whether a namespace may grow by this much. If so, it is taken into account.
    pub(super) fn allows(&mut self, namespace: &NamespaceId, by: Growth) -> bool {
        let Some(quota) = self.store.quotas.get(namespace) else { return true };
        let here = || {
            let entries = self.store.index(namespace).map_or(0, Index::len);
            Growth { entries: entries.into(), bytes: self.store.stored_bytes(namespace).into() }
        };
        let grown = self.grown.entry(namespace.clone()).or_insert_with(here);
        let next = Growth { entries: grown.entries + by.entries, bytes: grown.bytes + by.bytes };
        let fits = |by: i128, next: i128, most: Option<u64>| by <= 0 || most.is_none_or(|most| next <= most.into());
        let allowed = fits(by.entries, next.entries, quota.entries) && fits(by.bytes, next.bytes, quota.payload_bytes);
        if allowed {
            *grown = next;
        }
        allowed
    }
}
