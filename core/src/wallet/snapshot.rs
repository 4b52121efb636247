//! A wallet as bytes, for a durable backend. They hold every secret.
//!
//! Version 1: `version(1)`, then five lists, each a c64 count and its items: users (secret), namespaces (id, flag,
//! [secret]), capabilities to read, capabilities to write, grants given (namespace, access and link flags, by, to, area), keys of links.

use std::collections::BTreeSet;

use willow25::entry::{NamespaceSecret, SubspaceSecret};
use willow25::groupings::Area;

use super::grants::{Grant, Grantor};
use super::state::Namespace;
use super::{Access, Wallet};
use crate::willow::area_codec;
use crate::willow::cap_cache::{self, CapCache};
use crate::willow::codec::{self, DecodeError, Reader, Writer};

const VERSION: u8 = 1;
const WRITE: u8 = 7;
const LINK: u8 = 6;

/// Why stored bytes are no wallet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SnapshotError {
    /// They come from another version of the software.
    #[error("the stored wallet has version {0}, only version {VERSION} is supported")]
    UnsupportedVersion(u8),
    /// They are damaged.
    #[error("the stored wallet cannot be read: {0}")]
    Undecodable(#[from] DecodeError),
}

impl Wallet {
    /// Everything, secrets included.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(VERSION);
        w.c64_standalone(self.users.len() as u64);
        for user in &self.users {
            w.bytes(user.secret.as_bytes());
        }
        w.c64_standalone(self.namespaces.len() as u64);
        for namespace in &self.namespaces {
            w.bytes(namespace.id.as_bytes());
            w.u8(u8::from(namespace.secret.is_some()));
            if let Some(secret) = &namespace.secret {
                w.bytes(secret.as_bytes());
            }
        }
        w.c64_standalone(self.read.len() as u64);
        for capability in &self.read {
            cap_cache::encode_read_capability_absolute(&mut w, capability);
        }
        w.c64_standalone(self.write.len() as u64);
        for capability in &self.write {
            cap_cache::encode_write_capability(&mut w, capability);
        }
        let given = self.given.iter().filter_map(|grant| match &grant.by {
            Grantor::User(by) => Some((grant, by)),
            Grantor::Namespace => None,
        });
        w.c64_standalone(given.clone().count() as u64);
        for (grant, by) in given {
            w.bytes(grant.namespace.as_bytes());
            w.u8(codec::flag(WRITE, grant.access == Access::Write) | codec::flag(LINK, grant.link));
            w.bytes(by.as_bytes());
            w.bytes(grant.to.as_bytes());
            area_codec::encode_area_in_area(&mut w, &grant.area, &Area::full());
        }
        w.c64_standalone(self.links.len() as u64);
        for link in &self.links {
            w.bytes(link.as_bytes());
        }
        w.into_bytes()
    }

    /// The inverse of [`to_bytes`](Self::to_bytes). Capabilities are verified again.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let mut r = Reader::new(bytes);
        match r.u8()? {
            VERSION => {}
            other => return Err(SnapshotError::UnsupportedVersion(other)),
        }
        let mut wallet = Self::new();
        let mut cache = CapCache::new();
        // A list ends early where the bytes do, so a damaged count costs nothing.
        for _ in 0..r.c64_standalone()? {
            wallet.add_user(SubspaceSecret::from_bytes(&r.array()?));
        }
        for _ in 0..r.c64_standalone()? {
            let id = cache.keys().namespace(&r.array()?);
            let secret = match r.u8()? {
                0 => None,
                _ => Some(NamespaceSecret::from_bytes(&r.array()?)),
            };
            wallet.namespaces.push(Namespace { id, secret });
        }
        for _ in 0..r.c64_standalone()? {
            wallet.read.push(cache.decode_read_capability(&mut r)?);
        }
        for _ in 0..r.c64_standalone()? {
            wallet.write.push(cache.decode_write_capability(&mut r)?);
        }
        for _ in 0..r.c64_standalone()? {
            wallet.given.push(decode_grant(&mut r, &mut cache)?);
        }
        let mut links = BTreeSet::new();
        for _ in 0..r.c64_standalone()? {
            links.insert(cache.keys().subspace(&r.array()?));
        }
        wallet.links = links;
        r.finish()?;
        Ok(wallet)
    }
}

fn decode_grant(r: &mut Reader<'_>, cache: &mut CapCache) -> Result<Grant, DecodeError> {
    let namespace = cache.keys().namespace(&r.array()?);
    let flags = r.u8()?;
    let by = Grantor::User(cache.keys().subspace(&r.array()?));
    let to = cache.keys().subspace(&r.array()?);
    let area = area_codec::decode_area_in_area(r, &Area::full(), cache.keys())?;
    let access = if codec::is_set(flags, WRITE) { Access::Write } else { Access::Read };
    Ok(Grant { namespace, access, area, by, to, link: codec::is_set(flags, LINK) })
}
