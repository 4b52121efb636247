//! `osier ls`, `cat` and `put`: a space from the shell. Each joins by ticket, syncs once, does its work and leaves.

use std::io::{Read as _, Write as _};

use clap::Args;
use osier::node::{Area, EntriesOptions, EntryInfo, FetchOptions, SetRequest};

use crate::{
    failure::{Failure, Outcome},
    space::{Space, SpaceOptions},
    text,
};

#[derive(Args)]
pub(crate) struct Ls {
    #[command(flatten)]
    space: SpaceOptions,
    /// Ticket of the space.
    #[arg(long)]
    ticket: String,
    /// Print one JSON object per entry.
    #[arg(long)]
    json: bool,
    /// Only entries below this path.
    path: Option<String>,
}

#[derive(Args)]
pub(crate) struct Cat {
    #[command(flatten)]
    space: SpaceOptions,
    /// Ticket of the space.
    #[arg(long)]
    ticket: String,
    /// The entry's path. Where several users have one, the newest is printed.
    path: String,
}

#[derive(Args)]
pub(crate) struct Put {
    #[command(flatten)]
    space: SpaceOptions,
    /// Ticket of the space; it must allow writing.
    #[arg(long)]
    ticket: String,
    /// The entry's path.
    path: String,
    /// File to read the payload from; without it and without --text, standard input.
    #[arg(conflicts_with = "text")]
    file: Option<std::path::PathBuf>,
    /// The payload itself.
    #[arg(long)]
    text: Option<String>,
}

/// Every entry of an area, in the store's order.
pub(crate) async fn entries(space: &Space, area: Area) -> Outcome<Vec<EntryInfo>> {
    let mut query = space.node.entries(space.joined.namespace.clone(), area, EntriesOptions::default());
    let mut found = Vec::new();
    while let Some(entry) = query.next().await {
        found.push(entry?);
    }
    Ok(found)
}

fn below(path: &str) -> Outcome<Area> {
    let mut area = Area::full();
    area.set_path(text::path_from_text(path)?);
    Ok(area)
}

/// Lists entries.
pub(crate) async fn ls(options: Ls) -> Outcome {
    let area = below(options.path.as_deref().unwrap_or(""))?;
    let space = Space::join(options.space, &options.ticket).await?;
    space.sync_once().await?;
    for entry in entries(&space, area).await? {
        if options.json {
            println!("{}", text::entry_to_json(&entry));
        } else {
            println!("{}  {:>12}  {}", &text::hex(entry.subspace.as_bytes())[..8], entry.payload_length, text::path_to_text(&entry.path));
        }
    }
    space.node.shutdown().await;
    Ok(())
}

/// Prints a payload.
pub(crate) async fn cat(options: Cat) -> Outcome {
    let area = below(&options.path)?;
    let space = Space::join(options.space, &options.ticket).await?;
    let intents = space.sync(osier::node::Mode::Live);
    wait_until_reconciled(&intents).await?;
    let mut versions = entries(&space, area.clone()).await?;
    versions.retain(|entry| entry.path == *area.path());
    let newest = versions.into_iter().max_by_key(|entry| entry.timestamp).ok_or_else(|| Failure::new("there is no entry at that path"))?;
    space.node.fetch_payload(newest.key(), FetchOptions::default(), |_| {}).await?;
    std::io::stdout().write_all(&space.node.payload(newest.key(), 0, None).await?)?;
    space.node.shutdown().await;
    Ok(())
}

/// Waits until one of the intents has everything, while they stay live, so that payloads can still be fetched.
async fn wait_until_reconciled(intents: &[osier::Intent]) -> Outcome {
    let mut last = Failure::new("the ticket names no peer to sync with");
    for intent in intents {
        let events = intent.events();
        while let Some(event) = events.next().await {
            match event {
                osier::node::SessionEvent::ReconciledAll => return Ok(()),
                osier::node::SessionEvent::Error { error } => last = error.into(),
                _ => {}
            }
        }
    }
    Err(last)
}

/// Writes an entry and hands it to the space's peers.
pub(crate) async fn put(options: Put) -> Outcome {
    let path = text::path_from_text(&options.path)?;
    let payload = match (options.text, options.file) {
        (Some(text), _) => text.into_bytes(),
        (None, Some(file)) => std::fs::read(&file).map_err(|error| Failure::new(format!("{}: {error}", file.display())))?,
        (None, None) => {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes)?;
            bytes
        }
    };
    let space = Space::join(options.space, &options.ticket).await?;
    space.sync_once().await?;
    let (namespace, user) = (space.joined.namespace.clone(), space.joined.user.clone());
    space.node.set(namespace, SetRequest { user, path, payload, timestamp: None }).await?;
    space.sync_once().await?;
    space.node.shutdown().await;
    Ok(())
}
