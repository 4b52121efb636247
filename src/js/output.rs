//! Data on its way out: the plain objects that `pkg/index.d.ts` describes.
//!
//! Identifiers are hex, timestamps bigint, lengths numbers, absent values null. A component of a path that is UTF-8 is a string.

use osier_core::{PeerId, Role};
use serde::{Serialize, Serializer};
use wasm_bindgen::JsValue;

use super::{error, texts};
use crate::node::{
    Access, Area, CapabilityInfo, Completion, EntryInfo, EntryKey, Error, FetchProgress, Grant, ImportedSecret, Joined, NamespaceInfo,
    NamespaceKind, NodeStatus, Opening, Origin, Path, PeerAddress, PeerEvent, PeerInfo, PeerState, Quota, RelayState, Retry, SessionEvent,
    SetOutcome, StorageInfo, StorageState, StorageStatus, StoreEvent,
};

/// Something that JavaScript sees as plain data.
pub(super) trait ToJs {
    /// The plain data.
    fn to_js(&self) -> JsValue;
}

/// Plain data of any shape. What is serialized here are our own structs of strings, numbers and bytes, which cannot fail.
pub(super) fn plain(value: &impl Serialize) -> JsValue {
    let serializer = serde_wasm_bindgen::Serializer::new().serialize_missing_as_null(true).serialize_large_number_types_as_bigints(true);
    value.serialize(&serializer).unwrap_or(JsValue::NULL)
}

impl<T: ToJs> ToJs for [T] {
    fn to_js(&self) -> JsValue {
        self.iter().map(ToJs::to_js).collect::<js_sys::Array>().into()
    }
}

fn hex(bytes: &[u8; 32]) -> String {
    PeerId(*bytes).to_string()
}

/// Lengths and counts are numbers; above 2^53 they are rounded.
pub(super) fn number(value: u64) -> f64 {
    value as f64
}

/// A component: text where it is UTF-8, else bytes.
struct Component<'a>(&'a [u8]);

impl Serialize for Component<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => serializer.serialize_bytes(self.0),
        }
    }
}

fn components(path: &Path) -> Vec<Component<'_>> {
    path.components().map(|component| Component(component.as_bytes())).collect()
}

/// An id, whose text is at hand.
#[derive(Serialize)]
struct Id(#[serde(with = "serde_wasm_bindgen::preserve")] JsValue);

impl Id {
    fn of(bytes: &[u8; 32]) -> Self {
        Self(texts::id(bytes))
    }
}

#[derive(Serialize)]
struct Key<'a> {
    namespace: Id,
    user: Id,
    path: Vec<Component<'a>>,
}

impl<'a> Key<'a> {
    fn of(key: &'a EntryKey) -> Self {
        Self { namespace: Id::of(key.namespace.as_bytes()), user: Id::of(key.subspace.as_bytes()), path: components(&key.path) }
    }
}

#[derive(Serialize)]
struct Entry<'a> {
    namespace: Id,
    user: Id,
    path: Vec<Component<'a>>,
    timestamp: u64,
    length: f64,
    digest: String,
    available: f64,
}

impl<'a> Entry<'a> {
    fn of(entry: &'a EntryInfo) -> Self {
        Self {
            namespace: Id::of(entry.namespace.as_bytes()),
            user: Id::of(entry.subspace.as_bytes()),
            path: components(&entry.path),
            timestamp: entry.timestamp,
            length: number(entry.payload_length),
            digest: hex(&entry.payload_digest),
            available: number(entry.available),
        }
    }
}

impl ToJs for EntryInfo {
    fn to_js(&self) -> JsValue {
        plain(&Entry::of(self))
    }
}

impl ToJs for SetOutcome {
    fn to_js(&self) -> JsValue {
        #[derive(Serialize)]
        struct Out<'a> {
            entry: Entry<'a>,
            pruned: f64,
        }
        plain(&Out { entry: Entry::of(&self.entry), pruned: number(self.pruned) })
    }
}

#[derive(Serialize)]
struct AreaOut<'a> {
    user: Option<String>,
    path: Vec<Component<'a>>,
    from: u64,
    to: Option<u64>,
}

impl<'a> AreaOut<'a> {
    fn of(area: &'a Area) -> Self {
        Self {
            user: area.subspace().map(|user| hex(user.as_bytes())),
            path: components(area.path()),
            from: u64::from(*area.times().start()),
            to: area.times().end().map(|end| u64::from(*end)),
        }
    }
}

#[derive(Serialize)]
struct Address<'a> {
    id: String,
    relays: &'a [String],
}

