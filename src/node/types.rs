//! Plain data that the node's methods take and return. No behaviour, no handles.

use osier_core::{IntentId, PeerId, Role, store::Quota, wallet::PeerAddress};
use willow25::prelude::{Area, NamespaceId, Path, SubspaceId};

use super::StorageState;

/// An entry, as far as a user needs to know it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EntryInfo {
    /// The namespace it belongs to.
    pub namespace: NamespaceId,
    /// The subspace: whose entry it is.
    pub subspace: SubspaceId,
    /// Its path.
    pub path: Path,
    /// TAI microseconds since J2000 (Willow'25).
    pub timestamp: u64,
    /// Length of the payload in bytes.
    pub payload_length: u64,
    /// WILLIAM3 digest of the payload.
    pub payload_digest: [u8; 32],
    /// Bytes of the payload, from its start, that are here and verified.
    pub available: u64,
    /// BLAKE3 of the entry's canonic encoding: names this very entry.
    pub id: [u8; 32],
}

impl EntryInfo {
    /// Where the entry lies, without which one it is.
    #[must_use]
    pub fn key(&self) -> EntryKey {
        EntryKey { namespace: self.namespace.clone(), subspace: self.subspace.clone(), path: self.path.clone() }
    }
}

/// Where an entry lies. At most one entry is at a key at any time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EntryKey {
    /// The namespace.
    pub namespace: NamespaceId,
    /// The subspace.
    pub subspace: SubspaceId,
    /// The path.
    pub path: Path,
}

/// How much a node keeps, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StorageInfo {
    /// Whether it lasts longer than the node.
    pub durable: bool,
    /// Whether writing works.
    pub state: StorageState,
    /// Entries.
    pub entries: u64,
    /// Bytes of payloads.
    pub payload_bytes: u64,
    /// Bytes that everything of this origin takes, as far as the browser tells.
    pub usage: Option<u64>,
    /// Bytes that it may grow to, as far as the browser tells.
    pub quota: Option<u64>,
    /// Whether the browser has promised not to delete it to make room; natively yes.
    pub persisted: bool,
    /// Entries that were damaged when the node was opened, and were removed so that peers can send them again.
    pub damaged: u64,
    /// What was said when the node was opened of earlier data that the browser has lost: it could not read its database any more, and began
    /// with an empty one. Chromium does that, and tells, after it was killed at a bad moment.
    pub data_loss: Option<String>,
}

/// A write: who, where, what, when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SetRequest {
    /// The user who writes; the entry's subspace.
    pub user: SubspaceId,
    /// Where.
    pub path: Path,
    /// The whole payload.
    pub payload: Vec<u8>,
    /// TAI microseconds. `None`: now, or one more than the newest entry in its way (at, above or below the path), whichever is later.
    pub timestamp: Option<u64>,
}

/// What a write did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SetOutcome {
    /// The entry written.
    pub entry: EntryInfo,
    /// How many older entries it removed.
    pub pruned: u64,
}

/// Order and number of the entries that a query yields.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EntriesOptions {
    /// From the last (subspace, path) to the first.
    pub reverse: bool,
    /// At most this many.
    pub limit: Option<u64>,
}

/// How a payload is fetched.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FetchOptions {
    /// From this peer only; `None`: from any peer that a session is open with.
    pub peer: Option<PeerId>,
}

/// How far a payload has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FetchProgress {
    /// Verified bytes here.
    pub received: u64,
    /// Length of the whole payload.
    pub total: u64,
}

/// The two kinds of namespace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NamespaceKind {
    /// Everyone owns their own subspace.
    Communal,
    /// Someone owns the whole and hands out capabilities.
    Owned,
}

