//! Writes the seeds of each target where the fuzzer looks for them: `fuzz/corpus/<target>/`.
#![allow(clippy::unwrap_used)]

use std::{fs, path::Path};

fn main() {
    for target in osier_fuzz::TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
        fs::create_dir_all(&folder).unwrap();
        for (number, seed) in (target.seeds)().iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:03}")), seed).unwrap();
        }
    }
}