impl<'a> Address<'a> {
    fn of(address: &'a PeerAddress) -> Self {
        Self { id: address.id.to_string(), relays: &address.relays }
    }
}

impl ToJs for PeerAddress {
    fn to_js(&self) -> JsValue {
        plain(&Address::of(self))
    }
}

fn access(access: Access) -> &'static str {
    match access {
        Access::Read => "read",
        Access::Write => "write",
    }
}

impl ToJs for Opening {
    fn to_js(&self) -> JsValue {
        #[derive(Serialize)]
        struct Out {
            entries: f64,
            total: f64,
        }
        plain(&Out { entries: number(self.entries), total: number(self.total) })
    }
}

impl ToJs for Joined {
    fn to_js(&self) -> JsValue {
        #[derive(Serialize)]
        struct Out<'a> {
            namespace: String,
            user: String,
            access: &'static str,
            area: AreaOut<'a>,
            peers: Vec<Address<'a>>,
        }
        plain(&Out {
            namespace: hex(self.namespace.as_bytes()),
            user: hex(self.user.as_bytes()),
            access: access(self.access),
            area: AreaOut::of(&self.area),
            peers: self.peers.iter().map(Address::of).collect(),
        })
    }
}

impl ToJs for Grant {
    fn to_js(&self) -> JsValue {
        #[derive(Serialize)]
        struct Out<'a> {
            from: String,
            to: String,
            access: &'static str,
            area: AreaOut<'a>,
            link: bool,
        }
        plain(&Out {
            from: hex(self.from.as_bytes()),
            to: hex(self.to.as_bytes()),
            access: access(self.access),
            area: AreaOut::of(&self.area),
            link: self.link,
        })
    }
}

impl ToJs for CapabilityInfo {
    fn to_js(&self) -> JsValue {
        #[derive(Serialize)]
        struct Out<'a> {
            namespace: String,
            access: &'static str,
            user: String,
            area: AreaOut<'a>,
            delegations: f64,
        }
        plain(&Out {
            namespace: hex(self.namespace.as_bytes()),
            access: access(self.access),
            user: hex(self.receiver.as_bytes()),
            area: AreaOut::of(&self.area),
            delegations: number(self.delegations),
        })
    }
}

