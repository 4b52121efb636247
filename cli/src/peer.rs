//! `osier peer`: joins a space or makes one, stays in sync and prints one line for everything that happens. With `--json` it also takes
//! commands, one JSON object a line.

mod commands;
mod report;

use clap::Args;
use osier::{
    Events, Node,
    node::{Access, Area, IncomingSession, Mode, SessionEvent, ShareRequest, StoreEvent},
};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines, Stdin};

use crate::{
    failure::Outcome,
    space::{Space, SpaceOptions},
    text,
};
use report::Reporter;

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    space: SpaceOptions,
    /// Ticket of the space to join; without it a new space is made.
    #[arg(long)]
    ticket: Option<String>,
    /// Print a ticket for others, with this access, once the relay is reached.
    #[arg(long, value_name = "ACCESS", value_parser = ["read", "write"])]
    print_ticket: Option<String>,
    /// Print JSON, one object a line, and take commands on standard input: ls, put, export, ticket, quit.
    #[arg(long)]
    json: bool,
}

/// Runs until it is interrupted, told to quit, or its input ends (with `--json`).
pub(crate) async fn run(options: Options) -> Outcome {
    let reporter = Reporter { json: options.json };
    let space = match &options.ticket {
        Some(ticket) => Space::join(options.space, ticket).await?,
        None => Space::create(options.space).await?,
    };
    reporter.ready(&space);
    let changes = space.node.subscribe(space.joined.namespace.clone(), Area::full(), None);
    let intents = space.sync(Mode::Live);
    let local = tokio::task::LocalSet::new();
    for intent in &intents {
        local.spawn_local(follow(intent.events(), reporter));
    }
    local.spawn_local(follow_incoming(space.node.incoming(), reporter));
    local.spawn_local(follow_store(changes, reporter));
    if let Some(access) = options.print_ticket {
        local.spawn_local(print_ticket(space.node.clone(), share_request(&space, &access), reporter));
    }
    let outcome = local.run_until(serve(&space, options.json, reporter)).await;
    space.node.shutdown().await;
    outcome
}

fn share_request(space: &Space, access: &str) -> ShareRequest {
    let access = if access == "write" { Access::Write } else { Access::Read };
    ShareRequest { namespace: space.joined.namespace.clone(), access, to: None, from: None, area: None }
}

async fn print_ticket(node: Node, request: ShareRequest, reporter: Reporter) {
    let made = async {
        node.online().await?;
        node.share(request).await
    };
    match made.await {
        Ok(ticket) => reporter.ticket(&ticket),
        Err(error) => reporter.failed(&error.into()),
    }
}

async fn follow(events: Events<SessionEvent>, reporter: Reporter) {
    while let Some(event) = events.next().await {
        reporter.session(&event);
    }
}

async fn follow_incoming(sessions: Events<IncomingSession>, reporter: Reporter) {
    while let Some(session) = sessions.next().await {
        tokio::task::spawn_local(follow(session.events(), reporter));
    }
}

async fn follow_store(changes: Events<StoreEvent>, reporter: Reporter) {
    while let Some(change) = changes.next().await {
        reporter.store(&change);
    }
}

/// Answers commands until there is a reason to end.
async fn serve(space: &Space, json: bool, reporter: Reporter) -> Outcome {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => return Ok(interrupted?),
            line = next_line(&mut lines), if json => match line? {
                Some(line) if commands::run(space, &line, reporter).await => {}
                _ => return Ok(()),
            },
        }
    }
}

async fn next_line(lines: &mut Lines<BufReader<Stdin>>) -> Outcome<Option<String>> {
    Ok(lines.next_line().await?)
}

/// A user's key, as it is given to others.
fn user_of(space: &Space) -> String {
    text::hex(space.joined.user.as_bytes())
}
