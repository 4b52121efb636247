//! Users, namespaces, secrets and tickets of nodes.

use osier::{
    Node, NodeOptions,
    node::{Access, ImportedSecret, NamespaceKind, SecretOwner, ShareRequest},
};

use crate::harness::{share, space, write};

async fn offline() -> Node {
    Node::open(NodeOptions::default()).await.unwrap()
}

#[tokio::test]
async fn what_was_made_is_listed() {
    let node = offline().await;
    let (user, owned) = space(&node).await;
    let communal = node.create_namespace(NamespaceKind::Communal, user.clone()).await.unwrap();
    assert_eq!(node.users().await, Ok(vec![user.clone()]));
    let mut kinds: Vec<_> = node.namespaces().await.unwrap().into_iter().map(|info| (info.id, info.kind)).collect();
    kinds.sort_by_key(|(_, kind)| *kind == NamespaceKind::Communal);
    assert_eq!(kinds, [(owned.clone(), NamespaceKind::Owned), (communal, NamespaceKind::Communal)]);
    let held = node.capabilities(Some(owned.clone())).await.unwrap();
    assert!(held.iter().any(|held| held.access == Access::Write && held.receiver == user));
    assert!(held.iter().all(|held| held.namespace == owned));
    node.shutdown().await;
}

#[tokio::test]
async fn a_ticket_for_a_user_is_for_that_user_and_grants_show_it() {
    let (a, b, c) = (offline().await, offline().await, offline().await);
    let (user, ns) = space(&a).await;
    let other = b.create_user().await.unwrap();
    let request =
        ShareRequest { namespace: ns.clone(), access: Access::Write, to: Some(other.clone()), from: Some(user.clone()), area: None };
    let ticket = a.share(request).await.unwrap();
    let error = c.join(&ticket, None).await.unwrap_err();
    assert_eq!((error.code(), error.argument()), ("ticketForAnotherUser", Some("ticket")));
    let joined = b.join(&ticket, None).await.unwrap();
    assert_eq!((joined.user, joined.namespace.clone(), joined.access), (other.clone(), ns.clone(), Access::Write));
    write(&b, &ns, &other, "x", b"may write").await;
    let grants = a.grants(ns.clone()).await.unwrap();
    assert!(grants.iter().any(|grant| grant.from == user && grant.to == other && grant.access == Access::Write && !grant.link));
    for node in [a, b, c] {
        node.shutdown().await;
    }
}

#[tokio::test]
async fn a_link_makes_a_user_and_read_access_does_not_write() {
    let (a, b) = (offline().await, offline().await);
    let (_, ns) = space(&a).await;
    let joined = share(&a, &ns, Access::Read, &b).await;
    assert_eq!(b.users().await, Ok(vec![joined.user.clone()]));
    let request = osier::node::SetRequest { user: joined.user, path: crate::harness::path("x"), payload: vec![], timestamp: None };
    assert_eq!(b.set(ns, request).await.unwrap_err().code(), "notAuthorised");
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn damaged_tickets_and_secrets_are_refused() {
    let (a, b) = (offline().await, offline().await);
    let (user, ns) = space(&a).await;
    let request = ShareRequest { namespace: ns.clone(), access: Access::Read, to: None, from: None, area: None };
    let ticket = a.share(request).await.unwrap();
    for damaged in ["", "osier1-", "nonsense", &ticket[..ticket.len() - 1], &ticket.replacen(|c: char| c.is_ascii_digit(), "x", 9)] {
        let error = b.join(damaged, None).await.unwrap_err();
        assert_eq!((error.code(), error.argument()), ("invalidTicket", Some("ticket")), "{damaged}");
    }
    let secret = a.export_secret(SecretOwner::User(user.clone())).await.unwrap();
    let error = b.import_secret(&secret[1..]).await.unwrap_err();
    assert_eq!((error.code(), error.argument()), ("invalidArgument", Some("secret")));
    assert_eq!(b.import_secret(&secret).await, Ok(ImportedSecret::User(user.clone())));
    assert_eq!(b.users().await.unwrap(), [user]);
    let secret = a.export_secret(SecretOwner::Namespace(ns.clone())).await.unwrap();
    assert_eq!(b.import_secret(&secret).await, Ok(ImportedSecret::Namespace(ns)));
    a.shutdown().await;
    b.shutdown().await;
}
