//! Numbers that look random and depend on nothing but what they are made from (SplitMix64).

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One number from several, in their order.
pub(super) fn hash(words: &[u64]) -> u64 {
    words.iter().fold(STEP, |sum, word| mix(sum.wrapping_add(STEP) ^ word.wrapping_mul(0xd6e8_feb8_6659_fd93)))
}

/// One number from bytes.
pub(super) fn hash_bytes(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut sum = hash(&[bytes.len() as u64]);
    for word in words {
        sum = mix(sum ^ u64::from_le_bytes(*word)).wrapping_add(STEP);
    }
    rest.iter().fold(sum, |sum, byte| mix(sum ^ u64::from(*byte)))
}

/// A sequence of them.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(words: &[u64]) -> Self {
        Self(hash(words))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// From 0 to `bound`, which is not among them; 0 if there is nothing else.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { (self.next() >> 8) % bound }
    }

    pub(super) fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// Whether something happens that happens so often in a hundred times.
    pub(super) fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }
}
