//! The handle of a node: every method is a message to the node's own thread and back.

use osier_core::PeerId;
use willow25::prelude::{Area, NamespaceId, Path, SubspaceId};

use super::{
    CapabilityInfo, EntriesOptions, EntryInfo, EntryKey, Error, Events, FetchOptions, FetchProgress, Grant, ImportedSecret,
    IncomingSession, Intent, Joined, NamespaceInfo, NamespaceKind, NodeOptions, PeerAddress, PeerEvent, PeerInfo, ProgressId, SecretOwner,
    SessionInit, SetOutcome, SetRequest, ShareRequest, StoreEvent,
};

/// A running node. Clones are handles of the same node, and may be used from any thread. All futures may be dropped at any await:
/// the store stays consistent. After [`Node::shutdown`] every method fails with [`Error::ShuttingDown`].
#[derive(Clone, Debug)]
pub struct Node {
    id: PeerId,
}

impl Node {
    /// Opens a node. Does not wait for a relay.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a relay that is no URL.
    pub async fn open(options: NodeOptions) -> Result<Self, Error> {
        let _ = options;
        todo!()
    }

    /// The endpoint id.
    #[must_use]
    pub fn id(&self) -> PeerId {
        self.id
    }

    /// Where this node can be reached.
    #[must_use]
    pub fn address(&self) -> PeerAddress {
        todo!()
    }

    /// Waits until a relay is connected.
    pub async fn online(&self) -> Result<(), Error> {
        todo!()
    }

    /// Every peer that something is going on with.
    pub async fn peers(&self) -> Result<Vec<PeerInfo>, Error> {
        todo!()
    }

    /// Changes of the peers: first those present, then every change.
    #[must_use]
    pub fn watch_peers(&self) -> Events<PeerEvent> {
        todo!()
    }

    /// Ends every intent with a peer and the connection with it.
    pub async fn disconnect(&self, peer: PeerId) -> Result<(), Error> {
        let _ = peer;
        todo!()
    }

    /// Makes a user: a key pair whose secret stays here.
    pub async fn create_user(&self) -> Result<SubspaceId, Error> {
        todo!()
    }

    /// The users whose secrets are here, in the order of their creation.
    pub async fn users(&self) -> Result<Vec<SubspaceId>, Error> {
        todo!()
    }

    /// Makes a namespace, with full capabilities for `owner`.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`].
    pub async fn create_namespace(&self, kind: NamespaceKind, owner: SubspaceId) -> Result<NamespaceId, Error> {
        let _ = (kind, owner);
        todo!()
    }

    /// The namespaces known here.
    pub async fn namespaces(&self) -> Result<Vec<NamespaceInfo>, Error> {
        todo!()
    }

    /// The capabilities held here, for one namespace or all.
    pub async fn capabilities(&self, namespace: Option<NamespaceId>) -> Result<Vec<CapabilityInfo>, Error> {
        let _ = namespace;
        todo!()
    }

    /// A secret as text. Whoever has it *is* that user or owns that namespace.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`], [`Error::NoSuchNamespace`].
    pub async fn export_secret(&self, of: SecretOwner) -> Result<String, Error> {
        let _ = of;
        todo!()
    }

    /// Takes a secret in that [`Node::export_secret`] gave.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] with the argument `secret`.
    pub async fn import_secret(&self, text: &str) -> Result<ImportedSecret, Error> {
        let _ = text;
        todo!()
    }

    /// Writes an entry with its payload. Resolves when it is stored.
    ///
    /// # Errors
    /// [`Error::Obsolete`], [`Error::NoSuchUser`], [`Error::NotAuthorised`], [`Error::TimestampTooFarAhead`], [`Error::Storage`].
    pub async fn set(&self, namespace: NamespaceId, request: SetRequest) -> Result<SetOutcome, Error> {
        let _ = (namespace, request);
        todo!()
    }

    /// Takes an entry from elsewhere: the absolute encoding of an authorised entry. False: it was here already, or a newer one prunes it.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] with the argument `entry`, [`Error::InvalidSignature`], [`Error::TimestampTooFarAhead`], [`Error::Storage`].
    pub async fn ingest(&self, entry: Vec<u8>) -> Result<bool, Error> {
        let _ = entry;
        todo!()
    }

