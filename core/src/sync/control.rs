//! The messages of the Control channel.
//!
//! Three come from Confidential Sync: the announcement of an overlap, eagerness, and the freeing of a handle. The free prefix
//! `111 | kind(5)` carries what it lacks. Codec only: what a message does is the business of the machines.

use std::fmt;

use super::error::SyncError;
use crate::willow::{
    EntryId,
    codec::{DecodeError, Reader, Writer, field, flag, is_set, put_field, tag},
};

/// A kind of handle. Each side numbers the handles that it binds from 0, per kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum HandleKind {
    /// Hashes of interests.
    Overlap,
    /// Read capabilities, and with each an area of interest.
    Capability,
    /// Payload requests.
    PayloadRequest,
}

impl fmt::Display for HandleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Overlap => "overlap",
            Self::Capability => "capability",
            Self::PayloadRequest => "payload request",
        })
    }
}

/// A message of the Control channel. *Sender* and *receiver* handles are bound by the sender and the receiver of the message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ControlMessage {
    /// The sender's interest is more specific than the receiver's (PioAnnounceOverlap). Announcements are numbered from 0 per sender.
    AnnounceOverlap {
        /// Overlap handle of the sender's interest.
        sender: u64,
        /// Overlap handle of the receiver's interest.
        receiver: u64,
        /// Hash of the receiver's interest with the sender's salt.
        authentication: [u8; 32],
        /// The encoded enumeration capability of an awkward pair. Not decoded: awkward pairs are declined.
        enumeration: Option<Vec<u8>>,
    },
    /// How much the sender wants new entries of an overlap to be sent at once. Advisory (DataSetEagerness).
    SetEagerness {
        /// Whether it does.
        eager: bool,
        /// Read capability handle of the sender.
        sender: u64,
        /// Read capability handle of the receiver.
        receiver: u64,
    },
    /// The sender will not name this handle again (ResourceHandleFree).
    HandleFree {
        /// Kind of the handle.
        kind: HandleKind,
        /// Whether the sender of this message bound it.
        mine: bool,
        /// The handle.
        handle: u64,
        /// How many messages of the session stream that name it the sender has sent.
        references: u64,
    },
    /// What of the receiver's messages was dealt with, everything that follows from them being sent before. Each count never falls.
    OverlapSettled {
        /// Hashes of the receiver that were compared.
        hashes: u64,
        /// Announcements of the receiver that were answered.
        announcements: u64,
        /// Read capabilities of the receiver that were answered as far as they call for it.
        capabilities: u64,
        /// Hashes that the sender has bound so far.
        bound: u64,
    },
    /// The announcement of that number gets no capability (PioDecline).
    Decline {
        /// The number of the receiver's announcement.
        announcement: u64,
    },
    /// So many bytes of the session stream were processed since the last of these messages.
    Consumed {
        /// How many.
        bytes: u64,
    },
    /// Asks for a [`ControlMessage::Pong`] with the same nonce.
    Ping {
        /// Any number.
        nonce: u64,
    },
    /// The answer to a [`ControlMessage::Ping`].
    Pong {
        /// The nonce of the Ping.
        nonce: u64,
    },
    /// The next so many entries of the receiver, in the order in which they came to their end, are stored here with the whole of their
    /// payloads, or were before, or something newer stands in their place.
    Stored {
        /// How many.
        count: u64,
    },
    /// The next so many entries of the receiver are not stored here, or not yet with their payloads.
    NotStored {
        /// How many.
        count: u64,
    },
    /// The whole payload of an entry, which was asked for on a stream of its own, is stored here.
    PayloadStored {
        /// The entry.
        entry: EntryId,
    },
}

const OVERLAP_SETTLED: u8 = 0;
const DECLINE: u8 = 1;
const CONSUMED: u8 = 2;
const PING: u8 = 3;
const PONG: u8 = 4;
const STORED: u8 = 5;
const NOT_STORED: u8 = 6;
const PAYLOAD_STORED: u8 = 7;
const EXTENSION: u8 = 0b1110_0000;

