//! What a wallet holds, and the questions that need no new capability.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use willow25::authorisation::{ReadCapability, WriteCapability};
use willow25::entry::{NamespaceId, NamespaceSecret, SubspaceId, SubspaceSecret};
use willow25::groupings::Area;
use willow25::paths::Path;

use super::grants::Grant;
use super::{Access, Secret, SecretError, WalletError};

/// Half of all keys are of the wanted kind; a working source of randomness never needs this many.
const MAX_TRIES: usize = 256;

/// Everything that gives rights: the secrets of the local users and owned namespaces, and the capabilities of the users.
#[derive(Clone, Default)]
pub struct Wallet {
    pub(super) users: Vec<User>,
    pub(super) namespaces: Vec<Namespace>,
    pub(super) read: Vec<Arc<ReadCapability>>,
    pub(super) write: Vec<Arc<WriteCapability>>,
    /// What was shared from here.
    pub(super) given: Vec<Grant>,
    /// Receivers that are the keys of links, given or joined.
    pub(super) links: BTreeSet<SubspaceId>,
}

#[derive(Clone)]
pub(super) struct User {
    pub(super) id: SubspaceId,
    pub(super) secret: SubspaceSecret,
}

#[derive(Clone)]
pub(super) struct Namespace {
    pub(super) id: NamespaceId,
    pub(super) secret: Option<NamespaceSecret>,
}

/// Who may write in a namespace by right.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum NamespaceKind {
    /// Everybody, each in their own subspace.
    Communal,
    /// Its owner, and whoever the owner lets.
    Owned,
}

impl NamespaceKind {
    /// The kind of a namespace: it is part of its id.
    #[must_use]
    pub fn of(id: &NamespaceId) -> Self {
        if id.is_communal() { Self::Communal } else { Self::Owned }
    }
}

/// A namespace that the wallet knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NamespaceInfo {
    /// Its id.
    pub id: NamespaceId,
    /// Its kind.
    pub kind: NamespaceKind,
    /// The most that a local user may do somewhere in it; `None` if nothing.
    pub access: Option<Access>,
    /// Whether its own secret is here, which makes capabilities for everything in it.
    pub owner: bool,
}

/// A capability that a local user holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CapabilityInfo {
    /// The namespace.
    pub namespace: NamespaceId,
    /// What it grants: a capability to write grants nothing else; users hold one to read beside it.
    pub access: Access,
    /// Where.
    pub area: Area,
    /// The local user who holds it.
    pub receiver: SubspaceId,
    /// How often it was passed on.
    pub delegations: usize,
}

/// What [`Wallet::import_secret`] brought.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Imported {
    /// A user.
    User(SubspaceId),
    /// An owned namespace.
    Namespace(NamespaceId),
}

impl Wallet {
    /// A wallet that holds nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the user with this Ed25519 secret (32 random bytes for a new one); nothing changes if they are here.
    pub fn create_user(&mut self, secret: [u8; 32]) -> SubspaceId {
        self.add_user(SubspaceSecret::from_bytes(&secret))
    }

    pub(super) fn add_user(&mut self, secret: SubspaceSecret) -> SubspaceId {
        let id = secret.corresponding_subspace_id();
        if self.user_secret(&id).is_none() {
            self.users.push(User { id: id.clone(), secret });
        }
        id
    }

    /// The local users, in the order in which they were added.
    pub fn users(&self) -> impl Iterator<Item = &SubspaceId> {
        self.users.iter().map(|user| &user.id)
    }

    /// The secret of a local user, to sign with.
    #[must_use]
    pub fn user_secret(&self, user: &SubspaceId) -> Option<&SubspaceSecret> {
        self.users.iter().find(|known| known.id == *user).map(|known| &known.secret)
    }

    pub(super) fn secret_of(&self, user: &SubspaceId) -> Result<&SubspaceSecret, WalletError> {
        self.user_secret(user).ok_or_else(|| WalletError::NoSuchUser(user.to_bytes()))
    }