    /// The absolute encoding of an authorised entry, as [`Node::ingest`] takes it.
    ///
    /// # Errors
    /// [`Error::NoSuchEntry`].
    pub async fn export_entry(&self, key: EntryKey) -> Result<Vec<u8>, Error> {
        let _ = key;
        todo!()
    }

    /// The entry at a place, if there is one.
    pub async fn get(&self, namespace: NamespaceId, user: SubspaceId, path: Path) -> Result<Option<EntryInfo>, Error> {
        let _ = (namespace, user, path);
        todo!()
    }

    /// The entries of an area, ordered by (subspace, path), read page by page.
    #[must_use]
    pub fn entries(&self, namespace: NamespaceId, area: Area, options: EntriesOptions) -> Entries {
        let _ = (namespace, area, options);
        todo!()
    }

    /// Bytes of an entry's payload: `length` from `offset`, or all that follow.
    ///
    /// # Errors
    /// [`Error::NoSuchEntry`], [`Error::PayloadMissing`], [`Error::InvalidArgument`] for a range beyond the end.
    pub async fn payload(&self, key: EntryKey, offset: u64, length: Option<u64>) -> Result<Vec<u8>, Error> {
        let _ = (key, offset, length);
        todo!()
    }

    /// Gets the missing part of a payload from a peer that a session is open with. Resolves at once when nothing is missing.
    ///
    /// # Errors
    /// [`Error::NoSuchEntry`], [`Error::PayloadMissing`] when no connected peer has it.
    pub async fn fetch_payload(
        &self,
        key: EntryKey,
        options: FetchOptions,
        on_progress: impl Fn(FetchProgress) + Send + 'static,
    ) -> Result<(), Error> {
        let _ = (key, options, on_progress);
        todo!()
    }

    /// Removes entries here, and here alone: a peer that has them brings them back. Returns how many.
    pub async fn forget(&self, namespace: NamespaceId, area: Option<Area>) -> Result<u64, Error> {
        let _ = (namespace, area);
        todo!()
    }

    /// Changes in an area, from now on or after a point in history. Ends with the node.
    #[must_use]
    pub fn subscribe(&self, namespace: NamespaceId, area: Area, from: Option<ProgressId>) -> Events<StoreEvent> {
        let _ = (namespace, area, from);
        todo!()
    }

    /// Makes a ticket.
    ///
    /// # Errors
    /// [`Error::NoSuchNamespace`], [`Error::NoSuchUser`], [`Error::NotAuthorised`].
    pub async fn share(&self, request: ShareRequest) -> Result<String, Error> {
        let _ = request;
        todo!()
    }

    /// Takes a ticket, for this user or the user it was made out to; for a link, a user is made where there is none.
    ///
    /// # Errors
    /// [`Error::InvalidTicket`], [`Error::TicketForAnotherUser`], [`Error::NoSuchUser`].
    pub async fn join(&self, ticket: &str, as_user: Option<SubspaceId>) -> Result<Joined, Error> {
        let _ = (ticket, as_user);
        todo!()
    }

    /// Who was given what in a namespace, as far as the capabilities here show.
    pub async fn grants(&self, namespace: NamespaceId) -> Result<Vec<Grant>, Error> {
        let _ = namespace;
        todo!()
    }

    /// Syncs with a peer. The handle is there at once; what is wrong, with the arguments too, shows in it.
    #[must_use = "dropping the handle closes the intent; `detach` lets it run"]
    pub fn sync(&self, peer: PeerAddress, init: SessionInit) -> Intent {
        let _ = (peer, init);
        todo!()
    }

    /// Accepted sessions: first those running, then every new one. Not listening changes nothing.
    #[must_use]
    pub fn incoming(&self) -> Events<IncomingSession> {
        todo!()
    }

    /// Shuts down: every intent settles with [`Error::ShuttingDown`], connections are closed. 10 s at most; twice is once.
    pub async fn shutdown(&self) {
        todo!()
    }
}

/// The entries of a query, read page by page.
#[derive(Debug)]
pub struct Entries {}

impl Entries {
    /// The next entry, `None` after the last. An error ends the iteration.
    pub async fn next(&mut self) -> Option<Result<EntryInfo, Error>> {
        todo!()
    }
}
