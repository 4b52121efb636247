//! Tickets: capabilities and addresses as one text, for a user or for whoever has it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use willow25::authorisation::{ReadCapability, WriteCapability};
use willow25::entry::{NamespaceId, SubspaceId, SubspaceSecret};
use willow25::groupings::Area;

use super::Access;
use super::text::{self, Hex, TextError};
use crate::PeerId;
use crate::willow::cap_cache::{self, CapCache, MAX_DELEGATIONS};
use crate::willow::codec::{self, DecodeError, Reader, Writer};

const WORD: &str = "osier";
const VERSION: u32 = 1;
/// Long enough for two chains of 16 delegations and all addresses.
const MAX_TEXT: usize = 256 * 1024;
const WRITE: u8 = 7;
const LINK: u8 = 6;
const RESERVED: u8 = 0b1111_1100;

/// Where a node can be reached.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PeerAddress {
    /// Its endpoint id.
    pub id: PeerId,
    /// URLs of the relays where it can be found, the likeliest first.
    pub relays: Vec<String>,
}

/// A share of a namespace: capabilities, verified, with the addresses of nodes that have the data.
///
/// Made by [`Wallet::share`](super::Wallet::share) or parsed; used by [`Wallet::join`](super::Wallet::join). Its text is a
/// secret if it is a link: whoever reads it has the access it grants.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket {
    pub(super) read: Arc<ReadCapability>,
    pub(super) write: Option<Arc<WriteCapability>>,
    /// The secret of the receiver, for a link.
    pub(super) link: Option<SubspaceSecret>,
    peers: Vec<PeerAddress>,
}

/// Why a ticket cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TicketError {
    /// It is something else.
    #[error("the text is no ticket: it should start with {WORD}{VERSION}-")]
    NotATicket,
    /// It comes from another version of the software.
    #[error("the ticket has version {0}, only version {VERSION} is supported")]
    UnsupportedVersion(u32),
    /// It has a character or a length that no ticket has.
    #[error("the text of the ticket is malformed")]
    Malformed,
    /// A character was changed or lost.
    #[error("the checksum of the ticket is wrong: a part is missing or changed")]
    BadChecksum,
    /// Its text is whole, but its content is no encoding of a ticket.
    #[error("the content of the ticket cannot be read: {0}")]
    Undecodable(#[from] DecodeError),
    /// A signature in a capability is wrong, or it grants more than it was given.
    #[error("the ticket carries a capability that is not valid")]
    InvalidCapability,
    /// The two capabilities are not of the same namespace and receiver, or the key of a link does not belong to them.
    #[error("the parts of the ticket do not belong together")]
    Inconsistent,
    /// It was made for a user whose secret is not here.
    #[error("the ticket is for another user: {}", Hex(.0))]
    ForAnotherUser([u8; 32]),
}

impl Ticket {
    /// More peers are left out of a ticket.
    pub const MAX_PEERS: usize = 16;
    /// More relays of a peer are left out of a ticket.
    pub const MAX_RELAYS: usize = 8;
    /// Relay URLs of more bytes are left out of a ticket.
    pub const MAX_RELAY_LEN: usize = 1024;

    pub(super) fn new(
        read: Arc<ReadCapability>,
        write: Option<Arc<WriteCapability>>,
        link: Option<SubspaceSecret>,
    ) -> Result<Self, TicketError> {
        let ticket = Self { read, write, link, peers: Vec::new() };
        let fits = ticket
            .write
            .as_ref()
            .is_none_or(|write| write.receiver() == ticket.read.receiver() && write.granted_namespace() == ticket.read.granted_namespace());
        let opens = ticket.link.as_ref().is_none_or(|secret| &secret.corresponding_subspace_id() == ticket.read.receiver());
        if fits && opens { Ok(ticket) } else { Err(TicketError::Inconsistent) }
    }

    /// The ticket with these addresses, as far as its limits allow.
    #[must_use]
    pub fn with_peers(mut self, peers: impl IntoIterator<Item = PeerAddress>) -> Self {
        self.peers = peers.into_iter().take(Self::MAX_PEERS).collect();
        for peer in &mut self.peers {
            peer.relays.retain(|relay| relay.len() <= Self::MAX_RELAY_LEN);
            peer.relays.truncate(Self::MAX_RELAYS);
        }
        self
    }

    /// Nodes that have the data.
    #[must_use]
    pub fn peers(&self) -> &[PeerAddress] {
        &self.peers
    }

    /// The namespace that is shared.
    #[must_use]
    pub fn namespace(&self) -> &NamespaceId {
        self.read.granted_namespace()
    }

