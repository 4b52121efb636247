//! Commands of `osier peer --json`: one JSON object a line in, one line of answer out.

use std::path::Path as FilePath;

use osier::node::{Area, SetRequest};
use serde_json::{Value, json};

use super::{Reporter, share_request};
use crate::{
    failure::{Failure, Outcome},
    inspect::entries,
    space::Space,
    text,
};

/// Runs a command and answers it. False: the program should end.
pub(super) async fn run(space: &Space, line: &str, reporter: Reporter) -> bool {
    let command: Value = serde_json::from_str(line).unwrap_or(Value::Null);
    let answer = match command["cmd"].as_str() {
        Some("quit") => return false,
        Some("ls") => list(space).await,
        Some("put") => put(space, &command).await,
        Some("export") => export(space, &command).await,
        Some("ticket") => ticket(space).await,
        _ => Err(Failure::new("expected an object with cmd: ls, put, export, ticket or quit")),
    };
    match answer {
        Ok(answer) => reporter.answer(&answer),
        Err(failure) => reporter.failed(&failure),
    }
    true
}

async fn list(space: &Space) -> Outcome<Value> {
    let found = entries(space, Area::full()).await?;
    Ok(json!({ "type": "listing", "entries": found.iter().map(text::entry_to_json).collect::<Value>() }))
}

async fn put(space: &Space, command: &Value) -> Outcome<Value> {
    let payload = command["text"].as_str().ok_or_else(|| Failure::new("text: expected a string"))?.as_bytes().to_vec();
    let request = SetRequest { user: space.joined.user.clone(), path: text::path_from_json(&command["path"])?, payload, timestamp: None };
    let written = space.node.set(space.joined.namespace.clone(), request).await?;
    Ok(json!({ "type": "put", "path": command["path"], "timestamp": written.entry.timestamp.to_string() }))
}

/// Writes every complete payload into a folder, each under its number in the listing.
async fn export(space: &Space, command: &Value) -> Outcome<Value> {
    let folder = FilePath::new(command["dir"].as_str().ok_or_else(|| Failure::new("dir: expected a string"))?);
    std::fs::create_dir_all(folder)?;
    let mut files = 0;
    for (number, entry) in entries(space, Area::full()).await?.iter().enumerate() {
        if entry.available == entry.payload_length {
            std::fs::write(folder.join(number.to_string()), space.node.payload(entry.key(), 0, None).await?)?;
            files += 1;
        }
    }
    Ok(json!({ "type": "exported", "files": files }))
}

async fn ticket(space: &Space) -> Outcome<Value> {
    let ticket = space.node.share(share_request(space, "write")).await?;
    Ok(json!({ "type": "ticket", "ticket": ticket }))
}
