//! The state of a node as a whole, for whoever watches it.

use std::{rc::Rc, time::Duration};

use osier_core::Moment;

use super::{
    Error, StorageInfo,
    events::{Coalesce, EventSender},
    inner::{Inner, listen, tell},
    lifecycle,
    storage::{Storage, StorageState},
};
use crate::{net::HomeRelay, platform};

/// The number of unheld entries is told no more often than this.
const PAUSE: Duration = Duration::from_millis(100);
/// What is held is noted so many milliseconds after it has changed.
const NOTE: u64 = 2_000;

/// The state of a node.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct NodeStatus {
    /// The home relay, through which others reach this node.
    pub relay: RelayStatus,
    /// Where data is kept.
    pub storage: StorageStatus,
}

/// How the storage of a node stands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StorageStatus {
    /// Whether data lasts longer than the node.
    pub durable: bool,
    /// Whether writing works.
    pub state: StorageState,
    /// How many entries were removed on opening, because what was stored of them was damaged. Peers that have them send them again.
    pub damaged: u64,
    /// How many entries no other node is known to hold, with the whole of their payloads: the only copies, as far as this node knows. What
    /// is written or imported counts until a peer says that it has stored it. That it has it still is not promised, nor that it is kept
    /// there; and after a restart some may count that peers hold, until the next reconciliation with one.
    pub unheld: u64,
}

/// How the home relay stands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RelayStatus {
    /// Whether it is connected.
    pub state: RelayState,
    /// Its URL; the first one that the node was opened with, until a home relay is chosen.
    pub url: Option<String>,
    /// Why it is not connected, for people: what the relay said when it denied this node, or how the last attempt failed.
    pub reason: Option<String>,
}

/// Whether the home relay is connected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RelayState {
    /// The node was opened without a relay.
    #[default]
    None,
    /// It is not connected; attempts go on.
    Connecting,
    /// It is connected.
    Connected,
    /// It refuses this node. Attempts go on, in case it changes its mind.
    Denied,
}

impl Coalesce for NodeStatus {
    fn replaces(&self, _older: &Self) -> bool {
        true
    }

    fn may_be_lost(&self) -> bool {
        true
    }
}

impl NodeStatus {
    /// Of a node that begins with these relays and this storage.
    pub(super) fn first(relays: &[String], storage: &Storage) -> Self {
        let durable = storage.backend().is_durable();
        let storage = StorageStatus { durable, state: StorageState::Ok, damaged: storage.damaged(), unheld: storage.store().unheld() };
        Self { relay: RelayStatus::of(&[], relays), storage }
    }
}

impl RelayStatus {
    fn of(homes: &[HomeRelay], configured: &[String]) -> Self {
        let home = homes.iter().find(|home| home.connected).or_else(|| homes.iter().find(|home| home.denied.is_some()));
        let Some(home) = home.or(homes.first()) else {
            let state = if configured.is_empty() { RelayState::None } else { RelayState::Connecting };
            return Self { state, url: configured.first().cloned(), reason: None };
        };
        let (state, reason) = match (home.connected, &home.denied) {
            (true, _) => (RelayState::Connected, None),
            (false, Some(denied)) => (RelayState::Denied, Some(denied.clone())),
            (false, None) => (RelayState::Connecting, home.failure.clone()),
        };
        Self { state, url: Some(home.url.clone()), reason }
    }
}

/// Lets someone watch, from now on. What they hear first is true now, and others hear of it no later.
pub(super) fn watch(node: &Inner, watcher: EventSender<NodeStatus>) {
    tell_unheld(node);
    watcher.push(node.status.borrow().clone());
    listen(&node.status_watchers, watcher);
}

/// Keeps track of the home relays until the endpoint is closed.
pub(super) async fn watch_relays(node: Rc<Inner>) {
    let mut last = None;
    node.endpoint
        .watch_relays(|homes| {
            let relay = RelayStatus::of(&homes, &node.options.relays);
            if update(&node, |status| status.relay.clone_from(&relay)) && relay.state == RelayState::Denied {
                tracing::warn!("the relay denied access: {}", relay.reason.as_deref().unwrap_or_default());
            }
            let urls: Vec<String> = homes.into_iter().filter(|home| home.connected).map(|home| home.url).collect();
            node.shared.prefer_relays(&urls);
            let connected = !urls.is_empty();
            if last.replace(connected) != Some(connected) {
                node.shared.online.send_replace(connected);
                lifecycle::relay_changed(&node, connected);
            }
        })
        .await;
}

