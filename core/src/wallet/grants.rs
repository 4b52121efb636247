//! Who was given what, by whom, where: read off the capabilities held and remembered from what was shared.

use willow25::authorisation::raw::{Delegation, Genesis};
use willow25::entry::{NamespaceId, SubspaceId};
use willow25::groupings::Area;

use super::{Access, Wallet, WalletError};

/// One right that somebody was given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grant {
    /// The namespace.
    pub namespace: NamespaceId,
    /// What the receiver may do.
    pub access: Access,
    /// Where.
    pub area: Area,
    /// Who gave it.
    pub by: Grantor,
    /// Who was given it: a user, or the key of a link.
    pub to: SubspaceId,
    /// Whether `to` is the key of a link: everybody who has the link holds the right and can pass it on.
    pub link: bool,
}

/// Who gave a right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Grantor {
    /// The namespace itself: an owner's right, or in a communal namespace everybody's to their own subspace.
    Namespace,
    /// A user, or the key of a link.
    User(SubspaceId),
}

impl Wallet {
    /// The rights in a namespace that are known here: those that lead to the capabilities held, from the namespace on, and
    /// those that were shared from here. What others pass on is not known before it comes back.
    ///
    /// # Errors
    /// [`WalletError::NoSuchNamespace`].
    pub fn grants(&self, namespace: &NamespaceId) -> Result<Vec<Grant>, WalletError> {
        self.must_know(namespace)?;
        let mut grants = Vec::new();
        for held in self.read_capabilities(Some(namespace)) {
            self.follow(&mut grants, namespace, Access::Read, held.genesis(), held.delegations());
        }
        for held in self.write.iter().filter(|held| held.granted_namespace() == namespace) {
            self.follow(&mut grants, namespace, Access::Write, held.genesis(), held.delegations());
        }
        for given in self.given.iter().filter(|given| given.namespace == *namespace) {
            add(&mut grants, given.clone());
        }
        Ok(grants)
    }

    /// Adds the steps of one chain.
    fn follow(&self, grants: &mut Vec<Grant>, namespace: &NamespaceId, access: Access, genesis: &Genesis, delegations: &[Delegation]) {
        let first = genesis.user_key();
        let area = if genesis.is_owned() { Area::full() } else { Area::new_subspace_area(first.clone()) };
        let mut step = |by: Grantor, to: &SubspaceId, area: Area| {
            let grant = Grant { namespace: namespace.clone(), access, area, by, to: to.clone(), link: self.links.contains(to) };
            add(grants, grant);
        };
        step(Grantor::Namespace, first, area);
        let mut by = first;
        for delegation in delegations {
            step(Grantor::User(by.clone()), &delegation.user, delegation.area.clone());
            by = &delegation.user;
        }
    }
}

/// A right to read and one to write that are alike otherwise are one right to write.
fn add(grants: &mut Vec<Grant>, grant: Grant) {
    let known = grants.iter_mut().find(|known| known.by == grant.by && known.to == grant.to && known.area == grant.area);
    match known {
        Some(known) => known.access = known.access.max(grant.access),
        None => grants.push(grant),
    }
}
