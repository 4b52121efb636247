//! share and join, both kinds of namespace, links and tickets for users.

use willow25::groupings::{Area, TimeRange};

use super::*;

fn parsed(ticket: &Ticket) -> Ticket {
    ticket.to_string().parse().unwrap()
}

#[test]
fn a_link_gives_whoever_joins_what_it_says() {
    let (mut owner, _, namespace) = maker(1, NamespaceKind::Owned);
    let ticket = owner.share(&request(&namespace, Access::Write), random(2)).unwrap();
    assert_eq!((ticket.receiver(), ticket.access(), ticket.area()), (None, Access::Write, Area::full()));
    for seed in 10..12 {
        let mut joiner = Wallet::new();
        let joined = joiner.join(&parsed(&ticket), None, random(seed)).unwrap();
        assert_eq!(
            joined,
            Joined {
                namespace: namespace.clone(),
                user: joiner.users().next().unwrap().clone(),
                access: Access::Write,
                area: Area::full()
            }
        );
        let (capability, _) = joiner.write_capability_for(&namespace, &joined.user, &path(&["a", "b"])).unwrap();
        assert_eq!(capability.delegations().len(), 2, "the link's and the joiner's own");
        let before = joiner.capabilities(None);
        assert_eq!(joiner.join(&ticket, None, random(seed)).unwrap(), joined);
        assert_eq!(joiner.capabilities(None), before, "joining again changes nothing");
    }
}

#[test]
fn a_link_to_read_does_not_let_write() {
    let (mut owner, _, namespace) = maker(1, NamespaceKind::Owned);
    let ticket = parsed(&owner.share(&request(&namespace, Access::Read), random(2)).unwrap());
    let (mut reader, user) = wallet(3);
    assert_eq!(reader.join(&ticket, Some(&user), random(4)).unwrap().access, Access::Read);
    assert_eq!(reader.namespaces()[0].access, Some(Access::Read));
    assert_eq!(reader.write_capability_for(&namespace, &user, &path(&["a"])).err(), Some(WalletError::MayNotWrite(user.to_bytes())));
    assert_eq!(reader.share(&request(&namespace, Access::Write), random(4)), Err(WalletError::MayNotShare));
    assert!(reader.share(&request(&namespace, Access::Read), random(4)).is_ok(), "reading can be passed on");
}

#[test]
fn a_ticket_for_a_user_is_of_use_to_that_user_alone() {
    let (mut owner, _, namespace) = maker(1, NamespaceKind::Owned);
    let (mut friend, user) = wallet(3);
    let ticket = owner.share(&ShareRequest { to: Some(user.clone()), ..request(&namespace, Access::Write) }, random(2)).unwrap();
    assert_eq!(ticket.receiver(), Some(&user));
    let (mut thief, thief_user) = wallet(4);
    let refused = WalletError::Ticket(TicketError::ForAnotherUser(user.to_bytes()));
    assert_eq!(thief.join(&parsed(&ticket), None, random(5)), Err(refused));
    assert_eq!(thief.namespaces(), []);
    let second = friend.create_user([8; 32]);
    assert_eq!(friend.join(&ticket, Some(&second), random(5)), Err(refused), "the user asked for is not the one it is for");
    assert_eq!(friend.join(&ticket, None, random(5)).unwrap().user, user);
    assert!(friend.write_capability_for(&namespace, &user, &path(&["a"])).is_ok());
    assert_eq!(
        friend.join(&ticket, Some(&thief_user), random(5)).err(),
        Some(WalletError::Ticket(TicketError::ForAnotherUser(user.to_bytes())))
    );
    let mut link_thief = Wallet::new();
    let link = owner.share(&request(&namespace, Access::Read), random(9)).unwrap();
    assert_eq!(link_thief.join(&link, Some(&thief_user), random(5)), Err(WalletError::NoSuchUser(thief_user.to_bytes())));
}

