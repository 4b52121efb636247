//! `osier`, the native program: an always-on peer, a relay for development, a look into a space from the shell, and backups.
//!
//! A file per subcommand; what they share is in `space` (open, join, sync) and `text` (how things are printed and parsed).

mod backup;
mod failure;
mod inspect;
mod peer;
mod relay;
mod space;
mod text;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A Willow node: private, local-first sync over relayed, end-to-end encrypted connections.
#[derive(Parser)]
#[command(name = "osier", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a relay on loopback, for development.
    Relay(relay::Options),
    /// Run a peer: join a space (or make one), stay in sync, print what happens.
    Peer(peer::Options),
    /// List the entries of a space.
    Ls(inspect::Ls),
    /// Print the payload of an entry.
    Cat(inspect::Cat),
    /// Write an entry from a file, from text or from standard input.
    Put(inspect::Put),
    /// Write what a directory holds of a space to a file: a drop, as backup or to be carried.
    Export(backup::Export),
    /// Read a drop into a directory.
    Import(backup::Import),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Relay(options) => relay::run(options).await,
        Command::Peer(options) => peer::run(options).await,
        Command::Ls(options) => inspect::ls(options).await,
        Command::Cat(options) => inspect::cat(options).await,
        Command::Put(options) => inspect::put(options).await,
        Command::Export(options) => backup::export(options).await,
        Command::Import(options) => backup::import(options).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("osier: {failure}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_subcommand_and_option_says_what_it_is_for() {
        let mut command = Cli::command();
        command.build();
        for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
            assert!(subcommand.get_about().is_some(), "{}", subcommand.get_name());
            for argument in subcommand.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {}", subcommand.get_name(), argument.get_id());
            }
        }
        command.debug_assert();
    }
}
