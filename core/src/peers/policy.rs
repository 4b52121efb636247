//! When to try again. Arithmetic and a seeded source of jitter; knows nothing of peers.

/// What an intent does when its dial fails or its connection is lost.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ReconnectPolicy {
    /// The first wait, in microseconds.
    pub first_delay: u64,
    /// Each wait is this many times the one before. Below 1 (or not a number) counts as 1.
    pub factor: f64,
    /// No wait is longer, in microseconds (the longer waits after codes 7 and 9 excepted).
    pub cap: u64,
    /// The part of each wait that is random, 0 to 1: a wait lies between `(1 - jitter) × delay` and `delay`.
    pub jitter: f64,
    /// How many times in a row to try again; 0: fail at once; [`ReconnectPolicy::UNLIMITED`]: for ever.
    pub attempts: u32,
}

impl ReconnectPolicy {
    /// For `attempts`: never give up.
    pub const UNLIMITED: u32 = u32::MAX;

    /// Fails at once.
    pub const NEVER: Self = Self { first_delay: 500_000, factor: 2.0, cap: 30_000_000, jitter: 0.5, attempts: 0 };

    /// For intents that should survive: half a second, doubled up to half a minute, for ever.
    pub const ALWAYS: Self = Self { attempts: Self::UNLIMITED, ..Self::NEVER };

    /// Whether an intent that failed `failures` times in a row may try once more.
    pub(super) fn allows_another(&self, failures: u32) -> bool {
        self.limit().is_none_or(|limit| failures < limit)
    }

    /// How many attempts in a row are allowed; `None`: any number.
    pub(super) fn limit(&self) -> Option<u32> {
        (self.attempts != Self::UNLIMITED).then_some(self.attempts)
    }

    /// The wait before the `step`th attempt in a row (from 1), in microseconds.
    pub(super) fn delay(&self, step: u32, jitter: &mut Jitter) -> u64 {
        let factor = if self.factor >= 1.0 { self.factor } else { 1.0 };
        let cap = self.cap as f64;
        let mut delay = (self.first_delay as f64).min(cap);
        for _ in 1..step.min(64) {
            delay = (delay * factor).min(cap);
        }
        // A cast from f64 saturates, so no setting can overflow.
        let share = if self.jitter >= 0.0 { self.jitter.min(1.0) } else { 0.0 };
        (delay * (1.0 - share * jitter.next())) as u64
    }
}

impl Default for ReconnectPolicy {
    fn default() -> Self {
        Self::NEVER
    }
}

/// A seeded source of numbers in 0..1 (SplitMix64): the same seed gives the same waits.
#[derive(Clone, Debug, Hash)]
pub(super) struct Jitter(pub(super) u64);

impl Jitter {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 11) as f64 / (1u64 << 53) as f64
    }
}