    /// Makes a namespace and gives `owner` capabilities for all of it (communal: for their subspace).
    ///
    /// `random` yields 32 fresh random bytes at each call; it is called until the key is of the wanted kind.
    ///
    /// # Errors
    /// [`WalletError::NoSuchUser`] for an owner whose secret is not here, [`WalletError::Randomness`].
    pub fn create_namespace(
        &mut self,
        kind: NamespaceKind,
        owner: &SubspaceId,
        mut random: impl FnMut() -> [u8; 32],
    ) -> Result<NamespaceId, WalletError> {
        self.secret_of(owner)?;
        let (id, secret) = (0..MAX_TRIES)
            .map(|_| NamespaceSecret::from_bytes(&random()))
            .map(|secret| (secret.corresponding_namespace_id(), secret))
            .find(|(id, _)| NamespaceKind::of(id) == kind)
            .ok_or(WalletError::Randomness)?;
        match kind {
            NamespaceKind::Owned => self.own(secret, owner),
            NamespaceKind::Communal => self.take_part(&id, owner),
        }
        Ok(id)
    }

    /// Gives `user` everything in an owned namespace.
    fn own(&mut self, secret: NamespaceSecret, user: &SubspaceId) {
        self.hold_read(Arc::new(ReadCapability::new_owned(&secret, user.clone())));
        self.hold_write(Arc::new(WriteCapability::new_owned(&secret, user.clone())));
        let id = secret.corresponding_namespace_id();
        self.know(&id).secret = Some(secret);
    }

    /// Gives `user` what every user has in a communal namespace: their own subspace.
    pub(super) fn take_part(&mut self, namespace: &NamespaceId, user: &SubspaceId) {
        self.know(namespace);
        self.hold_read(Arc::new(ReadCapability::new_communal(namespace.clone(), user.clone())));
        self.hold_write(Arc::new(WriteCapability::new_communal(namespace.clone(), user.clone())));
    }

    pub(super) fn know(&mut self, namespace: &NamespaceId) -> &mut Namespace {
        let at = self.namespaces.iter().position(|known| known.id == *namespace).unwrap_or_else(|| {
            self.namespaces.push(Namespace { id: namespace.clone(), secret: None });
            self.namespaces.len() - 1
        });
        &mut self.namespaces[at]
    }

    pub(super) fn hold_read(&mut self, capability: Arc<ReadCapability>) {
        if !self.read.contains(&capability) {
            self.read.push(capability);
        }
    }

    pub(super) fn hold_write(&mut self, capability: Arc<WriteCapability>) {
        if !self.write.contains(&capability) {
            self.write.push(capability);
        }
    }

    /// The namespaces known here, in the order in which they became so.
    #[must_use]
    pub fn namespaces(&self) -> Vec<NamespaceInfo> {
        self.namespaces
            .iter()
            .map(|namespace| {
                let writes = self.write.iter().any(|capability| capability.granted_namespace() == &namespace.id);
                let reads = self.read.iter().any(|capability| capability.granted_namespace() == &namespace.id);
                NamespaceInfo {
                    id: namespace.id.clone(),
                    kind: NamespaceKind::of(&namespace.id),
                    access: if writes { Some(Access::Write) } else { reads.then_some(Access::Read) },
                    owner: namespace.secret.is_some(),
                }
            })
            .collect()
    }

    /// Whether the namespace is known here.
    #[must_use]
    pub fn knows(&self, namespace: &NamespaceId) -> bool {
        self.namespaces.iter().any(|known| known.id == *namespace)
    }

    pub(super) fn must_know(&self, namespace: &NamespaceId) -> Result<(), WalletError> {
        if self.knows(namespace) { Ok(()) } else { Err(WalletError::NoSuchNamespace(namespace.to_bytes())) }
    }

    /// The capabilities held, those to read first; of one namespace, or of all.
    #[must_use]
    pub fn capabilities(&self, namespace: Option<&NamespaceId>) -> Vec<CapabilityInfo> {
        let reads = self.read.iter().map(|capability| CapabilityInfo {
            namespace: capability.granted_namespace().clone(),
            access: Access::Read,
            area: capability.granted_area(),
            receiver: capability.receiver().clone(),
            delegations: capability.delegations().len(),
        });
        let writes = self.write.iter().map(|capability| CapabilityInfo {
            namespace: capability.granted_namespace().clone(),
            access: Access::Write,
            area: capability.granted_area(),
            receiver: capability.receiver().clone(),
            delegations: capability.delegations().len(),
        });
        reads.chain(writes).filter(|info| namespace.is_none_or(|wanted| info.namespace == *wanted)).collect()
    }

