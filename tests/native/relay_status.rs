//! The state of the home relay, as a node tells it.

use iroh_relay::server::{Access, AccessControl, ClientRequest};
use osier::{
    Events, Node, NodeOptions,
    node::{NodeStatus, RelayState, RelayStatus},
};

use crate::harness::{Relay, event, free_address, soon};

/// Lets nobody in, and says why.
#[derive(Debug)]
struct Closed;

impl AccessControl for Closed {
    async fn on_connect(&self, _: &ClientRequest) -> Access {
        Access::Deny { reason: Some("members only".to_owned()) }
    }
}

async fn state(status: &Events<NodeStatus>, wanted: RelayState) -> RelayStatus {
    event("a state of the relay", status, |status| (status.relay.state == wanted).then(|| status.relay.clone())).await
}

#[tokio::test]
async fn the_state_of_the_relay_is_told_as_it_changes() {
    let address = free_address();
    let url = format!("http://{address}/");
    let node = Node::open(NodeOptions { relays: vec![url.clone()], ..NodeOptions::default() }).await.unwrap();
    let status = node.watch_status();
    let first = soon("the first", status.next()).await.unwrap();
    assert_eq!((first.relay.state, first.relay.url.as_ref()), (RelayState::Connecting, Some(&url)));
    let relay = Relay::start_at(address).await;
    let connected = RelayStatus { state: RelayState::Connected, url: Some(url.clone()), reason: None };
    assert_eq!(state(&status, RelayState::Connected).await, connected);
    let late = soon("the first of a late watcher", node.watch_status().next()).await.unwrap();
    assert_eq!(late.relay, connected);
    relay.stop().await;
    state(&status, RelayState::Connecting).await;
    let relay = Relay::start_at(address).await;
    state(&status, RelayState::Connected).await;
    node.shutdown().await;
    while soon("the end", status.next()).await.is_some() {}
    assert!(node.watch_status().next().await.is_none());
    relay.stop().await;
}

#[tokio::test]
async fn a_relay_that_refuses_is_named_with_its_reason() {
    let relay = Relay::start_with(([127, 0, 0, 1], 0).into(), std::sync::Arc::new(Closed)).await;
    let node = Node::open(relay.options()).await.unwrap();
    let denied = state(&node.watch_status(), RelayState::Denied).await;
    assert_eq!((denied.url.as_deref(), denied.reason.as_deref()), (Some(&*relay.url), Some("members only")));
    node.shutdown().await;
}

#[tokio::test]
async fn without_a_relay_there_is_no_state_of_one() {
    let node = Node::open(NodeOptions::default()).await.unwrap();
    let status = soon("the first", node.watch_status().next()).await.unwrap();
    assert_eq!(status.relay, RelayStatus::default());
    node.shutdown().await;
}

#[tokio::test]
async fn an_address_names_the_relay_that_is_connected_first() {
    let relay = Relay::start().await;
    let nobody = format!("http://{}/", free_address());
    let node = Node::open(NodeOptions { relays: vec![nobody.clone(), relay.url.clone()], ..NodeOptions::default() }).await.unwrap();
    let status = node.watch_status();
    assert_eq!(state(&status, RelayState::Connected).await.url.as_ref(), Some(&relay.url));
    soon("the relay", node.online()).await.unwrap();
    assert_eq!(node.address().relays, [relay.url.clone(), nobody]);
    node.shutdown().await;
}
