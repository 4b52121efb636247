//! A relay, nodes, and ways to wait for what they say.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use iroh_relay::server::{AllowAll, DynAccessControl, RelayConfig, Server, ServerConfig};
use osier::{
    Events, Node, NodeOptions,
    node::{
        Access, Area, EntriesOptions, EntryInfo, Interests, Joined, Mode, NamespaceId, NamespaceKind, Path, SessionEvent, SessionInit,
        SetRequest, ShareRequest, StoreEvent, SubspaceId,
    },
};

/// Far more than anything here takes.
const LIMIT: Duration = Duration::from_secs(60);

/// Waits, but not for ever.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited too long for {what}"),
    }
}

pub struct Relay {
    server: Server,
    pub url: String,
    pub address: SocketAddr,
}

impl Relay {
    pub async fn start() -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into()).await
    }

    pub async fn start_at(address: SocketAddr) -> Self {
        Self::start_with(address, Arc::new(AllowAll)).await
    }

    pub async fn start_with(address: SocketAddr, access: Arc<dyn DynAccessControl>) -> Self {
        let mut config = ServerConfig::default();
        let mut relay = RelayConfig::new(address);
        relay.access = access;
        config.relay = Some(relay);
        let server = Server::spawn(config).await.expect("a relay on loopback");
        let address = server.http_addr().unwrap();
        Self { server, url: format!("http://{address}/"), address }
    }

    /// Stops, does something meanwhile, and starts again at the same address.
    pub async fn restart(self, meanwhile: impl Future<Output = ()>) -> Self {
        let address = self.address;
        self.stop().await;
        meanwhile.await;
        Self::start_at(address).await
    }

    pub async fn stop(self) {
        self.server.shutdown().await.expect("the relay stops");
    }

    pub fn options(&self) -> NodeOptions {
        NodeOptions { relays: vec![self.url.clone()], ..NodeOptions::default() }
    }

    /// A node that can be reached.
    pub async fn node(&self) -> Node {
        let node = Node::open(self.options()).await.expect("a node");
        soon("the relay", node.online()).await.expect("online");
        node
    }
}

/// Loopback address of a port that nobody listens on.
pub fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

pub fn path(text: &str) -> Path {
    Path::from_slices(&text.split('/').map(str::as_bytes).collect::<Vec<_>>()).unwrap()
}

/// A user with an owned namespace.
pub async fn space(node: &Node) -> (SubspaceId, NamespaceId) {
    let user = node.create_user().await.unwrap();
    let namespace = node.create_namespace(NamespaceKind::Owned, user.clone()).await.unwrap();
    (user, namespace)
}

pub async fn write(node: &Node, namespace: &NamespaceId, user: &SubspaceId, at: &str, payload: &[u8]) -> EntryInfo {
    let request = SetRequest { user: user.clone(), path: path(at), payload: payload.to_vec(), timestamp: None };
    node.set(namespace.clone(), request).await.expect("a write").entry
}

/// Shares a namespace by link, and joins it at another node.
pub async fn share(from: &Node, namespace: &NamespaceId, access: Access, to: &Node) -> Joined {
    let request = ShareRequest { namespace: namespace.clone(), access, to: None, from: None, area: None };
    let ticket = from.share(request).await.expect("a ticket");
    to.join(&ticket, None).await.expect("joined")
}

pub fn init(mode: Mode) -> SessionInit {
    SessionInit { interests: Interests::All, mode, reconnect: None }
}

/// Every entry of a namespace with its payload, as (path, payload).
pub async fn contents(node: &Node, namespace: &NamespaceId) -> Vec<(SubspaceId, Path, u64, Vec<u8>)> {
    let mut all = Vec::new();
    let mut entries = node.entries(namespace.clone(), Area::full(), EntriesOptions::default());
    while let Some(entry) = entries.next().await {
        let entry = entry.unwrap();
        let payload = node.payload(entry.key(), 0, None).await.expect("the payload is here");
        all.push((entry.subspace, entry.path, entry.timestamp, payload));
    }
    all
}

/// Waits for an event.
pub async fn event<T: std::fmt::Debug, R>(what: &str, events: &Events<T>, mut wanted: impl FnMut(&T) -> Option<R>) -> R {
    let mut seen = Vec::new();
    let found = tokio::time::timeout(LIMIT, async {
        while let Some(event) = events.next().await {
            if let Some(result) = wanted(&event) {
                return Some(result);
            }
            seen.push(event);
        }
        None
    })
    .await;
    match found {
        Ok(Some(result)) => result,
        Ok(None) => panic!("the events ended without {what}: {seen:#?}"),
        Err(_) => panic!("waited too long for {what}: {seen:#?}"),
    }
}

/// Waits until everything an intent wants is reconciled.
pub async fn reconciled(events: &Events<SessionEvent>) {
    event("reconciledAll", events, |event| matches!(event, SessionEvent::ReconciledAll).then_some(())).await;
}

/// Waits until an entry at a path is there with its whole payload.
pub async fn arrival(events: &Events<StoreEvent>, at: &str) {
    let wanted = path(at);
    event(at, events, |event| {
        let complete = match event {
            StoreEvent::Inserted { entry, .. } => entry.path == wanted && entry.available == entry.payload_length,
            StoreEvent::Payload { key, available, total, .. } => key.path == wanted && available == total,
            _ => false,
        };
        complete.then_some(())
    })
    .await;
}