impl ToJs for NamespaceInfo {
    fn to_js(&self) -> JsValue {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Out {
            id: String,
            kind: &'static str,
            has_secret: bool,
            entries: f64,
            payload_bytes: f64,
            stored_bytes: f64,
            #[serde(skip_serializing_if = "Option::is_none")]
            quota: Option<Limit>,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Limit {
            #[serde(skip_serializing_if = "Option::is_none")]
            entries: Option<f64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            payload_bytes: Option<f64>,
        }
        let limit = |quota: Quota| Limit { entries: quota.entries.map(number), payload_bytes: quota.payload_bytes.map(number) };
        let kind = match self.kind {
            NamespaceKind::Communal => "communal",
            NamespaceKind::Owned => "owned",
        };
        plain(&Out {
            id: hex(self.id.as_bytes()),
            kind,
            has_secret: self.has_secret,
            entries: number(self.entries),
            payload_bytes: number(self.payload_bytes),
            stored_bytes: number(self.stored_bytes),
            quota: self.quota.map(limit),
        })
    }
}

impl ToJs for ImportedSecret {
    fn to_js(&self) -> JsValue {
        match self {
            Self::User(id) => hex(id.as_bytes()).into(),
            Self::Namespace(id) => hex(id.as_bytes()).into(),
        }
    }
}

impl ToJs for FetchProgress {
    fn to_js(&self) -> JsValue {
        #[derive(Serialize)]
        struct Out {
            received: f64,
            total: f64,
        }
        plain(&Out { received: number(self.received), total: number(self.total) })
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Alfie => "dialer",
        Role::Betty => "acceptor",
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Peer<'a> {
    id: String,
    state: &'static str,
    role: Option<&'static str>,
    relay: Option<&'a str>,
    rtt: Option<f64>,
    bytes_sent: f64,
    bytes_received: f64,
    intents: f64,
    since: f64,
    retry: Option<f64>,
}

impl<'a> Peer<'a> {
    fn of(peer: &'a PeerInfo) -> Self {
        let state = match peer.state {
            PeerState::Connecting => "connecting",
            PeerState::Establishing => "establishing",
            PeerState::Active => "active",
            PeerState::Terminating => "terminating",
            PeerState::Waiting => "waiting",
        };
        Self {
            id: peer.id.to_string(),
            state,
            role: peer.role.map(role),
            relay: peer.relay.as_deref(),
            rtt: peer.rtt_millis,
            bytes_sent: number(peer.bytes_sent),
            bytes_received: number(peer.bytes_received),
            intents: peer.intents.len() as f64,
            since: number(peer.since_unix_millis),
            retry: peer.retry_millis.map(number),
        }
    }
}

impl ToJs for PeerInfo {
    fn to_js(&self) -> JsValue {
        plain(&Peer::of(self))
    }
}

impl ToJs for PeerEvent {
    fn to_js(&self) -> JsValue {
        #[derive(Serialize)]
        #[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
        enum Out<'a> {
            Present { peer: Peer<'a> },
            Connecting { id: String },
            Established { id: String, role: &'static str },
            Reconnecting { id: String, retry: Option<f64> },
            IdentityInUse { id: String, certain: bool },
            Closed { id: String, code: Option<f64>, reason: &'a str },
            Gone { id: String },
        }
        plain(&match self {
            Self::Present(peer) => Out::Present { peer: Peer::of(peer) },
            Self::Connecting { peer } => Out::Connecting { id: peer.to_string() },
            Self::Established { peer, role: end } => Out::Established { id: peer.to_string(), role: role(*end) },
            Self::Reconnecting { peer, retry_millis } => Out::Reconnecting { id: peer.to_string(), retry: retry_millis.map(number) },
            Self::IdentityInUse { peer, certain } => Out::IdentityInUse { id: peer.to_string(), certain: *certain },
            Self::Closed { peer, code, reason } => Out::Closed { id: peer.to_string(), code: code.map(number), reason },
            Self::Gone { peer } => Out::Gone { id: peer.to_string() },
        })
    }
}

impl ToJs for NodeStatus {
    fn to_js(&self) -> JsValue {
        #[derive(Serialize)]
        struct Relay<'a> {
            state: &'static str,
            url: Option<&'a str>,
            reason: Option<&'a str>,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Storage<'a> {
            durable: bool,
            state: &'static str,
            reason: Option<&'a str>,
            damaged: f64,
            unheld: f64,
        }
        #[derive(Serialize)]
        struct Out<'a> {
            relay: Relay<'a>,
            storage: Storage<'a>,
        }
        let state = match self.relay.state {
            RelayState::None => "none",
            RelayState::Connecting => "connecting",
            RelayState::Connected => "connected",
            RelayState::Denied => "denied",
        };
        let relay = Relay { state, url: self.relay.url.as_deref(), reason: self.relay.reason.as_deref() };
        let (state, reason) = storage_state(&self.storage.state);
        let StorageStatus { durable, damaged, unheld, .. } = self.storage;
        let storage = Storage { durable, state, reason, damaged: number(damaged), unheld: number(unheld) };
        plain(&Out { relay, storage })
    }
}

impl ToJs for StorageInfo {
    fn to_js(&self) -> JsValue {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Out<'a> {
            durable: bool,
            state: &'static str,
            reason: Option<&'a str>,
            entries: f64,
            payload_bytes: f64,
            usage: Option<f64>,
            quota: Option<f64>,
            persisted: bool,
            damaged: f64,
            data_loss: Option<&'a str>,
        }
        let (state, reason) = storage_state(&self.state);
        plain(&Out {
            durable: self.durable,
            state,
            reason,
            entries: number(self.entries),
            payload_bytes: number(self.payload_bytes),
            usage: self.usage.map(number),
            quota: self.quota.map(number),
            persisted: self.persisted,
            damaged: number(self.damaged),
            data_loss: self.data_loss.as_deref(),
        })
    }
}

fn storage_state(state: &StorageState) -> (&'static str, Option<&str>) {
    match state {
        StorageState::Ok => ("ok", None),
        StorageState::Full => ("full", None),
        StorageState::ReadOnly => ("readOnly", None),
        StorageState::Lost { reason } => ("lost", Some(reason)),
    }
}

impl ToJs for Completion {
    fn to_js(&self) -> JsValue {
        plain(&Outcome::of(*self))
    }
}

#[derive(Serialize)]
struct Outcome {
    outcome: &'static str,
}

impl Outcome {
    fn of(completion: Completion) -> Self {
        let outcome = match completion {
            Completion::Complete => "complete",
            Completion::Partial => "partial",
            Completion::NothingInCommon => "nothingInCommon",
            Completion::Closed => "closed",
        };
        Self { outcome }
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum SessionOut<'a> {
    Connecting,
    Established { role: &'static str },
    Disconnected { retry: Option<f64>, attempt: Option<u32>, limit: Option<u32> },
    Reconnecting { retry: Option<f64>, attempt: u32, limit: Option<u32> },
    Overlap { namespace: String, area: AreaOut<'a> },
    Reconciled { namespace: String, area: AreaOut<'a> },
    ReconciledAll,
    NothingInCommon,
    Unsupported { namespace: String },
    Progress { sent: f64, received: f64, entries_sent: f64, entries_received: f64 },
    Payload { entry: Key<'a>, received: f64, total: f64 },
    Ended { completion: Outcome },
    Error,
}

impl ToJs for SessionEvent {
    fn to_js(&self) -> JsValue {
        let out = match self {
            Self::Connecting => SessionOut::Connecting,
            Self::Established { role: end } => SessionOut::Established { role: role(*end) },
            Self::Disconnected { cause, retry } => {
                let (millis, limit) = (retry.and_then(|retry| retry.millis), retry.and_then(|retry| retry.limit));
                let attempt = retry.map(|retry| retry.attempt);
                return with_error(&SessionOut::Disconnected { retry: millis.map(number), attempt, limit }, "cause", cause);
            }
            Self::Reconnecting { cause, retry: Retry { millis, attempt, limit } } => {
                let out = SessionOut::Reconnecting { retry: millis.map(number), attempt: *attempt, limit: *limit };
                return with_error(&out, "cause", cause);
            }
            Self::Overlap { namespace, area } => SessionOut::Overlap { namespace: hex(namespace.as_bytes()), area: AreaOut::of(area) },
            Self::Reconciled { namespace, area } => {
                SessionOut::Reconciled { namespace: hex(namespace.as_bytes()), area: AreaOut::of(area) }
            }
            Self::ReconciledAll => SessionOut::ReconciledAll,
            Self::NothingInCommon => SessionOut::NothingInCommon,
            Self::Unsupported { namespace } => SessionOut::Unsupported { namespace: hex(namespace.as_bytes()) },
            Self::Progress { sent, received, entries_sent, entries_received } => SessionOut::Progress {
                sent: number(*sent),
                received: number(*received),
                entries_sent: number(*entries_sent),
                entries_received: number(*entries_received),
            },
            Self::Payload { entry, received, total } => {
                SessionOut::Payload { entry: Key::of(entry), received: number(*received), total: number(*total) }
            }
            Self::Ended { completion } => SessionOut::Ended { completion: Outcome::of(*completion) },
            Self::Error { error } => return with_error(&SessionOut::Error, "error", error),
        };
        plain(&out)
    }
}

/// An event that carries an error.
fn with_error(event: &SessionOut<'_>, name: &str, error: &Error) -> JsValue {
    let object = plain(event);
    let done = js_sys::Reflect::set(&object, &name.into(), &error::to_js(error));
    debug_assert!(done.is_ok(), "a field of a fresh object can be set");
    object
}

fn origin(origin: &Origin) -> &'static str {
    match origin {
        Origin::Local => "local",
        Origin::Peer(_) | Origin::UnknownPeer => "peer",
        Origin::Import => "import",
    }
}

impl ToJs for StoreEvent {
    fn to_js(&self) -> JsValue {
        #[derive(Serialize)]
        #[serde(tag = "type", rename_all = "camelCase")]
        enum Out<'a> {
            Inserted { progress: f64, entry: Entry<'a>, origin: &'static str },
            Pruned { progress: f64, entry: Key<'a> },
            Payload { progress: f64, entry: Key<'a>, available: f64, total: f64, origin: &'static str },
            Forgotten { progress: f64, area: AreaOut<'a>, count: f64 },
            Lagged { progress: f64 },
        }
        plain(&match self {
            Self::Inserted { progress, entry, origin: from } => {
                Out::Inserted { progress: number(progress.0), entry: Entry::of(entry), origin: origin(from) }
            }
            Self::Pruned { progress, key, .. } => Out::Pruned { progress: number(progress.0), entry: Key::of(key) },
            Self::Payload { progress, key, available, total, origin: from, .. } => Out::Payload {
                progress: number(progress.0),
                entry: Key::of(key),
                available: number(*available),
                total: number(*total),
                origin: origin(from),
            },
            Self::Forgotten { progress, area, count } => {
                Out::Forgotten { progress: number(progress.0), area: AreaOut::of(area), count: number(*count) }
            }
            Self::Lagged { progress } => Out::Lagged { progress: number(progress.0) },
        })
    }
}
