//! Ed25519 alone, by the library and the rule that Osier uses.

use blake3::OutputReader;
use ed25519_zebra::{Signature, SigningKey, VerificationKeyBytes, batch};
use rand_core::{CryptoRng, Error, RngCore};
use wasm_bindgen::prelude::*;

/// What an entry with a short path encodes to.
const MESSAGE_BYTES: usize = 150;

/// Signed messages of one author.
#[wasm_bindgen]
pub struct Signatures {
    key: SigningKey,
    signed: Vec<(Signature, [u8; MESSAGE_BYTES])>,
}

#[wasm_bindgen]
impl Signatures {
    /// An author who has signed nothing.
    pub fn of_one_author() -> Signatures {
        Signatures { key: SigningKey::from([7; 32]), signed: Vec::new() }
    }

    /// Signs so many messages, one by one, and keeps them.
    pub fn sign(&mut self, count: u32) {
        for index in 0..count {
            let mut message = [0; MESSAGE_BYTES];
            message[..4].copy_from_slice(&index.to_be_bytes());
            self.signed.push((self.key.sign(&message), message));
        }
    }

    /// Verifies all that were signed in batches of `size`. False if one is wrong.
    pub fn verify(&self, size: usize) -> bool {
        let author = VerificationKeyBytes::from(&self.key);
        let verify = |batch: &[(Signature, [u8; MESSAGE_BYTES])]| {
            let mut verifier = batch::Verifier::new();
            for (signature, message) in batch {
                verifier.queue((author, *signature, message));
            }
            verifier.verify(Noise(blake3::Hasher::new().finalize_xof())).is_ok()
        };
        self.signed.chunks(size.max(1)).all(verify)
    }
}

/// Bytes without a pattern, for the coefficients of a batch.
struct Noise(OutputReader);

impl RngCore for Noise {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl CryptoRng for Noise {}
