//! What a node is opened with.

use std::sync::Arc;

use osier_core::Mode;

use super::AcceptHandler;
use crate::backend::Lock;
use willow25::prelude::{Area, NamespaceId};

/// How to open a node. `Default` is an ephemeral identity without a relay.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// URLs of relays, `http(s)://host[:port]`. Connections run through them alone; with none, `sync` fails.
    pub relays: Vec<String>,
    /// Where data is kept.
    pub storage: StorageOptions,
    /// The Ed25519 secret of the endpoint.
    pub secret_key: SecretKey,
    /// What to do in a browser when another tab has a node with the key that is given here. Who is robbed of it shuts down. A key that is kept
    /// in the storage is locked with it; natively no key is locked.
    pub key_lock: Lock,
    /// Who may connect to this node.
    pub accept: AcceptPolicy,
    /// Bounds on what peers may use.
    pub limits: Limits,
    /// When to dial again, for intents that do not say otherwise.
    pub reconnect: ReconnectPolicy,
    /// How far in the future an entry's timestamp may be, in microseconds. Later ones are rejected.
    pub max_future_micros: u64,
    /// Who is told how far the opening is.
    pub on_opening: Option<OpeningHandler>,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self {
            relays: Vec::new(),
            storage: StorageOptions::default(),
            secret_key: SecretKey::default(),
            key_lock: Lock::default(),
            accept: AcceptPolicy::default(),
            limits: Limits::default(),
            reconnect: ReconnectPolicy::default(),
            max_future_micros: 10 * 60 * 1_000_000,
            on_opening: None,
        }
    }
}

/// How far the opening of a durable storage is. It is told as each part has been read, and at the end, when both numbers are equal
/// unless rows were damaged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opening {
    /// How many entries have been read.
    pub entries: u64,
    /// How many there are.
    pub total: u64,
}

/// Is told how far the opening of a node is. It runs on the node's thread, which it must not block.
#[derive(Clone)]
pub struct OpeningHandler(Arc<dyn Fn(Opening) + Send + Sync>);

impl OpeningHandler {
    /// A handler.
    pub fn new(handler: impl Fn(Opening) + Send + Sync + 'static) -> Self {
        Self(Arc::new(handler))
    }

    pub(super) fn tell(&self, opening: Opening) {
        (self.0)(opening);
    }
}

impl std::fmt::Debug for OpeningHandler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OpeningHandler")
    }
}

/// Where a node keeps its data.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum StorageOptions {
    /// In memory: it lives as long as the node.
    #[default]
    Memory,
    /// In durable storage: IndexedDB in a browser, a `redb` file natively.
    Durable {
        /// The name of the database; natively the directory, made if it is not there.
        place: String,
        /// What to do when it is open elsewhere.
        lock: Lock,
    },
}

/// The secret of the endpoint, which makes its id.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SecretKey {
    /// Made once and kept in the storage, so that the node is the same when it is opened again.
    #[default]
    Stored,
    /// Made for this node and forgotten with it.
    Ephemeral,
    /// This one, 32 bytes.
    Given([u8; 32]),
}

/// Who may connect to this node.
#[derive(Clone, Debug, Default)]
pub enum AcceptPolicy {
    /// Everyone, with interest in everything held here, as long as the peer stays. What they get is decided by capabilities alone.
    #[default]
    All,
    /// Nobody, except peers that an own intent waits for.
    None,
    /// Whom a handler accepts, with the interests that it says.
    Ask(AcceptHandler),
}

/// Bounds on what peers may use of this node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Incoming connections whose handshake is not finished. More are refused before it; whoever dials sees
    /// [`Error::LimitExceeded`](super::Error::LimitExceeded), and may try again later.
    pub handshakes: usize,
    /// Those among them that are of one peer: the oldest gives way.
    pub handshakes_per_peer: usize,
    /// Peers that are being decided on or have a session, when another one connects: that one sees `LimitExceeded`, too. Own intents
    /// are not limited, nor are the peers that they wait for. One peer never has more than one session.
    pub sessions: usize,
    /// Payloads that are fetched at the same time from one peer. The others wait.
    pub payloads_per_session: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { handshakes: 64, handshakes_per_peer: 4, sessions: 256, payloads_per_session: 8 }
    }
}

/// When to dial again after a dial failed or a connection was lost. What the network, the page or the home relay says cuts a wait short;
/// a session of a minute makes up for the failures before it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ReconnectPolicy {
    /// The first wait, in milliseconds; 0 counts as 1.
    pub first_delay_millis: u64,
    /// Each wait is this many times the one before. Below 1 (or not a number) counts as 1.
    pub factor: f64,
    /// No wait is longer, in milliseconds (but those after the peer said that it has too many sessions, or that the key is used twice).
    pub cap_millis: u64,
    /// The part of each wait that is random, 0 to 1: a wait lies between `(1 - jitter) × delay` and `delay`.
    pub jitter: f64,
    /// How many times in a row to try again; 0: fail at once.
    pub attempts: Attempts,
}

impl Default for ReconnectPolicy {
    /// Half a second, doubled up to half a minute, half of it random.
    fn default() -> Self {
        Self { first_delay_millis: 500, factor: 2.0, cap_millis: 30_000, jitter: 0.5, attempts: Attempts::ByMode }
    }
}

impl ReconnectPolicy {
    /// An intent fails with its dial or its connection.
    #[must_use]
    pub fn never() -> Self {
        Self { attempts: Attempts::AtMost(0), ..Self::default() }
    }
}

/// How many times in a row to try again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Attempts {
    /// Live intents without limit, once-intents [`Attempts::ONCE`] times.
    #[default]
    ByMode,
    /// So many times.
    AtMost(u32),
    /// Without limit.
    Unlimited,
}

impl Attempts {
    /// What [`Attempts::ByMode`] means for an intent that wants to sync once.
    pub const ONCE: u32 = 2;
}

/// What an intent wants from a peer.
#[derive(Clone, PartialEq, Debug)]
pub struct SessionInit {
    /// Which data.
    pub interests: Interests,
    /// For how long.
    pub mode: Mode,
    /// When to dial again; `None`: as the node's options say.
    pub reconnect: Option<ReconnectPolicy>,
}

impl Default for SessionInit {
    fn default() -> Self {
        Self { interests: Interests::All, mode: Mode::Live, reconnect: None }
    }
}

/// Which data an intent is about.
#[derive(Clone, PartialEq, Debug, Default)]
pub enum Interests {
    /// Everything that the capabilities here can read.
    #[default]
    All,
    /// These only.
    Some(Vec<Interest>),
}

/// An interest in a namespace or a part of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Interest {
    /// The namespace.
    pub namespace: NamespaceId,
    /// The part of the namespace; `None`: as much as the capabilities cover.
    pub area: Option<Area>,
    /// At most this many entries; `None`: no bound.
    pub max_count: Option<u64>,
    /// At most this many payload bytes; `None`: no bound.
    pub max_size: Option<u64>,
}

impl Interest {
    /// Interest in a whole namespace.
    #[must_use]
    pub fn namespace(namespace: NamespaceId) -> Self {
        Self { namespace, area: None, max_count: None, max_size: None }
    }
}
