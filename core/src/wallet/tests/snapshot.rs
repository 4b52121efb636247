//! A wallet as bytes.

use willow25::groupings::{Area, TimeRange};

use super::super::snapshot::SnapshotError;
use super::*;
use crate::willow::DecodeError;

fn full() -> Wallet {
    let (mut wallet, user, owned) = maker(1, NamespaceKind::Owned);
    wallet.create_namespace(NamespaceKind::Communal, &user, random(2)).unwrap();
    let area = Area::new(None, path(&["inbox"]), TimeRange::full());
    wallet.share(&ShareRequest { area: Some(area), ..request(&owned, Access::Read) }, random(2)).unwrap();
    wallet.share(&request(&owned, Access::Write), random(3)).unwrap();
    let (mut other, _, elsewhere) = maker(4, NamespaceKind::Owned);
    let ticket = other.share(&request(&elsewhere, Access::Write), random(5)).unwrap();
    wallet.join(&ticket, None, random(6)).unwrap();
    wallet.create_user([9; 32]);
    wallet
}

#[test]
fn a_wallet_survives_its_bytes() {
    for wallet in [Wallet::new(), full()] {
        let bytes = wallet.to_bytes();
        let back = Wallet::from_bytes(&bytes).unwrap();
        assert_eq!(back.to_bytes(), bytes);
        assert!(back.users().eq(wallet.users()));
        assert_eq!(back.namespaces(), wallet.namespaces());
        assert_eq!(back.capabilities(None), wallet.capabilities(None));
        for namespace in wallet.namespaces() {
            assert_eq!(back.grants(&namespace.id), wallet.grants(&namespace.id));
            assert_eq!(back.export_namespace(&namespace.id), wallet.export_namespace(&namespace.id));
        }
    }
}

#[test]
fn damaged_bytes_are_an_error() {
    let bytes = full().to_bytes();
    for len in 0..bytes.len() {
        assert_eq!(Wallet::from_bytes(&bytes[..len]).err(), Some(SnapshotError::Undecodable(DecodeError::Truncated)), "{len}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(Wallet::from_bytes(&longer).err(), Some(SnapshotError::Undecodable(DecodeError::TrailingBytes)));
    let mut newer = bytes;
    newer[0] = 2;
    assert_eq!(Wallet::from_bytes(&newer).err(), Some(SnapshotError::UnsupportedVersion(2)));
    let endless = [&[1][..], &[255; 9]].concat();
    assert!(Wallet::from_bytes(&endless).is_err());
}
