//! Choices out of arbitrary bytes, and changes to valid ones. Bytes that are not there read as 0.

/// Reads choices from the front.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    /// Whether there is anything left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    /// Whether something happens that happens once in `end` times.
    pub fn once_in(&mut self, end: usize) -> bool {
        self.below(end) == 0
    }

    /// One of `choices`.
    pub fn pick<'b, T>(&mut self, choices: &'b [T]) -> &'b T {
        &choices[self.below(choices.len())]
    }

    /// A number: small ones, those around powers of two and the largest are likely.
    pub fn number(&mut self) -> u64 {
        let byte = self.byte();
        match byte {
            0..=127 => u64::from(byte),
            128..=191 => (1_u64 << (byte - 128)).wrapping_add(u64::from(self.byte() % 4)).wrapping_sub(2),
            192..=254 => u64::from_be_bytes([0, 0, 0, 0, 0, self.byte(), self.byte(), self.byte()]),
            255 => u64::MAX - u64::from(self.byte() % 4),
        }
    }

    /// Up to `count` bytes.
    pub fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// What is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// Changes a message in some way.
    pub fn change(&mut self, message: &mut Vec<u8>) {
        for _ in 0..1 + self.below(3) {
            let at = usize::from(u16::from_be_bytes([self.byte(), self.byte()])) % (message.len() + 1);
            match self.byte() % 5 {
                0 if at < message.len() => message[at] ^= 1 << self.below(8),
                1 if at < message.len() => message[at] = self.byte(),
                2 => message.truncate(at),
                3 => message.insert(at, self.byte()),
                _ => drop(message.drain(at..(at + self.below(40)).min(message.len()))),
            }
        }
    }
}

/// Numbers that look random and are always the same (xorshift).
pub struct Sequence(pub u64);

impl Sequence {
    /// The next one.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_be_bytes()[3]).collect()
    }
}
