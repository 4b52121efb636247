#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
//! `osier peer --data` is killed at random moments, again and again. Whatever it has said is kept is there afterwards, and of nothing is
//! there a half.
//!
//! `OSIER_KILLS` says how many times (50), `OSIER_SEED` which random moments.

mod program;
mod stored;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use serde_json::{Value, json};

use program::{Program, Random};
use stored::{Stored, stored};

/// A relay that nobody runs. A node keeps its data without one, too.
const NO_RELAY: &str = "http://127.0.0.1:9";

/// A directory that is removed at the end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("osier-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        Self(folder)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// How many kills of those asked for, in percent.
fn kills(percent: usize) -> usize {
    let all = std::env::var("OSIER_KILLS").map_or(50, |count| count.parse().expect("OSIER_KILLS is a number"));
    (all * percent).div_ceil(100)
}

/// What the entry of this number holds: some are small, some have a payload of more than one group, some of more than one segment.
fn text(number: u64) -> String {
    let length = match number % 40 {
        7 => 20_000,
        23 => 150_000,
        rest => 10 + rest * 20,
    };
    let word = format!("{number} ");
    word.repeat(usize::try_from(length).unwrap() / word.len() + 1)
}

fn put(number: u64) -> Value {
    json!({ "cmd": "put", "path": ["entry", number.to_string()], "text": text(number) })
}

/// The number of the entry that a line is about.
fn number_of(line: &Value) -> u64 {
    line["path"][1].as_str().and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no entry of ours: {line}"))
}

/// What is stored is what was written, or a beginning of it.
fn check(stored: &Stored) -> BTreeMap<u64, usize> {
    let mut known = BTreeMap::new();
    for entry in &stored.entries {
        let number: u64 = std::str::from_utf8(&entry.path[1]).unwrap().parse().unwrap();
        let text = text(number);
        assert!(text.as_bytes().starts_with(&entry.payload), "the payload of {number} is not what was written");
        assert!(known.insert(number, entry.payload.len()).is_none());
    }
    known
}

#[test]
fn durable_what_a_killed_peer_has_acknowledged_is_there() {
    let place = Place::new("kills-of-writes");
    let mut random = Random::new();
    let (mut acknowledged, mut begun, mut identity) = (BTreeSet::new(), 0_u64, None);
    let count = kills(70);
    for kill in 0..count {
        let mut peer = Program::start(&["peer", "--relay", NO_RELAY, "--json", "--data", place.0.to_str().unwrap()]);
        if random.below(5) == 0 {
            // In the middle of its start.
            std::thread::sleep(Duration::from_micros(random.below(150_000)));
        } else {
            let ready = peer.line("ready");
            let who = (ready["id"].clone(), ready["user"].clone(), ready["namespace"].clone());
            assert_eq!(*identity.get_or_insert_with(|| who.clone()), who, "it is who it was");
            let wanted = random.below(30);
            let (mut answered, mut asked) = (0, 0);
            while answered < wanted {
                while asked < answered + 8 {
                    peer.send(&put(begun));
                    (asked, begun) = (asked + 1, begun + 1);
                }
                acknowledged.insert(number_of(&peer.line("put")));
                answered += 1;
            }
            std::thread::sleep(Duration::from_micros(random.below(4000)));
        }
        for line in peer.kill() {
            match line["type"].as_str() {
                Some("put") => drop(acknowledged.insert(number_of(&line))),
                Some("ready") => identity = Some((line["id"].clone(), line["user"].clone(), line["namespace"].clone())),
                _ => {}
            }
        }
        // Sometimes the program is the first to see what the kill has left.
        if random.below(2) == 0 || kill + 1 == count {
            let stored = stored(&place.0);
            let known = check(&stored);
            for number in &acknowledged {
                assert_eq!(known.get(number), Some(&text(*number).len()), "entry {number} was acknowledged before kill {kill}");
            }
            assert!(known.iter().all(|(number, length)| *number < begun && *length == text(*number).len()), "nothing is half there");
        }
    }
    assert!(acknowledged.len() > count, "{} in {count} kills", acknowledged.len());
}

#[test]
fn durable_what_a_killed_peer_has_received_is_there_and_the_rest_comes() {
    let place = Place::new("kills-of-syncs");
    let mut random = Random::new();
    let mut relay = Program::start(&["relay", "--while-stdin", "--port", "0"]);
    let url = relay.text();
    let mut host = Program::start(&["peer", "--relay", &url, "--json", "--print-ticket", "read"]);
    let ticket = host.line("ticket")["ticket"].as_str().unwrap().to_owned();
    let start = || Program::start(&["peer", "--relay", &url, "--ticket", &ticket, "--json", "--data", place.0.to_str().unwrap()]);
    let mut told: BTreeMap<u64, u64> = BTreeMap::new();
    // What a line says is here.
    let mut hear = |line: &Value| {
        if matches!(line["type"].as_str(), Some("inserted" | "stored")) {
            let available = told.entry(number_of(line)).or_default();
            *available = line["available"].as_u64().unwrap().max(*available);
        }
        told.clone()
    };
    let (mut written, mut seen) = (0, 0);
    for kill in 0..kills(30) {
        for _ in 0..40 {
            host.send(&put(written));
            host.line("put");
            written += 1;
        }
        let mut guest = start();
        // At least the forty are missing there.
        for _ in 0..random.below(40) {
            let line = guest.line_of(&["inserted", "stored"]);
            hear(&line);
            seen += 1;
        }
        std::thread::sleep(Duration::from_micros(random.below(4000)));
        let mut told = BTreeMap::new();
        for line in guest.kill() {
            told = hear(&line);
        }
        if random.below(2) == 0 {
            let known = check(&stored(&place.0));
            for (number, available) in &told {
                let length = known.get(number).unwrap_or_else(|| panic!("entry {number} was told before kill {kill}"));
                assert!(
                    *length as u64 >= *available,
                    "of entry {number} {available} bytes were told before kill {kill}, {length} are there"
                );
            }
        }
    }
    assert!(seen > kills(30), "{seen} lines");
    // What was broken off is taken up.
    let mut guest = start();
    let complete = |guest: &mut Program| {
        guest.send(&json!({ "cmd": "ls" }));
        let entries = guest.line("listing")["entries"].as_array().unwrap().clone();
        entries.len() as u64 == written && entries.iter().all(|entry| entry["available"] == entry["payload_length"])
    };
    while !complete(&mut guest) {
        std::thread::sleep(Duration::from_millis(50));
    }
    guest.kill();
    let known = check(&stored(&place.0));
    assert_eq!(known.len() as u64, written);
    assert!(known.iter().all(|(number, length)| *length == text(*number).len()));
}
