//! What a database says of itself: one small value, read and written in every transaction that changes anything.

use osier_core::store::{HistoryKey, ProgressId, StorageError};

use super::{
    SCHEMA,
    database::{Get, bytes},
    failure::Failure,
};

/// ```text
/// schema 4 · epoch 8 · progress 8 · entries 8 · payload bytes 8 · history 8
/// ```
/// Numbers are big-endian. A newer schema may have more behind them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct State {
    /// The layout of everything else.
    pub(super) schema: u32,
    /// Which opening owns the database: each one raises it, and writes only while it is still its own.
    pub(super) epoch: u64,
    /// The greatest progress that was committed.
    pub(super) progress: ProgressId,
    /// How many entries there are.
    pub(super) entries: u64,
    /// How many bytes their payloads have.
    pub(super) payload_bytes: u64,
    /// The greatest key in the history.
    pub(super) history: HistoryKey,
}

const LENGTH: usize = 4 + 5 * 8;

impl State {
    /// That of an empty database.
    pub(super) fn new() -> Self {
        Self { schema: SCHEMA, epoch: 0, progress: ProgressId::default(), entries: 0, payload_bytes: 0, history: HistoryKey::default() }
    }

    /// That of a database, which was asked for.
    pub(super) async fn read(state: Get) -> Result<Self, Failure> {
        Ok(Self::decode(&bytes(&state.await?.ok_or(Failure::Gone)?)?)?)
    }

    pub(super) fn encode(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[..4].copy_from_slice(&self.schema.to_be_bytes());
        let numbers = [self.epoch, self.progress.0, self.entries, self.payload_bytes, self.history.0];
        for (place, number) in bytes[4..].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StorageError> {
        let damaged = || StorageError::Corrupt("what the database says of itself".to_owned());
        let (schema, rest) = bytes.split_first_chunk::<4>().ok_or_else(damaged)?;
        let schema = u32::from_be_bytes(*schema);
        if schema > SCHEMA {
            // The caller refuses it; what else it says cannot be known.
            return Ok(Self { schema, ..Self::new() });
        }
        let numbers: Vec<u64> = rest.as_chunks::<8>().0.iter().map(|number| u64::from_be_bytes(*number)).collect();
        let &[epoch, progress, entries, payload_bytes, history] = &numbers[..] else { return Err(damaged()) };
        Ok(Self { schema, epoch, progress: ProgressId(progress), entries, payload_bytes, history: HistoryKey(history) })
    }
}