    /// The capabilities to read, of one namespace or of all.
    pub fn read_capabilities(&self, namespace: Option<&NamespaceId>) -> impl Iterator<Item = &Arc<ReadCapability>> {
        self.read.iter().filter(move |capability| namespace.is_none_or(|wanted| capability.granted_namespace() == wanted))
    }

    /// The capability with which `user` writes at `path` in their subspace, and the secret to sign with.
    ///
    /// One that is not restricted in time is preferred; whether a restricted one covers the entry's timestamp shows
    /// when the entry is signed.
    ///
    /// # Errors
    /// [`WalletError::NoSuchUser`], [`WalletError::NoSuchNamespace`], [`WalletError::MayNotWrite`].
    pub fn write_capability_for(
        &self,
        namespace: &NamespaceId,
        user: &SubspaceId,
        path: &Path,
    ) -> Result<(Arc<WriteCapability>, &SubspaceSecret), WalletError> {
        let secret = self.secret_of(user)?;
        self.must_know(namespace)?;
        self.write
            .iter()
            .filter(|capability| capability.granted_namespace() == namespace && capability.receiver() == user)
            .map(|capability| (capability, capability.granted_area()))
            .filter(|(_, area)| area.subspace().is_none_or(|subspace| subspace == user) && path.is_prefixed_by(area.path()))
            .max_by_key(|(_, area)| area.times().is_full())
            .map(|(capability, _)| (Arc::clone(capability), secret))
            .ok_or_else(|| WalletError::MayNotWrite(user.to_bytes()))
    }

    /// The secret of a user as text: whoever reads it can be that user.
    ///
    /// # Errors
    /// [`WalletError::NoSuchUser`].
    pub fn export_user(&self, user: &SubspaceId) -> Result<String, WalletError> {
        Ok(Secret::User(self.secret_of(user)?.clone()).to_text())
    }

    /// The secret of an owned namespace as text: whoever reads it owns it.
    ///
    /// # Errors
    /// [`WalletError::NoSuchNamespace`], [`WalletError::NoNamespaceSecret`].
    pub fn export_namespace(&self, namespace: &NamespaceId) -> Result<String, WalletError> {
        self.must_know(namespace)?;
        let secret = self.namespaces.iter().find(|known| known.id == *namespace).and_then(|known| known.secret.clone());
        secret.map(|secret| Secret::Namespace(secret).to_text()).ok_or_else(|| WalletError::NoNamespaceSecret(namespace.to_bytes()))
    }

    /// Adds what a text from [`export_user`](Self::export_user) or [`export_namespace`](Self::export_namespace) holds.
    ///
    /// Everything in an imported namespace is given to `owner`, or else the first user, or else a new one.
    ///
    /// # Errors
    /// [`WalletError::Secret`], [`WalletError::NoSuchUser`] for an owner whose secret is not here.
    pub fn import_secret(
        &mut self,
        text: &str,
        owner: Option<&SubspaceId>,
        random: impl FnMut() -> [u8; 32],
    ) -> Result<Imported, WalletError> {
        match Secret::from_text(text)? {
            Secret::User(secret) => Ok(Imported::User(self.add_user(secret))),
            Secret::Namespace(secret) => {
                let id = secret.corresponding_namespace_id();
                if id.is_communal() {
                    return Err(SecretError::Communal.into());
                }
                let owner = self.some_user(owner, random)?;
                self.own(secret, &owner);
                Ok(Imported::Namespace(id))
            }
        }
    }

    /// The wanted user, or the first, or a new one.
    pub(super) fn some_user(
        &mut self,
        wanted: Option<&SubspaceId>,
        mut random: impl FnMut() -> [u8; 32],
    ) -> Result<SubspaceId, WalletError> {
        match (wanted, self.users.first()) {
            (Some(wanted), _) => self.secret_of(wanted).map(|_| wanted.clone()),
            (None, Some(first)) => Ok(first.id.clone()),
            (None, None) => Ok(self.create_user(random())),
        }
    }
}

/// Does not show secrets.
impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wallet")
            .field("users", &self.users.len())
            .field("namespaces", &self.namespaces())
            .field("read", &self.read.len())
            .field("write", &self.write.len())
            .finish_non_exhaustive()
    }
}
