//! Who was given what.

use willow25::groupings::{Area, TimeRange};

use super::*;

fn grant(namespace: &NamespaceId, access: Access, by: Grantor, to: &SubspaceId) -> Grant {
    Grant { namespace: namespace.clone(), access, area: Area::full(), by, to: to.clone(), link: false }
}

#[test]
fn the_sharer_and_the_joiner_see_the_same_chain() {
    let (mut owner, user, namespace) = maker(1, NamespaceKind::Owned);
    let ticket = owner.share(&request(&namespace, Access::Write), random(2)).unwrap();
    let (mut joiner, guest) = wallet(3);
    joiner.join(&ticket, None, random(4)).unwrap();
    let key = ticket.link.as_ref().unwrap().corresponding_subspace_id();

    let root = grant(&namespace, Access::Write, Grantor::Namespace, &user);
    let link = Grant { link: true, ..grant(&namespace, Access::Write, Grantor::User(user), &key) };
    let own = grant(&namespace, Access::Write, Grantor::User(key), &guest);
    assert_eq!(owner.grants(&namespace).unwrap(), [root.clone(), link.clone()]);
    assert_eq!(joiner.grants(&namespace).unwrap(), [root, link, own]);
}

#[test]
fn areas_and_kinds_of_access_are_kept_apart() {
    let (mut owner, user, namespace) = maker(1, NamespaceKind::Owned);
    let (_, friend) = wallet(3);
    let area = Area::new(None, path(&["inbox"]), TimeRange::full());
    let to_friend = ShareRequest { to: Some(friend.clone()), ..request(&namespace, Access::Read) };
    owner.share(&to_friend, random(2)).unwrap();
    owner.share(&to_friend, random(2)).unwrap();
    owner.share(&ShareRequest { area: Some(area.clone()), access: Access::Write, ..to_friend }, random(2)).unwrap();
    let by = Grantor::User(user.clone());
    assert_eq!(
        owner.grants(&namespace).unwrap(),
        [
            grant(&namespace, Access::Write, Grantor::Namespace, &user),
            grant(&namespace, Access::Read, by.clone(), &friend),
            Grant { area, ..grant(&namespace, Access::Write, by, &friend) },
        ]
    );
}

#[test]
fn in_a_communal_namespace_everybody_has_their_subspace() {
    let (maker, user, namespace) = maker(1, NamespaceKind::Communal);
    let own = Grant { area: Area::new_subspace_area(user.clone()), ..grant(&namespace, Access::Write, Grantor::Namespace, &user) };
    assert_eq!(maker.grants(&namespace).unwrap(), [own]);
}
