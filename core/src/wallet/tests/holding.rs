//! Users, namespaces, writing rights, secrets as text.

use proptest::prelude::*;

use super::*;

#[test]
fn a_namespace_is_of_the_kind_asked_for_and_its_owner_may_write() {
    for kind in [NamespaceKind::Communal, NamespaceKind::Owned] {
        for seed in 0..8 {
            let (wallet, user, namespace) = maker(seed, kind);
            assert_eq!(NamespaceKind::of(&namespace), kind);
            let owner = kind == NamespaceKind::Owned;
            assert_eq!(wallet.namespaces(), [NamespaceInfo { id: namespace.clone(), kind, access: Some(Access::Write), owner }]);
            let (capability, secret) = wallet.write_capability_for(&namespace, &user, &path(&["notes", "today"])).unwrap();
            assert_eq!(capability.receiver(), &user);
            assert_eq!(secret.corresponding_subspace_id(), user);
            assert_eq!(wallet.capabilities(Some(&namespace)).len(), 2);
            assert_eq!(wallet.read_capabilities(None).count(), 1);
        }
    }
}

#[test]
fn users_are_kept_once_and_in_order() {
    let (mut wallet, first) = wallet(1);
    let second = wallet.create_user([2; 32]);
    assert_eq!(wallet.create_user([1; 32]), first);
    assert_eq!(wallet.users().collect::<Vec<_>>(), [&first, &second]);
}

#[test]
fn a_source_that_yields_the_wrong_kind_for_ever_is_an_error() {
    let (mut wallet, user) = wallet(1);
    let results = [NamespaceKind::Communal, NamespaceKind::Owned].map(|kind| wallet.create_namespace(kind, &user, || [9; 32]));
    assert_eq!(results.iter().filter(|result| **result == Err(WalletError::Randomness)).count(), 1);
}

#[test]
fn what_is_not_here_is_named() {
    let (mut wallet, user, namespace) = maker(1, NamespaceKind::Owned);
    let (mut other, stranger, elsewhere) = maker(2, NamespaceKind::Communal);
    let anywhere = path(&["a"]);
    let no_user = WalletError::NoSuchUser(stranger.to_bytes());
    let no_namespace = WalletError::NoSuchNamespace(elsewhere.to_bytes());
    assert_eq!(wallet.write_capability_for(&namespace, &stranger, &anywhere).err(), Some(no_user));
    assert_eq!(wallet.write_capability_for(&elsewhere, &user, &anywhere).err(), Some(no_namespace));
    assert_eq!(wallet.create_namespace(NamespaceKind::Owned, &stranger, random(3)), Err(no_user));
    assert_eq!(wallet.export_user(&stranger), Err(no_user));
    assert_eq!(wallet.export_namespace(&elsewhere), Err(no_namespace));
    assert_eq!(wallet.grants(&elsewhere), Err(no_namespace));
    assert_eq!(wallet.share(&request(&elsewhere, Access::Read), random(3)), Err(no_namespace));
    let from_stranger = ShareRequest { from: Some(stranger.clone()), ..request(&namespace, Access::Read) };
    assert_eq!(wallet.share(&from_stranger, random(3)), Err(no_user));
    assert_eq!(other.export_namespace(&elsewhere), Err(WalletError::NoNamespaceSecret(elsewhere.to_bytes())));
    let second = other.create_user([7; 32]);
    let namespaces = other.namespaces();
    let communal = &namespaces[0].id;
    assert_eq!(other.write_capability_for(communal, &second, &anywhere).err(), Some(WalletError::MayNotWrite(second.to_bytes())));
    assert!(
        WalletError::NoSuchUser(stranger.to_bytes())
            .to_string()
            .ends_with(&stranger.as_bytes()[31..].iter().map(|b| format!("{b:02x}")).collect::<String>())
    );
}

#[test]
fn secrets_travel_as_text() {
    let (wallet, user, namespace) = maker(1, NamespaceKind::Owned);
    let (user_text, namespace_text) = (wallet.export_user(&user).unwrap(), wallet.export_namespace(&namespace).unwrap());
    assert!(user_text.starts_with("osieruser1-") && namespace_text.starts_with("osiernamespace1-"), "{user_text} {namespace_text}");

    let mut elsewhere = Wallet::new();
    assert_eq!(elsewhere.import_secret(&format!(" {user_text}\n"), None, random(5)), Ok(Imported::User(user.clone())));
    assert_eq!(elsewhere.import_secret(&namespace_text, None, random(5)), Ok(Imported::Namespace(namespace.clone())));
    assert_eq!(
        elsewhere.import_secret(&namespace_text, Some(&user), random(5)),
        Ok(Imported::Namespace(namespace.clone())),
        "once is enough"
    );
    assert_eq!(elsewhere.users().count(), 1);
    assert_eq!(elsewhere.capabilities(None), wallet.capabilities(None));

    let mut without_user = Wallet::new();
    without_user.import_secret(&namespace_text, None, random(5)).unwrap();
    let made = without_user.users().next().unwrap().clone();
    assert!(without_user.write_capability_for(&namespace, &made, &path(&["x"])).is_ok());
}

#[test]
fn texts_that_are_no_secrets_say_why() {
    let (wallet, user, _) = maker(1, NamespaceKind::Owned);
    let text = wallet.export_user(&user).unwrap();
    let communal_secret = (0..=255_u8)
        .map(|seed| willow25::entry::NamespaceSecret::from_bytes(&[seed; 32]))
        .find(|secret| secret.corresponding_namespace_id().is_communal())
        .unwrap();
    let cases = [
        (String::new(), SecretError::NotASecret),
        ("hello".to_owned(), SecretError::NotASecret),
        ("osieruser-".to_owned(), SecretError::NotASecret),
        (text.replace("user1", "user2"), SecretError::UnsupportedVersion(2)),
        (text.replace("user1", "user99999999999"), SecretError::UnsupportedVersion(u32::MAX)),
        (format!("{text}%"), SecretError::Malformed),
        (format!("{text}{}", "A".repeat(1000)), SecretError::Malformed),
        (text[..text.len() - 4].to_owned(), SecretError::BadChecksum),
        ("osieruser1-".to_owned(), SecretError::BadChecksum),
        (text.replace("osieruser", "osiernamespace"), SecretError::BadChecksum),
        (Secret::Namespace(communal_secret).to_text(), SecretError::Communal),
    ];
    for (text, error) in cases {
        let mut wallet = Wallet::new();
        assert_eq!(wallet.import_secret(&text, None, random(5)), Err(WalletError::Secret(error)), "{text}");
        assert_eq!(wallet.users().count(), 0);
    }
}

#[test]
fn no_secret_shows_in_debug_output() {
    let (mut wallet, user, namespace) = maker(0xab, NamespaceKind::Owned);
    let ticket = wallet.share(&request(&namespace, Access::Read), || [0xab; 32]).unwrap();
    let secret = Secret::from_text(&wallet.export_user(&user).unwrap()).unwrap();
    let shown = format!("{wallet:?}{ticket:?}{secret:?}");
    assert!(!shown.to_lowercase().contains("abab") && !shown.contains("171, 171"), "{shown}");
}

proptest! {
    #[test]
    fn any_text_is_parsed_without_panic(text in "(osieruser1-|osier1-|osiernamespace1-|)[A-Za-z0-9_-]{0,80}\\PC{0,3}") {
        prop_assert!(Secret::from_text(&text).is_err());
        prop_assert!(text.parse::<Ticket>().is_err());
    }
}
