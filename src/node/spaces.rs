//! Users, namespaces, capabilities and tickets: the methods of a node about who may do what.

use osier_core::{
    store::Quota,
    wallet::{Secret, Ticket, Wallet},
};
use willow25::prelude::{NamespaceId, SubspaceId};

use super::{
    CapabilityInfo, Error, Grant, ImportedSecret, Joined, NamespaceInfo, NamespaceKind, Node, SecretOwner, ShareRequest, convert, sessions,
};
use crate::platform;

impl Node {
    /// Makes a user: a key pair whose secret stays here.
    ///
    /// # Errors
    /// [`Error::ShuttingDown`].
    pub async fn create_user(&self) -> Result<SubspaceId, Error> {
        self.call(|node| async move { node.change_wallet(|wallet| Ok(wallet.create_user(platform::random()))).await }).await
    }

    /// The users whose secrets are here, in the order of their creation.
    ///
    /// # Errors
    /// [`Error::ShuttingDown`].
    pub async fn users(&self) -> Result<Vec<SubspaceId>, Error> {
        self.call(|node| async move { Ok(node.wallet.borrow().users().cloned().collect()) }).await
    }

    /// Makes a namespace, with full capabilities for `owner`.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`].
    pub async fn create_namespace(&self, kind: NamespaceKind, owner: SubspaceId) -> Result<NamespaceId, Error> {
        self.call(move |node| async move {
            let made = |wallet: &mut Wallet| Ok(wallet.create_namespace(convert::kind_for(kind), &owner, platform::random)?);
            let namespace = node.change_wallet(made).await?;
            sessions::interests_changed(&node);
            Ok(namespace)
        })
        .await
    }

    /// The namespaces known here.
    ///
    /// # Errors
    /// [`Error::ShuttingDown`].
    pub async fn namespaces(&self) -> Result<Vec<NamespaceInfo>, Error> {
        self.call(|node| async move {
            let (known, store) = (node.wallet.borrow().namespaces(), node.storage.store());
            Ok(known.into_iter().map(|info| convert::namespace_info(info, &store)).collect())
        })
        .await
    }

    /// Limits how much of a namespace is kept here, whoever it comes from; `None` ends that. It lasts as long as the storage. What is here stays.
    /// Own writes that would exceed it fail with [`Error::QuotaExceeded`], and entries of peers are refused as if they had not come: sessions go
    /// on, and bring them again another time.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn set_quota(&self, namespace: NamespaceId, quota: Option<Quota>) -> Result<(), Error> {
        self.call(move |node| async move { node.storage.write(|store| Ok(store.plan_quota(&namespace, quota))).await.map(drop) }).await
    }

    /// The capabilities held here, for one namespace or all.
    ///
    /// # Errors
    /// [`Error::ShuttingDown`].
    pub async fn capabilities(&self, namespace: Option<NamespaceId>) -> Result<Vec<CapabilityInfo>, Error> {
        self.call(move |node| async move {
            let held = node.wallet.borrow().capabilities(namespace.as_ref());
            Ok(held.into_iter().map(convert::capability_info).collect())
        })
        .await
    }

    /// A secret as text. Whoever has it *is* that user or owns that namespace.
    ///
    /// # Errors
    /// [`Error::NoSuchUser`], [`Error::NoSuchNamespace`], [`Error::NotAuthorised`] for a namespace whose secret is elsewhere.
    pub async fn export_secret(&self, of: SecretOwner) -> Result<String, Error> {
        self.call(move |node| async move {
            let wallet = node.wallet.borrow();
            Ok(match of {
                SecretOwner::User(id) => wallet.export_user(&id)?,
                SecretOwner::Namespace(id) => wallet.export_namespace(&id)?,
            })
        })
        .await
    }

    /// Takes a secret in that [`Node::export_secret`] gave. A namespace's gives its first user here full capabilities.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] with the argument `secret`, [`Error::NoSuchUser`].
    pub async fn import_secret(&self, text: &str) -> Result<ImportedSecret, Error> {
        Secret::from_text(text).map_err(|error| Error::invalid_argument("secret", error))?;
        let text = text.to_owned();
        self.call(move |node| async move {
            let imported = node.change_wallet(|wallet| Ok(wallet.import_secret(&text, None, platform::random)?)).await?;
            sessions::interests_changed(&node);
            Ok(convert::imported(imported))
        })
        .await
    }

    /// Makes a ticket, with this node's address in it.
    ///
    /// # Errors
    /// [`Error::NoSuchNamespace`], [`Error::NoSuchUser`], [`Error::NotAuthorised`].
    pub async fn share(&self, request: ShareRequest) -> Result<String, Error> {
        let address = self.address();
        self.call(move |node| async move {
            let request = convert::share_request(request);
            let ticket = node.change_wallet(|wallet| Ok(wallet.share(&request, platform::random)?)).await?;
            Ok(ticket.with_peers([address]).to_string())
        })
        .await
    }

    /// Takes a ticket, for this user or the user it was made out to; for a link, a user is made where there is none.
    ///
    /// # Errors
    /// [`Error::InvalidTicket`], [`Error::TicketForAnotherUser`], [`Error::NoSuchUser`].
    pub async fn join(&self, ticket: &str, as_user: Option<SubspaceId>) -> Result<Joined, Error> {
        let ticket: Ticket = ticket.parse()?;
        self.call(move |node| async move {
            let joined = node.change_wallet(|wallet| Ok(wallet.join(&ticket, as_user.as_ref(), platform::random)?)).await?;
            sessions::interests_changed(&node);
            Ok(Joined {
                namespace: joined.namespace,
                user: joined.user,
                access: convert::access_of(joined.access),
                area: joined.area,
                peers: ticket.peers().to_vec(),
            })
        })
        .await
    }

    /// Who was given what in a namespace, as far as the capabilities here show.
    ///
    /// # Errors
    /// [`Error::NoSuchNamespace`].
    pub async fn grants(&self, namespace: NamespaceId) -> Result<Vec<Grant>, Error> {
        self.call(move |node| async move {
            let grants = node.wallet.borrow().grants(&namespace)?;
            Ok(grants.into_iter().map(convert::grant).collect())
        })
        .await
    }
}
