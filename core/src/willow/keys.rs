//! Namespace and subspace ids by their bytes, built once.
//!
//! willow25 decompresses a curve point whenever an id is made from bytes, which costs tens of microseconds; copying an id
//! is cheap. Knows nothing else.

use std::collections::BTreeMap;

use willow25::prelude::{NamespaceId, SubspaceId};

/// How many ids of each kind are kept. An id takes some 200 bytes.
const CAPACITY: usize = 2048;

/// Ids that were met before. Bounded: when full it starts anew, which only costs time.
#[derive(Clone, Debug, Default)]
pub struct KeyCache {
    namespaces: BTreeMap<[u8; 32], NamespaceId>,
    subspaces: BTreeMap<[u8; 32], SubspaceId>,
}

impl KeyCache {
    /// A cache that knows nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { namespaces: BTreeMap::new(), subspaces: BTreeMap::new() }
    }

    /// The namespace id with these bytes.
    pub fn namespace(&mut self, bytes: &[u8; 32]) -> NamespaceId {
        intern(&mut self.namespaces, bytes, NamespaceId::from_bytes)
    }

    /// The subspace id (or key of a user) with these bytes.
    pub fn subspace(&mut self, bytes: &[u8; 32]) -> SubspaceId {
        intern(&mut self.subspaces, bytes, SubspaceId::from_bytes)
    }
}

fn intern<T: Clone>(known: &mut BTreeMap<[u8; 32], T>, bytes: &[u8; 32], make: impl FnOnce(&[u8; 32]) -> T) -> T {
    if let Some(id) = known.get(bytes) {
        return id.clone();
    }
    if known.len() >= CAPACITY {
        known.clear();
    }
    let id = make(bytes);
    known.insert(*bytes, id.clone());
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_their_bytes_and_bounded() {
        let mut keys = KeyCache::new();
        for i in 0..=CAPACITY as u64 {
            let mut bytes = [7; 32];
            bytes[..8].copy_from_slice(&i.to_le_bytes());
            assert_eq!(keys.subspace(&bytes).to_bytes(), bytes);
            assert_eq!(keys.subspace(&bytes), SubspaceId::from_bytes(&bytes));
        }
        assert_eq!(keys.subspaces.len(), 1);
        assert_eq!(keys.namespace(&[3; 32]), NamespaceId::from_bytes(&[3; 32]));
    }
}
