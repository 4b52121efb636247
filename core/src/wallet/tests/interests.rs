//! What a session gets.

use std::num::NonZeroU64;

use willow25::entry::SubspaceSecret;
use willow25::groupings::{Area, TimeRange};

use super::*;

fn receiver() -> SubspaceId {
    SubspaceSecret::from_bytes(&[99; 32]).corresponding_subspace_id()
}

fn areas(wallet: &Wallet, selection: &InterestSelection) -> Vec<Area> {
    let interests = wallet.for_session(&receiver(), selection);
    interests
        .iter()
        .map(|interest| {
            assert_eq!(interest.capability.receiver(), &receiver());
            interest.capability.granted_area()
        })
        .collect()
}

fn interest(namespace: &NamespaceId, area: Option<Area>) -> Interest {
    Interest { namespace: namespace.clone(), area, max_count: None, max_size: None }
}

fn under(components: &[&str]) -> Area {
    Area::new(None, path(components), TimeRange::full())
}

#[test]
fn everything_is_one_interest_for_each_namespace() {
    let (mut wallet, user, owned) = maker(1, NamespaceKind::Owned);
    let communal = wallet.create_namespace(NamespaceKind::Communal, &user, random(2)).unwrap();
    // A second user holds a part of what the first holds: no interest of its own.
    let second = wallet.create_user([5; 32]);
    let part = ShareRequest { to: Some(second), area: Some(under(&["a"])), ..request(&owned, Access::Read) };
    let ticket = wallet.share(&part, random(3)).unwrap();
    wallet.join(&ticket, None, random(3)).unwrap();
    let interests = wallet.for_session(&receiver(), &InterestSelection::All);
    let namespaces: Vec<_> = interests.iter().map(|interest| interest.capability.granted_namespace().clone()).collect();
    assert_eq!(namespaces, [owned, communal]);
    assert_eq!(areas(&wallet, &InterestSelection::All), [Area::full(), Area::new_subspace_area(user)]);
}

#[test]
fn equal_interests_of_two_users_are_one() {
    let (mut wallet, _, owned) = maker(1, NamespaceKind::Owned);
    let second = wallet.create_user([5; 32]);
    let ticket = wallet.share(&ShareRequest { to: Some(second), ..request(&owned, Access::Read) }, random(3)).unwrap();
    wallet.join(&ticket, None, random(3)).unwrap();
    assert_eq!(wallet.read_capabilities(None).count(), 2);
    assert_eq!(areas(&wallet, &InterestSelection::All), [Area::full()]);
}

#[test]
fn a_selection_restricts_and_what_nobody_may_read_is_left_out() {
    let (mut wallet, user, owned) = maker(1, NamespaceKind::Owned);
    let communal = wallet.create_namespace(NamespaceKind::Communal, &user, random(2)).unwrap();
    let (_, stranger, elsewhere) = maker(8, NamespaceKind::Owned);
    let mine = Area::new(Some(user), path(&["x"]), TimeRange::full());
    let selection = InterestSelection::Only(vec![
        interest(&owned, Some(under(&["a", "b"]))),
        interest(&owned, Some(under(&["a"]))),
        interest(&owned, Some(under(&["a"]))),
        interest(&communal, Some(under(&["x"]))),
        interest(&communal, Some(Area::new_subspace_area(stranger))),
        interest(&elsewhere, None),
    ]);
    assert_eq!(areas(&wallet, &selection), [under(&["a"]), mine]);
    assert_eq!(areas(&wallet, &InterestSelection::Only(vec![])), []);
}

#[test]
fn limits_keep_interests_apart() {
    let (wallet, _, owned) = maker(1, NamespaceKind::Owned);
    let limited = |area, count| Interest { max_count: NonZeroU64::new(count), ..interest(&owned, Some(area)) };
    let selection = InterestSelection::Only(vec![limited(under(&["a"]), 10), limited(under(&["a", "b"]), 10), limited(under(&["a"]), 10)]);
    let interests = wallet.for_session(&receiver(), &selection);
    assert_eq!(interests.len(), 2, "ten of a part are not among ten of the whole");
    assert!(interests.iter().all(|interest| interest.max_count == NonZeroU64::new(10)));
    let InterestSelection::Only(mut with_all) = selection else { panic!() };
    with_all.push(interest(&owned, None));
    assert_eq!(areas(&wallet, &InterestSelection::Only(with_all)), [Area::full()]);
}

#[test]
fn a_full_chain_still_reaches_a_session() {
    let (mut holder, _, namespace) = maker(1, NamespaceKind::Owned);
    for seed in 0..16 {
        let (mut next, user) = wallet(20 + seed);
        let ticket = holder.share(&ShareRequest { to: Some(user), ..request(&namespace, Access::Read) }, random(1)).unwrap();
        next.join(&ticket.to_string().parse().unwrap(), None, random(1)).unwrap();
        holder = next;
    }
    let interests = holder.for_session(&receiver(), &InterestSelection::All);
    assert_eq!(interests[0].capability.delegations().len(), 17);
}
