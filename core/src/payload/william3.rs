//! The labels of WILLIAM3's Merkle tree: chunks, inner nodes, groups of chunks.
//!
//! The crate `bab_rs` keeps these two functions to itself and offers streams only over asynchronous stores, so they are
//! written here and compared with `bab_rs` in the tests. WILLIAM3 is BLAKE3's compression function with another
//! initialisation vector, no chunk counter, and the length of the subtree in place of the counter of an inner node.
//! Knows nothing of payloads, slices or streams.

use super::{CHUNK_SIZE, GROUP_SIZE};

/// A label of the Merkle tree.
pub type Label = [u8; 32];

const BLOCK: usize = 64;
const CHUNK_START: u32 = 1;
const CHUNK_END: u32 = 1 << 1;
const PARENT: u32 = 1 << 2;
const ROOT: u32 = 1 << 3;

const IV: [u32; 8] = [0xc88f_633b, 0x4168_fbf2, 0x6ba3_2583, 0xb0ff_1847, 0xac57_e47d, 0xa893_1330, 0x796a_4645, 0x6b28_a3ee];

const SCHEDULE: [[usize; 16]; 7] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8],
    [3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1],
    [10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6],
    [12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4],
    [9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7],
    [11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13],
];

#[inline(always)]
fn mix(state: &mut [u32; 16], a: usize, b: usize, c: usize, d: usize, x: u32, y: u32) {
    state[a] = state[a].wrapping_add(state[b]).wrapping_add(x);
    state[d] = (state[d] ^ state[a]).rotate_right(16);
    state[c] = state[c].wrapping_add(state[d]);
    state[b] = (state[b] ^ state[c]).rotate_right(12);
    state[a] = state[a].wrapping_add(state[b]).wrapping_add(y);
    state[d] = (state[d] ^ state[a]).rotate_right(8);
    state[c] = state[c].wrapping_add(state[d]);
    state[b] = (state[b] ^ state[c]).rotate_right(7);
}

#[inline(always)]
fn round(state: &mut [u32; 16], words: &[u32; 16], schedule: &[usize; 16]) {
    let word = |i: usize| words[schedule[i]];
    mix(state, 0, 4, 8, 12, word(0), word(1));
    mix(state, 1, 5, 9, 13, word(2), word(3));
    mix(state, 2, 6, 10, 14, word(4), word(5));
    mix(state, 3, 7, 11, 15, word(6), word(7));
    mix(state, 0, 5, 10, 15, word(8), word(9));
    mix(state, 1, 6, 11, 12, word(10), word(11));
    mix(state, 2, 7, 8, 13, word(12), word(13));
    mix(state, 3, 4, 9, 14, word(14), word(15));
}

/// One compression; `len` is the number of bytes of `block` that are no padding.
#[inline]
fn compress(cv: &mut [u32; 8], block: &[u8; BLOCK], len: u32, counter: u64, flags: u32) {
    let mut words = [0; 16];
    for (word, bytes) in words.iter_mut().zip(block.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    let [c0, c1, c2, c3, c4, c5, c6, c7] = *cv;
    let (low, high) = (counter as u32, (counter >> 32) as u32);
    let mut state = [c0, c1, c2, c3, c4, c5, c6, c7, IV[0], IV[1], IV[2], IV[3], low, high, len, flags];
    round(&mut state, &words, &SCHEDULE[0]);
    round(&mut state, &words, &SCHEDULE[1]);
    round(&mut state, &words, &SCHEDULE[2]);
    round(&mut state, &words, &SCHEDULE[3]);
    round(&mut state, &words, &SCHEDULE[4]);
    round(&mut state, &words, &SCHEDULE[5]);
    round(&mut state, &words, &SCHEDULE[6]);
    for i in 0..8 {
        cv[i] = state[i] ^ state[i + 8];
    }
}

fn label_of(cv: &[u32; 8]) -> Label {
    let mut label = [0; 32];
    for (bytes, word) in label.as_chunks_mut::<4>().0.iter_mut().zip(cv) {
        *bytes = word.to_le_bytes();
    }
    label
}

/// The label of a leaf: at most [`CHUNK_SIZE`] bytes; fewer only for the last chunk of a payload.
pub fn chunk_label(chunk: &[u8], is_root: bool) -> Label {
    debug_assert!(chunk.len() <= CHUNK_SIZE);
    let end = CHUNK_END | if is_root { ROOT } else { 0 };
    let mut cv = IV;
    let mut flags = CHUNK_START;
    let (blocks, tail) = chunk.as_chunks::<BLOCK>();
    // The last block carries the end flag; it is the tail, or a whole block where there is none.
    let (inner, last) = match (tail.is_empty(), blocks.split_last()) {
        (true, Some((last, inner))) => (inner, last.as_slice()),
        _ => (blocks, tail),
    };
    for block in inner {
        compress(&mut cv, block, BLOCK as u32, 0, flags);
        flags = 0;
    }
    let mut padded = [0; BLOCK];
    padded[..last.len()].copy_from_slice(last);
    compress(&mut cv, &padded, last.len() as u32, 0, flags | end);
    label_of(&cv)
}

/// The label of an inner node over `length` bytes of payload.
pub fn inner_label(left: &Label, right: &Label, length: u64, is_root: bool) -> Label {
    let mut block = [0; BLOCK];
    block[..32].copy_from_slice(left);
    block[32..].copy_from_slice(right);
    let mut cv = IV;
    compress(&mut cv, &block, BLOCK as u32, length, PARENT | if is_root { ROOT } else { 0 });
    label_of(&cv)
}

/// The label of the subtree over `bytes`: a group, at most [`GROUP_SIZE`] bytes.
pub fn group_label(bytes: &[u8], is_root: bool) -> Label {
    debug_assert!(bytes.len() <= GROUP_SIZE);
    if bytes.len() <= CHUNK_SIZE {
        return chunk_label(bytes, is_root);
    }
    // Left subtrees are the largest power of two below the number of chunks.
    let chunks = bytes.len().div_ceil(CHUNK_SIZE);
    let middle = chunks.next_power_of_two() / 2 * CHUNK_SIZE;
    let (left, right) = bytes.split_at(middle);
    inner_label(&group_label(left, false), &group_label(right, false), bytes.len() as u64, is_root)
}
