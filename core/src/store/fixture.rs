//! Authors and entries for tests: deterministic, really signed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use willow25::prelude::{Entry, NamespaceId, Path, SubspaceId, SubspaceSecret, WriteCapability};

use super::{Incoming, Origin};
use crate::willow::SignedEntry;

/// A communal namespace.
pub fn namespace(number: u8) -> NamespaceId {
    NamespaceId::from_bytes(&[number & 0xfe; 32])
}

/// The path of these components.
pub fn path(components: &[&str]) -> Path {
    Path::from_slices(&components.iter().map(|component| component.as_bytes()).collect::<Vec<_>>()).unwrap()
}

/// Someone who writes in a communal namespace.
pub struct Author {
    secret: SubspaceSecret,
    capability: Arc<WriteCapability>,
}

impl Author {
    /// The author of a seed.
    pub fn new(namespace: &NamespaceId, seed: u8) -> Self {
        let secret = SubspaceSecret::from_bytes(&[seed; 32]);
        let capability = WriteCapability::new_communal(namespace.clone(), secret.corresponding_subspace_id());
        Self { secret, capability: Arc::new(capability) }
    }

    /// Its subspace.
    pub fn id(&self) -> &SubspaceId {
        self.capability.receiver()
    }

    /// An entry of this author.
    pub fn entry(&self, path: &Path, time: u64, payload: &[u8]) -> SignedEntry {
        let entry = Entry::builder()
            .namespace_id(self.capability.granted_namespace().clone())
            .subspace_id(self.id().clone())
            .path(path.clone())
            .timestamp(time)
            .payload(payload)
            .build();
        SignedEntry::sign(entry, self.capability.clone(), &self.secret).unwrap()
    }

    /// An entry of this author, written here, with its payload.
    pub fn writes(&self, path: &Path, time: u64, payload: &[u8]) -> Incoming {
        Incoming { entry: self.entry(path, time, payload), payload: Some(payload.to_vec()), origin: Origin::Local }
    }

    /// An entry of this author, received without its payload.
    pub fn sends(&self, path: &Path, time: u64, payload: &[u8]) -> Incoming {
        Incoming { entry: self.entry(path, time, payload), payload: None, origin: Origin::Peer(super::SessionId(1)) }
    }
}