    /// Whether it grants writing as well as reading.
    #[must_use]
    pub fn access(&self) -> Access {
        if self.write.is_some() { Access::Write } else { Access::Read }
    }

    /// Where it grants reading.
    #[must_use]
    pub fn area(&self) -> Area {
        self.read.granted_area()
    }

    /// The user it is for; `None` for a link.
    #[must_use]
    pub fn receiver(&self) -> Option<&SubspaceId> {
        self.link.is_none().then(|| self.read.receiver())
    }

    fn content(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(codec::flag(LINK, self.link.is_some()) | codec::flag(WRITE, self.write.is_some()));
        if let Some(secret) = &self.link {
            w.bytes(secret.as_bytes());
        }
        cap_cache::encode_read_capability_absolute(&mut w, &self.read);
        if let Some(write) = &self.write {
            cap_cache::encode_write_capability(&mut w, write);
        }
        w.c64_standalone(self.peers.len() as u64);
        for peer in &self.peers {
            w.bytes(&peer.id.0);
            w.c64_standalone(peer.relays.len() as u64);
            for relay in &peer.relays {
                w.c64_standalone(relay.len() as u64);
                w.bytes(relay.as_bytes());
            }
        }
        w.into_bytes()
    }

    fn from_content(bytes: &[u8]) -> Result<Self, TicketError> {
        let mut r = Reader::new(bytes);
        let flags = r.u8()?;
        if flags & RESERVED != 0 {
            return Err(DecodeError::NotCanonic.into());
        }
        let link = if codec::is_set(flags, LINK) { Some(SubspaceSecret::from_bytes(&r.array()?)) } else { None };
        let mut capabilities = CapCache::new();
        let read = capabilities.decode_read_capability(&mut r).map_err(capability_error)?;
        if read.delegations().len() > MAX_DELEGATIONS {
            // A session passes it on once more, and no peer would take that.
            return Err(DecodeError::TooLarge.into());
        }
        let write =
            if codec::is_set(flags, WRITE) { Some(capabilities.decode_write_capability(&mut r).map_err(capability_error)?) } else { None };
        let ticket = Self::new(read, write, link)?;
        let peers = decode_peers(&mut r)?;
        r.finish()?;
        Ok(Self { peers, ..ticket })
    }
}

fn capability_error(error: DecodeError) -> TicketError {
    match error {
        DecodeError::InvalidCapability | DecodeError::NotGranted => TicketError::InvalidCapability,
        other => TicketError::Undecodable(other),
    }
}

/// A list is as long as the bytes that are there allow, and no longer than its limit.
fn decode_count(r: &mut Reader<'_>, most: usize) -> Result<usize, DecodeError> {
    usize::try_from(r.c64_standalone()?).ok().filter(|count| *count <= most).ok_or(DecodeError::TooLarge)
}

fn decode_peers(r: &mut Reader<'_>) -> Result<Vec<PeerAddress>, DecodeError> {
    (0..decode_count(r, Ticket::MAX_PEERS)?)
        .map(|_| {
            let id = PeerId(r.array()?);
            let relays = (0..decode_count(r, Ticket::MAX_RELAYS)?)
                .map(|_| {
                    let len = decode_count(r, Ticket::MAX_RELAY_LEN)?;
                    let url = std::str::from_utf8(r.take(len)?).map_err(|_| DecodeError::Invalid("the URL of a relay is no UTF-8"))?;
                    Ok(url.to_owned())
                })
                .collect::<Result<_, DecodeError>>()?;
            Ok(PeerAddress { id, relays })
        })
        .collect()
}

/// The text: `osier1-…`, fit for a URL.
impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::encode(WORD, VERSION, &self.content()))
    }
}

/// White space around the text does not matter.
impl FromStr for Ticket {
    type Err = TicketError;

    fn from_str(ticket: &str) -> Result<Self, TicketError> {
        let content = text::decode(WORD, VERSION, ticket, MAX_TEXT).map_err(|error| match error {
            TextError::OtherWord => TicketError::NotATicket,
            TextError::UnsupportedVersion(version) => TicketError::UnsupportedVersion(version),
            TextError::Malformed => TicketError::Malformed,
            TextError::Checksum => TicketError::BadChecksum,
        })?;
        Self::from_content(&content)
    }
}

/// Does not show the secret of a link.
impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("namespace", self.namespace())
            .field("access", &self.access())
            .field("receiver", &self.receiver())
            .field("peers", &self.peers)
            .finish_non_exhaustive()
    }
}
