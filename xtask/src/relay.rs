//! A relay of our own: `osier relay` beside us.

use std::path::Path;

use crate::process::{Background, Outcome, program};

/// A running relay. It ends with this value, and also when xtask dies without a word: its stdin closes then.
pub struct Relay {
    program: Background,
    url: String,
}

impl Relay {
    /// Starts the relay of the native program `osier` on `port`, 0 for any, and waits until it listens.
    pub fn start(osier: &Path, port: u16) -> Outcome<Self> {
        let mut program = Background::start(program(osier).args(["relay", "--while-stdin", "--port", &port.to_string()]))?;
        let url = program.line()?;
        if !url.starts_with("http://") {
            return Err(format!("the relay printed `{url}` instead of its URL").into());
        }
        Ok(Self { program, url })
    }

    /// The URL of a relay on `port`.
    pub fn url_at(port: u16) -> String {
        format!("http://127.0.0.1:{port}")
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs until it ends, which it does only by failing.
    pub fn wait(self) -> Outcome {
        self.program.wait()
    }
}
