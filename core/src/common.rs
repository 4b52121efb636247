//! Names that more than one module of the core shares.

use std::{fmt, str::FromStr};

/// A point on the driver's monotonic clock, in microseconds since an origin that the driver chooses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct Moment(pub u64);

impl Moment {
    /// The moment `micros` later, saturating at the end of time.
    #[must_use]
    pub fn after_micros(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// The moment `millis` later, saturating at the end of time.
    #[must_use]
    pub fn after_millis(self, millis: u64) -> Self {
        self.after_micros(millis.saturating_mul(1000))
    }

    /// Microseconds from `earlier` to this moment, zero if `earlier` is later.
    #[must_use]
    pub fn micros_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The endpoint id of a node: an Ed25519 public key, 32 bytes. It authenticates connections and never signs Willow data.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub [u8; 32]);

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex_from_key(&self.0))
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(5).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A text that is no peer id: 64 hexadecimal digits are expected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a peer id is 64 hexadecimal digits")]
pub struct PeerIdError;

impl FromStr for PeerId {
    type Err = PeerIdError;

    fn from_str(text: &str) -> Result<Self, PeerIdError> {
        key_from_hex(text).map(Self).ok_or(PeerIdError)
    }
}

/// 64 hexadecimal digits. Every entry that an app sees has three such texts: digit by digit, without the machinery of formatting.
fn hex_from_key(key: &[u8; 32]) -> String {
    let digit = |value: u8| char::from(if value < 10 { b'0' + value } else { b'a' + (value - 10) });
    key.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// 32 bytes from 64 hexadecimal digits.
pub(crate) fn key_from_hex(text: &str) -> Option<[u8; 32]> {
    let digits: [u8; 64] = text.as_bytes().try_into().ok()?;
    let mut key = [0; 32];
    for (byte, pair) in key.iter_mut().zip(digits.as_chunks::<2>().0) {
        let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
        *byte = u8::try_from(high? * 16 + low?).ok()?;
    }
    Some(key)
}

/// Which start of a node, and which of its dials or accepts: (instance, counter), ordered lexicographically.
///
/// The instance is the start time in milliseconds (8 bytes, big-endian) followed by 8 random bytes. A Hello is *newer* than
/// another of the same endpoint key iff its generation is greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Generation {
    /// Start of the node: milliseconds since the Unix epoch (8 bytes, big-endian) ‖ 8 random bytes.
    pub instance: [u8; 16],
    /// Raised at every dial and every committed accept of that instance.
    pub counter: u64,
}

/// Names an intent within a node. Never reused while the node runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct IntentId(pub u64);

/// Names a session within a node. Never reused while the node runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct SessionId(pub u64);

/// How long an intent wants to stay.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Mode {
    /// Reconcile, then end.
    Once,
    /// Reconcile, then forward what is new until closed.
    Live,
}

/// Which end of a connection a node is (Confidential Sync's names).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Role {
    /// The dialer. Opens the session stream, speaks first, initiates reconciliation.
    Alfie,
    /// The acceptor.
    Betty,
}

impl Role {
    /// The other end.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Alfie => Self::Betty,
            Self::Betty => Self::Alfie,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peer_id_round_trips_as_hex_and_refuses_other_text() {
        let id = PeerId(std::array::from_fn(|i| i as u8 * 7));
        assert_eq!(id.to_string().parse::<PeerId>(), Ok(id));
        assert_eq!(id.to_string().to_uppercase().parse::<PeerId>(), Ok(id));
        for bad in ["", "00", &"g".repeat(64), &"é".repeat(32), &"0".repeat(63), &"0".repeat(65)] {
            assert_eq!(bad.parse::<PeerId>(), Err(PeerIdError), "{bad}");
        }
    }

    #[test]
    fn generations_are_ordered_by_instance_then_counter() {
        let generation = |instance, counter| Generation { instance: [instance; 16], counter };
        assert!(generation(1, 9) < generation(2, 0));
        assert!(generation(2, 0) < generation(2, 1));
    }

    #[test]
    fn moments_saturate() {
        assert_eq!(Moment(u64::MAX - 1).after_millis(u64::MAX), Moment(u64::MAX));
        assert_eq!(Moment(3).micros_since(Moment(5)), 0);
    }
}
