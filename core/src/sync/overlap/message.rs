//! The messages of the channels Overlap and Capability. Codec only.

use std::num::NonZeroU64;

use super::interest::InterestHash;
use crate::{
    sync::{error::SyncError, hello::MAX_PAYLOAD_POWER},
    willow::codec::{DecodeError, Reader, Writer, flag, is_set, tag},
};

/// PioBindHash: `[interested xxxxxxx] hash(32)`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct BindHash {
    pub(super) interested: bool,
    pub(super) hash: InterestHash,
}

impl BindHash {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(33);
        writer.u8(flag(0, self.interested));
        writer.bytes(&self.hash);
        writer.into_bytes()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, SyncError> {
        Self::read(bytes).map_err(|error| SyncError::undecodable("hash of an interest", error))
    }

    fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let header = reader.u8()?;
        let hash = reader.array()?;
        reader.finish()?;
        Ok(Self { interested: is_set(header, 0), hash })
    }
}

/// PioBindReadCapability without the capability itself:
/// `[sender:c64(2) | receiver:c64(2) | max_count:c64(2) | max_size+1:c64(2)] sender receiver max_count max_size+1 max_payload_power(1)`.
///
/// **Decision.** 0 on the wire means unlimited, for `max_count` and for `max_size + 1`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct BindCapability {
    /// Overlap handle of the sender.
    pub(super) sender: u64,
    /// Overlap handle of the receiver.
    pub(super) receiver: u64,
    pub(super) max_count: Option<NonZeroU64>,
    pub(super) max_size: Option<u64>,
    pub(super) max_payload_power: u8,
}

impl BindCapability {
    /// Writes everything that comes before the capability.
    pub(super) fn write(&self, writer: &mut Writer) {
        let max_count = self.max_count.map_or(0, NonZeroU64::get);
        let max_size = self.max_size.and_then(|size| size.checked_add(1)).unwrap_or(0);
        let fields = [(self.sender, 0..2), (self.receiver, 2..4), (max_count, 4..6), (max_size, 6..8)];
        writer.u8(fields.iter().fold(0, |header, (value, bits)| header | tag(*value, bits)));
        for (value, bits) in fields {
            writer.c64(value, bits);
        }
        writer.u8(self.max_payload_power);
    }

    /// Reads everything that comes before the capability.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, SyncError> {
        let message = Self::read_fields(reader).map_err(|error| SyncError::undecodable("read capability", error))?;
        let power = message.max_payload_power;
        if power > MAX_PAYLOAD_POWER { Err(SyncError::PayloadPower { power }) } else { Ok(message) }
    }

    fn read_fields(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let header = reader.u8()?;
        Ok(Self {
            sender: reader.c64(header, 0..2)?,
            receiver: reader.c64(header, 2..4)?,
            max_count: NonZeroU64::new(reader.c64(header, 4..6)?),
            max_size: reader.c64(header, 6..8)?.checked_sub(1),
            max_payload_power: reader.u8()?,
        })
    }
}
