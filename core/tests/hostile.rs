//! The fuzz targets with bytes from a fixed sequence: their seeds, and changes to them. The same functions run for hours in `fuzz/`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

use fuzz::input::{Input, Sequence};

/// How many changed inputs each target gets. `OSIER_HOSTILE` multiplies it.
const ROUNDS: u64 = 1500;

fn rounds() -> u64 {
    ROUNDS * std::env::var("OSIER_HOSTILE").ok().and_then(|times| times.parse().ok()).unwrap_or(1)
}

fn attack(name: &str) {
    let target = fuzz::TARGETS.iter().find(|target| target.name == name).unwrap();
    let seeds = (target.seeds)();
    assert!(seeds.len() > 5);
    for seed in &seeds {
        (target.run)(seed);
    }
    let mut sequence = Sequence(0x005e_ed0f_0514 ^ seeds.len() as u64);
    for _ in 0..rounds() {
        let mut bytes = seeds[usize::try_from(sequence.next()).unwrap() % seeds.len()].clone();
        let changes = sequence.bytes(40);
        Input(&changes).change(&mut bytes);
        if sequence.next().is_multiple_of(4) {
            bytes.extend(sequence.bytes(60));
        }
        // A panic in there says nothing of its input.
        let result = std::panic::catch_unwind(|| (target.run)(&bytes));
        assert!(result.is_ok(), "{name} fails with {bytes:?}");
    }
}

#[test]
fn decoders_of_willow() {
    attack("willow");
}

#[test]
fn texts() {
    attack("text");
}

#[test]
fn payload_streams() {
    attack("payload");
}

#[test]
fn frames_and_messages() {
    attack("wire");
}

#[test]
fn overlap_detection() {
    attack("overlap");
}

#[test]
fn the_store() {
    attack("store");
}

#[test]
fn sessions() {
    attack("session");
}

#[test]
fn drops() {
    attack("drops");
}