impl ControlMessage {
    /// The message in bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        match self {
            Self::AnnounceOverlap { sender, receiver, authentication, enumeration } => {
                writer.u8(flag(2, enumeration.is_some()) | tag(*sender, &(3..5)) | tag(*receiver, &(5..8)));
                writer.c64(*sender, 3..5);
                writer.c64(*receiver, 5..8);
                writer.bytes(authentication);
                writer.bytes(enumeration.as_deref().unwrap_or_default());
            }
            Self::SetEagerness { eager, sender, receiver } => {
                writer.u8(flag(1, true) | flag(2, *eager) | tag(*sender, &(3..5)) | tag(*receiver, &(5..8)));
                writer.c64(*sender, 3..5);
                writer.c64(*receiver, 5..8);
            }
            Self::HandleFree { kind, mine, handle, references } => {
                let kind = match kind {
                    HandleKind::Overlap => 0,
                    HandleKind::Capability => 1,
                    HandleKind::PayloadRequest => 2,
                };
                let header = flag(0, true) | put_field(&(1..3), kind) | flag(3, *mine);
                writer.u8(header | tag(*handle, &(4..6)) | tag(*references, &(6..8)));
                writer.c64(*handle, 4..6);
                writer.c64(*references, 6..8);
            }
            Self::OverlapSettled { hashes, announcements, capabilities, bound } => {
                extension(&mut writer, OVERLAP_SETTLED, &[*hashes, *announcements, *capabilities, *bound]);
            }
            Self::Decline { announcement } => extension(&mut writer, DECLINE, &[*announcement]),
            Self::Consumed { bytes } => extension(&mut writer, CONSUMED, &[*bytes]),
            Self::Ping { nonce } => extension(&mut writer, PING, &[*nonce]),
            Self::Pong { nonce } => extension(&mut writer, PONG, &[*nonce]),
            Self::Stored { count } => extension(&mut writer, STORED, &[*count]),
            Self::NotStored { count } => extension(&mut writer, NOT_STORED, &[*count]),
            Self::PayloadStored { entry } => {
                extension(&mut writer, PAYLOAD_STORED, &[]);
                writer.bytes(&entry.0);
            }
        }
        writer.into_bytes()
    }

    /// The message that the whole of `bytes` encodes.
    ///
    /// # Errors
    /// [`SyncError::Undecodable`].
    pub fn decode(bytes: &[u8]) -> Result<Self, SyncError> {
        let mut reader = Reader::new(bytes);
        let message = Self::read(&mut reader).map_err(|error| SyncError::undecodable("control message", error))?;
        reader.finish().map_err(|error| SyncError::undecodable("control message", error))?;
        Ok(message)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let header = reader.u8()?;
        match field(header, &(0..3)) {
            0b000 | 0b001 => {
                let (sender, receiver) = (reader.c64(header, 3..5)?, reader.c64(header, 5..8)?);
                let authentication = reader.array()?;
                let enumeration = if is_set(header, 2) { Some(reader.take(reader.remaining())?.to_vec()) } else { None };
                Ok(Self::AnnounceOverlap { sender, receiver, authentication, enumeration })
            }
            0b010 | 0b011 => {
                let (sender, receiver) = (reader.c64(header, 3..5)?, reader.c64(header, 5..8)?);
                Ok(Self::SetEagerness { eager: is_set(header, 2), sender, receiver })
            }
            0b111 => Self::read_extension(field(header, &(3..8)), reader),
            kind => {
                let kind = match kind {
                    0b100 => HandleKind::Overlap,
                    0b101 => HandleKind::Capability,
                    _ => HandleKind::PayloadRequest,
                };
                let (handle, references) = (reader.c64(header, 4..6)?, reader.c64(header, 6..8)?);
                Ok(Self::HandleFree { kind, mine: is_set(header, 3), handle, references })
            }
        }
    }

    fn read_extension(kind: u8, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match kind {
            OVERLAP_SETTLED => Ok(Self::OverlapSettled {
                hashes: reader.c64_standalone()?,
                announcements: reader.c64_standalone()?,
                capabilities: reader.c64_standalone()?,
                bound: reader.c64_standalone()?,
            }),
            DECLINE => Ok(Self::Decline { announcement: reader.c64_standalone()? }),
            CONSUMED => Ok(Self::Consumed { bytes: reader.c64_standalone()? }),
            PING => Ok(Self::Ping { nonce: reader.c64_standalone()? }),
            PONG => Ok(Self::Pong { nonce: reader.c64_standalone()? }),
            STORED => Ok(Self::Stored { count: reader.c64_standalone()? }),
            NOT_STORED => Ok(Self::NotStored { count: reader.c64_standalone()? }),
            PAYLOAD_STORED => Ok(Self::PayloadStored { entry: EntryId(reader.array()?) }),
            _ => Err(DecodeError::Invalid("an unknown kind of extension")),
        }
    }
}

fn extension(writer: &mut Writer, kind: u8, numbers: &[u64]) {
    writer.u8(EXTENSION | kind);
    for &number in numbers {
        writer.c64_standalone(number);
    }
}

#[cfg(test)]
mod tests;