/// What is known of a namespace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NamespaceInfo {
    /// Its id.
    pub id: NamespaceId,
    /// Its kind.
    pub kind: NamespaceKind,
    /// What the users here may do in it, somewhere; `None`: nothing.
    pub access: Option<Access>,
    /// Whether the secret that grants everything is here.
    pub has_secret: bool,
    /// How many entries of it are here.
    pub entries: u64,
    /// How long their payloads are together, in bytes, whether those are here or not.
    pub payload_bytes: u64,
    /// How many bytes of them are here.
    pub stored_bytes: u64,
    /// How much of it is kept at most.
    pub quota: Option<Quota>,
}

/// Reading, or reading and writing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Access {
    /// Reading alone.
    Read,
    /// Reading and writing.
    Write,
}

/// A capability held here.
#[derive(Clone, PartialEq, Debug)]
pub struct CapabilityInfo {
    /// The namespace it is about.
    pub namespace: NamespaceId,
    /// What it allows.
    pub access: Access,
    /// The user who may use it.
    pub receiver: SubspaceId,
    /// The area it covers.
    pub area: Area,
    /// How many times it was handed on.
    pub delegations: u64,
}

/// What to share, and with whom.
#[derive(Clone, PartialEq, Debug)]
pub struct ShareRequest {
    /// The namespace.
    pub namespace: NamespaceId,
    /// What the other may do.
    pub access: Access,
    /// The user it is for; `None`: a link, good for whoever has it.
    pub to: Option<SubspaceId>,
    /// The user who shares; `None`: any user here who may.
    pub from: Option<SubspaceId>,
    /// The part of the namespace; `None`: as much as the sharer's capability covers.
    pub area: Option<Area>,
}

/// What joining by a ticket gave.
#[derive(Clone, PartialEq, Debug)]
pub struct Joined {
    /// The namespace.
    pub namespace: NamespaceId,
    /// The user here who may use it now.
    pub user: SubspaceId,
    /// What that user may do.
    pub access: Access,
    /// Where.
    pub area: Area,
    /// Who to sync with.
    pub peers: Vec<PeerAddress>,
}

/// Who was given what, by whom, where.
#[derive(Clone, PartialEq, Debug)]
pub struct Grant {
    /// The user who gave; for a namespace's first capability, the user it was made for.
    pub from: SubspaceId,
    /// The user, or the key of a link, that it was given to.
    pub to: SubspaceId,
    /// What `to` may do.
    pub access: Access,
    /// Where.
    pub area: Area,
    /// Whether it is a link: `to` is a key that travels in the ticket.
    pub link: bool,
}

/// A secret that was imported.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ImportedSecret {
    /// The secret of a user.
    User(SubspaceId),
    /// The secret of a namespace.
    Namespace(NamespaceId),
}

/// Whose secret to export.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SecretOwner {
    /// A user's.
    User(SubspaceId),
    /// A namespace's.
    Namespace(NamespaceId),
}

/// What is known of a peer.
#[derive(Clone, PartialEq, Debug)]
pub struct PeerInfo {
    /// Its endpoint id.
    pub id: PeerId,
    /// How the connection with it stands.
    pub state: PeerState,
    /// Which end of the connection this node is, once there is one.
    pub role: Option<Role>,
    /// The relay that the connection runs through.
    pub relay: Option<String>,
    /// Round trip time in milliseconds.
    pub rtt_millis: Option<f64>,
    /// Bytes sent on the present connection, everything included.
    pub bytes_sent: u64,
    /// Bytes received on the present connection, everything included.
    pub bytes_received: u64,
    /// The own intents with this peer.
    pub intents: Vec<IntentId>,
    /// When the present state began, in milliseconds since the Unix epoch.
    pub since_unix_millis: u64,
    /// While waiting: milliseconds until the next dial; `None`: not before the network or the page is back.
    pub retry_millis: Option<u64>,
}

/// How the connection with a peer stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PeerState {
    /// Being dialed, or being decided on.
    Connecting,
    /// Connected, shaking hands.
    Establishing,
    /// A session runs.
    Active,
    /// The session is over; goodbyes are said.
    Terminating,
    /// Waiting to dial again.
    Waiting,
}
