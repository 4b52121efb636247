//! The program, started, spoken to and killed.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use serde_json::Value;

/// Far more than anything here takes.
const LIMIT: Duration = Duration::from_secs(60);

pub struct Program {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

/// The program that was built with this test, or the one that `OSIER_PROGRAM` names.
fn program() -> String {
    std::env::var("OSIER_PROGRAM").unwrap_or_else(|_| env!("CARGO_BIN_EXE_osier").to_owned())
}

impl Program {
    pub fn start(words: &[&str]) -> Self {
        let mut child =
            Command::new(program()).args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, input, lines }
    }

    /// The next line.
    pub fn text(&mut self) -> String {
        self.lines.recv_timeout(LIMIT).expect("the program says something")
    }

    /// The next line of one of these types; those before it are passed over.
    pub fn line_of(&mut self, kinds: &[&str]) -> Value {
        loop {
            let line: Value = serde_json::from_str(&self.text()).expect("a line is JSON");
            assert_ne!(line["type"], "commandFailed", "{line}");
            if line["type"].as_str().is_some_and(|kind| kinds.contains(&kind)) {
                return line;
            }
        }
    }

    pub fn line(&mut self, kind: &str) -> Value {
        self.line_of(&[kind])
    }

    pub fn send(&mut self, command: &Value) {
        writeln!(self.input, "{command}").expect("the program reads");
    }

    /// Kills it (SIGKILL on Unix), and returns what it had said and nobody had heard yet. A line that was cut is nothing that it said.
    pub fn kill(mut self) -> Vec<Value> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.lines.iter().filter_map(|line| serde_json::from_str(&line).ok()).collect()
    }
}

/// Nothing is left behind when a test fails.
impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Random numbers, from a seed that is printed.
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        let fresh = || u64::from_le_bytes(*osier::platform::random::<8>().as_array().unwrap()) | 1;
        let seed = std::env::var("OSIER_SEED").map_or_else(|_| fresh(), |seed| seed.parse().expect("OSIER_SEED is a number"));
        println!("OSIER_SEED={seed}");
        Self(seed | 1)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % bound
    }
}
