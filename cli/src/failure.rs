//! Why a subcommand ended with exit code 1, as one line.

use std::fmt;

/// One line for the person at the terminal, and the node's stable code where there is one.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    code: Option<&'static str>,
}

pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// A failure in words.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: None }
    }

    /// The node's code, or `usage` for what the program itself found wrong.
    pub(crate) fn code(&self) -> &'static str {
        self.code.unwrap_or("usage")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<osier::Error> for Failure {
    fn from(error: osier::Error) -> Self {
        Self { message: error.to_string(), code: Some(error.code()) }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string())
    }
}
