//! Passing rights on and taking them over: `share` and `join`.

use std::sync::Arc;

use willow25::authorisation::{ReadCapability, WriteCapability};
use willow25::entry::{NamespaceId, SubspaceId, SubspaceSecret};
use willow25::groupings::Area;

use super::grants::{Grant, Grantor};
use super::ticket::{Ticket, TicketError};
use super::{Access, Wallet, WalletError};
use crate::willow::MAX_DELEGATIONS;

/// What to share.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShareRequest {
    /// The namespace.
    pub namespace: NamespaceId,
    /// Reading, or reading and writing.
    pub access: Access,
    /// For this user alone; `None` for a link, which is for whoever has it.
    pub to: Option<SubspaceId>,
    /// The local user who shares; `None` for the first who can.
    pub from: Option<SubspaceId>,
    /// Where; `None` for everything that a capability of the user covers (communal: their subspace).
    pub area: Option<Area>,
}

/// What a ticket gave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Joined {
    /// The namespace.
    pub namespace: NamespaceId,
    /// The local user who holds the capabilities now.
    pub user: SubspaceId,
    /// What they may do.
    pub access: Access,
    /// Where.
    pub area: Area,
}

/// Capabilities of one user that cover an area.
struct Held {
    user: SubspaceId,
    area: Area,
    read: Arc<ReadCapability>,
    write: Option<Arc<WriteCapability>>,
}

impl Wallet {
    /// Delegates capabilities to a user or to the fresh key of a link. The addresses are the caller's to add
    /// ([`Ticket::with_peers`]).
    ///
    /// `random` yields 32 fresh random bytes; it is called once, for a link.
    ///
    /// # Errors
    /// [`WalletError::NoSuchNamespace`], [`WalletError::NoSuchUser`] for a sharing user whose secret is not here,
    /// [`WalletError::MayNotShare`], [`WalletError::TooManyDelegations`].
    pub fn share(&mut self, request: &ShareRequest, mut random: impl FnMut() -> [u8; 32]) -> Result<Ticket, WalletError> {
        self.must_know(&request.namespace)?;
        if let Some(from) = &request.from {
            self.secret_of(from)?;
        }
        let held = self
            .users()
            .filter(|user| request.from.as_ref().is_none_or(|from| from == *user))
            .find_map(|user| self.held_for(user, request))
            .ok_or(WalletError::MayNotShare)?;
        let link = request.to.is_none().then(|| SubspaceSecret::from_bytes(&random()));
        let receiver = match (&request.to, &link) {
            (Some(to), _) => to.clone(),
            (None, Some(link)) => link.corresponding_subspace_id(),
            (None, None) => return Err(WalletError::MayNotShare),
        };
        let secret = self.secret_of(&held.user)?;
        let read = delegate_read(&held.read, secret, &held.area, &receiver)?;
        let write = held.write.map(|write| delegate_write(&write, secret, &held.area, &receiver)).transpose()?;
        let ticket = Ticket::new(read, write, link)?;
        if ticket.link.is_some() {
            self.links.insert(receiver.clone());
        }
        let grant = Grant {
            namespace: request.namespace.clone(),
            access: request.access,
            area: held.area,
            by: Grantor::User(held.user),
            link: ticket.link.is_some(),
            to: receiver,
        };
        if !self.given.contains(&grant) {
            self.given.push(grant);
        }
        Ok(ticket)
    }

    /// Capabilities of `user` that cover the area asked for, or the widest area of one.
    fn held_for(&self, user: &SubspaceId, request: &ShareRequest) -> Option<Held> {
        let reads = || self.read_capabilities(Some(&request.namespace)).filter(|capability| capability.receiver() == user);
        let writes = || self.write.iter().filter(|held| held.granted_namespace() == &request.namespace && held.receiver() == user);
        let areas: Vec<Area> = match (&request.area, request.access) {
            (Some(area), _) => vec![area.clone()],
            (None, Access::Read) => reads().map(|capability| capability.granted_area()).collect(),
            (None, Access::Write) => writes().map(|capability| capability.granted_area()).collect(),
        };
        let covered = areas.into_iter().filter_map(|area| {
            let read = reads().filter(|held| held.includes_area(&area)).min_by_key(|held| held.delegations().len())?;
            let write = match request.access {
                Access::Read => None,
                Access::Write => Some(writes().filter(|held| held.includes_area(&area)).min_by_key(|held| held.delegations().len())?),
            };
            Some(Held { user: user.clone(), read: Arc::clone(read), write: write.map(Arc::clone), area })
        });
        // Of comparable areas the wider one; of others the first.
        covered.reduce(|best, next| if next.area > best.area { next } else { best })
    }

    /// Takes over what a ticket grants.
    ///
    /// A ticket for a user gives it to that user. A link delegates it to `user`, or else the first user, or else a
    /// new one; for that `random` yields 32 fresh random bytes. Joining again changes nothing. In a communal namespace
    /// the user also takes part with their own subspace, as anybody may.
    ///
    /// # Errors
    /// [`TicketError::ForAnotherUser`], [`WalletError::NoSuchUser`], [`WalletError::TooManyDelegations`].
    pub fn join(&mut self, ticket: &Ticket, user: Option<&SubspaceId>, random: impl FnMut() -> [u8; 32]) -> Result<Joined, WalletError> {
        let (user, read, write) = match &ticket.link {
            None => {
                let receiver = ticket.read.receiver();
                if self.user_secret(receiver).is_none() || user.is_some_and(|user| user != receiver) {
                    return Err(TicketError::ForAnotherUser(receiver.to_bytes()).into());
                }
                (receiver.clone(), Arc::clone(&ticket.read), ticket.write.clone())
            }
            Some(link) => {
                // Before a user is made: an error changes nothing.
                let longest = ticket.write.as_ref().map_or(0, |write| write.delegations().len()).max(ticket.read.delegations().len());
                if longest >= MAX_DELEGATIONS {
                    return Err(WalletError::TooManyDelegations);
                }
                let user = self.some_user(user, random)?;
                let read = delegate_read(&ticket.read, link, &ticket.area(), &user)?;
                let write = ticket.write.as_ref().map(|write| delegate_write(write, link, &write.granted_area(), &user)).transpose()?;
                self.links.insert(ticket.read.receiver().clone());
                (user, read, write)
            }
        };
        let namespace = ticket.namespace().clone();
        self.know(&namespace);
        self.hold_read(read);
        if let Some(write) = write {
            self.hold_write(write);
        }
        if namespace.is_communal() {
            self.take_part(&namespace, &user);
        }
        Ok(Joined { namespace, user, access: ticket.access(), area: ticket.area() })
    }
}

fn delegate_read(held: &ReadCapability, secret: &SubspaceSecret, area: &Area, to: &SubspaceId) -> Result<Arc<ReadCapability>, WalletError> {
    if held.delegations().len() >= MAX_DELEGATIONS {
        return Err(WalletError::TooManyDelegations);
    }
    let mut capability = held.clone();
    capability.try_delegate(secret, area.clone(), to.clone()).map_err(|_| WalletError::MayNotShare)?;
    Ok(Arc::new(capability))
}

fn delegate_write(
    held: &WriteCapability,
    secret: &SubspaceSecret,
    area: &Area,
    to: &SubspaceId,
) -> Result<Arc<WriteCapability>, WalletError> {
    if held.delegations().len() >= MAX_DELEGATIONS {
        return Err(WalletError::TooManyDelegations);
    }
    let mut capability = held.clone();
    capability.try_delegate(secret, area.clone(), to.clone()).map_err(|_| WalletError::MayNotShare)?;
    Ok(Arc::new(capability))
}