#[test]
fn a_share_is_restricted_to_its_area() {
    let (mut owner, user, namespace) = maker(1, NamespaceKind::Owned);
    let area = Area::new(None, path(&["public"]), TimeRange::full());
    let ticket = owner.share(&ShareRequest { area: Some(area.clone()), ..request(&namespace, Access::Write) }, random(2)).unwrap();
    let (mut joiner, guest) = wallet(3);
    assert_eq!(joiner.join(&parsed(&ticket), None, random(4)).unwrap().area, area);
    assert!(joiner.write_capability_for(&namespace, &guest, &path(&["public", "x"])).is_ok());
    assert!(joiner.write_capability_for(&namespace, &guest, &path(&["private"])).is_err());
    let wider = ShareRequest { area: Some(Area::full()), ..request(&namespace, Access::Read) };
    assert_eq!(joiner.share(&wider, random(5)), Err(WalletError::MayNotShare));
    let again = joiner.share(&request(&namespace, Access::Write), random(5)).unwrap();
    assert_eq!(again.area(), area);
    // Somebody else's subspace only: the guest cannot write in their own.
    let fixed = ShareRequest { area: Some(Area::new_subspace_area(user)), to: Some(guest.clone()), ..request(&namespace, Access::Write) };
    let ticket = owner.share(&fixed, random(2)).unwrap();
    let (mut narrow, _) = wallet(3);
    narrow.join(&ticket, None, random(4)).unwrap();
    assert_eq!(narrow.write_capability_for(&namespace, &guest, &path(&["x"])).err(), Some(WalletError::MayNotWrite(guest.to_bytes())));
}

#[test]
fn a_communal_share_is_the_sharers_subspace_and_the_joiner_has_their_own() {
    let (mut maker, user, namespace) = maker(1, NamespaceKind::Communal);
    let ticket = parsed(&maker.share(&request(&namespace, Access::Read), random(2)).unwrap());
    assert_eq!(ticket.area(), Area::new_subspace_area(user));
    let everything = ShareRequest { area: Some(Area::full()), ..request(&namespace, Access::Read) };
    assert_eq!(maker.share(&everything, random(2)), Err(WalletError::MayNotShare));
    let (mut joiner, guest) = wallet(3);
    joiner.join(&ticket, None, random(4)).unwrap();
    assert!(joiner.write_capability_for(&namespace, &guest, &path(&["mine"])).is_ok());
    assert_eq!(joiner.read_capabilities(Some(&namespace)).count(), 2, "the sharer's subspace and their own");
}

#[test]
fn rights_can_be_passed_on_until_the_chain_is_full() {
    let (mut holder, _, namespace) = maker(1, NamespaceKind::Owned);
    let mut hops = 0;
    loop {
        let ticket = match holder.share(&request(&namespace, Access::Write), random(100)) {
            Ok(ticket) => ticket,
            Err(error) => break assert_eq!(error, WalletError::TooManyDelegations),
        };
        let (mut next, _) = wallet(50 + hops);
        next.join(&parsed(&ticket), None, random(4)).unwrap();
        holder = next;
        hops += 1;
    }
    assert_eq!(hops, 8, "each link takes two of 16 delegations");
    let (_, other) = wallet(200);
    let to_user = ShareRequest { to: Some(other), ..request(&namespace, Access::Write) };
    assert_eq!(holder.share(&to_user, random(5)), Err(WalletError::TooManyDelegations));
}

#[test]
fn a_link_that_cannot_be_passed_on_makes_no_user() {
    let (mut holder, _, namespace) = maker(1, NamespaceKind::Owned);
    for seed in 0..15 {
        let (mut next, user) = wallet(50 + seed);
        let ticket = holder.share(&ShareRequest { to: Some(user), ..request(&namespace, Access::Write) }, random(100)).unwrap();
        next.join(&ticket, None, random(4)).unwrap();
        holder = next;
    }
    let link = parsed(&holder.share(&request(&namespace, Access::Write), random(100)).unwrap());
    let mut joiner = Wallet::new();
    assert_eq!(joiner.join(&link, None, random(4)), Err(WalletError::TooManyDelegations));
    assert_eq!((joiner.users().count(), joiner.namespaces().len()), (0, 0));
}

#[test]
fn the_first_user_who_can_shares_unless_one_is_named() {
    let (mut wallet, idle) = wallet(1);
    let owner = wallet.create_user([2; 32]);
    let namespace = wallet.create_namespace(NamespaceKind::Owned, &owner, random(3)).unwrap();
    wallet.share(&request(&namespace, Access::Read), random(4)).unwrap();
    assert_eq!(wallet.grants(&namespace).unwrap().last().unwrap().by, Grantor::User(owner));
    assert_eq!(
        wallet.share(&ShareRequest { from: Some(idle), ..request(&namespace, Access::Read) }, random(4)),
        Err(WalletError::MayNotShare)
    );
}