/// Tells how the storage stands, whenever that changes.
pub(super) async fn watch_storage(node: Rc<Inner>) {
    let mut state = node.storage.state();
    loop {
        tokio::select! {
            biased;
            reason = node.storage.backend().on_lost(), if !matches!(*state.borrow(), StorageState::Lost { .. }) => node.storage.lose(reason),
            changed = state.changed() => if changed.is_err() { return },
        }
        let now = state.borrow_and_update().clone();
        if update(&node, |status| status.storage.state.clone_from(&now)) {
            tracing::warn!("storage: {now:?}");
        }
    }
}

/// Changes the status, and tells whoever watches it. Whether it is another now.
fn update(node: &Inner, change: impl FnOnce(&mut NodeStatus)) -> bool {
    let mut status = node.status.borrow().clone();
    change(&mut status);
    if *node.status.borrow() == status {
        return false;
    }
    node.status.replace(status.clone());
    tell(&node.status_watchers, &status);
    true
}

fn tell_unheld(node: &Inner) {
    let unheld = node.storage.store().unheld();
    update(node, |status| status.storage.unheld = unheld);
}

/// Tells how many entries no other node is known to hold, not at each step, and notes what is held.
pub(super) async fn watch_held(node: Rc<Inner>) {
    let (mut changes, mut learned) = (node.storage.changes(), node.storage.learned());
    let mut due: Option<Moment> = None;
    loop {
        tell_unheld(&node);
        tokio::select! {
            biased;
            () = node.clock.sleep_until(due.unwrap_or_default()), if due.is_some() => {
                due = None;
                node.storage.note_held().await;
                continue;
            }
            changed = changes.changed() => if changed.is_err() { return },
            changed = learned.changed() => if changed.is_err() { return },
        }
        due.get_or_insert(node.now().after_millis(NOTE));
        platform::sleep(PAUSE).await;
    }
}

/// How much is stored, and where.
pub(super) async fn storage(node: &Inner) -> Result<StorageInfo, Error> {
    let usage = node.storage.usage().await?;
    let estimate = platform::storage_estimate().await;
    let durable = node.storage.backend().is_durable();
    let persisted = durable && platform::persisted().await;
    // Last, and in a statement of its own: whoever changes the state must not find it borrowed.
    let state = node.storage.state().borrow().clone();
    Ok(StorageInfo {
        durable,
        state,
        entries: usage.entries,
        payload_bytes: usage.payload_bytes,
        usage: estimate.map(|estimate| estimate.usage),
        quota: estimate.map(|estimate| estimate.quota),
        persisted,
        damaged: node.storage.damaged(),
        data_loss: node.storage.backend().data_loss().map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::{HomeRelay, RelayState, RelayStatus};

    fn home(connected: bool, denied: Option<&str>) -> HomeRelay {
        let text = |text: &str| text.to_owned();
        HomeRelay { url: text("https://home/"), connected, denied: denied.map(text), failure: (!connected).then(|| text("closed")) }
    }

    #[test]
    fn a_relay_that_is_connected_counts_first_and_one_that_denies_is_named() {
        let configured = ["https://first/".to_owned()];
        for (homes, relays, state, url, reason) in [
            (vec![], &configured[..0], RelayState::None, None, None),
            (vec![], &configured[..], RelayState::Connecting, Some("https://first/"), None),
            (vec![home(false, None)], &configured[..], RelayState::Connecting, Some("https://home/"), Some("closed")),
            (vec![home(true, None)], &configured[..], RelayState::Connected, Some("https://home/"), None),
            (vec![home(false, None), home(false, Some("no"))], &configured[..], RelayState::Denied, Some("https://home/"), Some("no")),
            (vec![home(false, Some("no")), home(true, None)], &configured[..], RelayState::Connected, Some("https://home/"), None),
        ] {
            let status = RelayStatus::of(&homes, relays);
            assert_eq!((status.state, status.url.as_deref(), status.reason.as_deref()), (state, url, reason), "{homes:?}");
        }
    }
}
