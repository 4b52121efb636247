#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod grants;
mod holding;
mod interests;
mod sharing;
mod snapshot;
mod ticket;

use willow25::entry::{NamespaceId, SubspaceId};
use willow25::paths::Path;

use super::*;

/// A source of "random" secrets, different for each seed.
fn random(seed: u8) -> impl FnMut() -> [u8; 32] {
    let mut count = 0_u64;
    move || {
        count += 1;
        *blake3::hash(&[&[seed][..], &count.to_be_bytes()].concat()).as_bytes()
    }
}

fn path(components: &[&str]) -> Path {
    let components: Vec<&[u8]> = components.iter().map(|component| component.as_bytes()).collect();
    Path::from_slices(&components).unwrap()
}

/// A wallet with one user.
fn wallet(seed: u8) -> (Wallet, SubspaceId) {
    let mut wallet = Wallet::new();
    let user = wallet.create_user([seed; 32]);
    (wallet, user)
}

/// A wallet with one user who made one namespace.
fn maker(seed: u8, kind: NamespaceKind) -> (Wallet, SubspaceId, NamespaceId) {
    let (mut wallet, user) = wallet(seed);
    let namespace = wallet.create_namespace(kind, &user, random(seed)).unwrap();
    (wallet, user, namespace)
}

fn request(namespace: &NamespaceId, access: Access) -> ShareRequest {
    ShareRequest { namespace: namespace.clone(), access, to: None, from: None, area: None }
}
