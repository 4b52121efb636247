//! One line for everything that happens: for people, or JSON.

use std::io::Write as _;

use osier::node::{Completion, EntryKey, Retry, Role, SessionEvent, StoreEvent};
use serde_json::{Value, json};

use super::user_of;
use crate::{failure::Failure, space::Space, text};

/// Where lines go.
#[derive(Clone, Copy)]
pub(super) struct Reporter {
    pub(super) json: bool,
}

impl Reporter {
    /// Prints a line at once, whoever reads it. A reader who is gone is not our concern: the input ends, too.
    fn line(self, object: &Value, words: &str) {
        let mut out = std::io::stdout().lock();
        let _ = if self.json { writeln!(out, "{object}") } else { writeln!(out, "{words}") };
        let _ = out.flush();
    }

    /// The answer to a command.
    pub(super) fn answer(self, object: &Value) {
        self.line(object, "");
    }

    pub(super) fn ready(self, space: &Space) {
        let (id, user, namespace) = (space.node.id().to_string(), user_of(space), text::hex(space.joined.namespace.as_bytes()));
        let words = format!("node {id}\nuser {user}\nspace {namespace}");
        self.line(&json!({ "type": "ready", "id": id, "user": user, "namespace": namespace }), &words);
    }

    pub(super) fn ticket(self, ticket: &str) {
        self.line(&json!({ "type": "ticket", "ticket": ticket }), &format!("ticket {ticket}"));
    }

    pub(super) fn failed(self, failure: &Failure) {
        self.line(
            &json!({ "type": "commandFailed", "code": failure.code(), "message": failure.to_string() }),
            &format!("failed: {failure}"),
        );
    }

    pub(super) fn session(self, event: &SessionEvent) {
        let mut object = session_fields(event);
        object["type"] = json!(event.kind());
        let words = match event {
            SessionEvent::Error { error } => format!("error: {error}"),
            SessionEvent::Ended { completion } => format!("ended: {}", outcome(*completion)),
            SessionEvent::Disconnected { cause, .. } => format!("disconnected: {cause}"),
            SessionEvent::Reconnecting { retry: Retry { millis: Some(wait), .. }, .. } => format!("reconnecting in {wait} ms"),
            SessionEvent::Progress { entries_sent, entries_received, .. } => {
                format!("progress: {entries_sent} entries sent, {entries_received} received")
            }
            SessionEvent::Payload { entry, received, total } => {
                format!("payload {}: {received} of {total} bytes", text::path_to_text(&entry.path))
            }
            other => other.kind().to_owned(),
        };
        self.line(&object, &words);
    }

    pub(super) fn store(self, event: &StoreEvent) {
        let (kind, mut object) = store_fields(event);
        object["type"] = json!(kind);
        let path = match event {
            StoreEvent::Inserted { entry, .. } => text::path_to_text(&entry.path),
            StoreEvent::Pruned { key, .. } | StoreEvent::Payload { key, .. } => text::path_to_text(&key.path),
            StoreEvent::Forgotten { area, .. } => text::path_to_text(area.path()),
            _ => String::new(),
        };
        self.line(&object, format!("{kind} {path}").trim_end());
    }
}

fn outcome(completion: Completion) -> &'static str {
    match completion {
        Completion::Complete => "complete",
        Completion::Partial => "partial",
        Completion::NothingInCommon => "nothing in common",
        Completion::Closed => "closed",
    }
}

fn key_to_json(key: &EntryKey) -> Value {
    json!({ "subspace": text::hex(key.subspace.as_bytes()), "path": text::path_to_json(&key.path) })
}

fn session_fields(event: &SessionEvent) -> Value {
    match event {
        SessionEvent::Established { role } => json!({ "role": if *role == Role::Alfie { "dialer" } else { "acceptor" } }),
        SessionEvent::Disconnected { cause, .. } => json!({ "code": cause.code(), "message": cause.to_string() }),
        SessionEvent::Reconnecting { cause, retry } => {
            json!({ "code": cause.code(), "retry": retry.millis, "attempt": retry.attempt, "limit": retry.limit })
        }
        SessionEvent::Overlap { namespace, .. } | SessionEvent::Reconciled { namespace, .. } => {
            json!({ "namespace": text::hex(namespace.as_bytes()) })
        }
        SessionEvent::Progress { sent, received, entries_sent, entries_received } => {
            json!({ "sent": sent, "received": received, "entriesSent": entries_sent, "entriesReceived": entries_received })
        }
        SessionEvent::Payload { entry, received, total } => json!({ "entry": key_to_json(entry), "received": received, "total": total }),
        SessionEvent::Ended { completion } => json!({ "completion": { "outcome": outcome(*completion) } }),
        SessionEvent::Error { error } => json!({ "code": error.code(), "message": error.to_string() }),
        _ => json!({}),
    }
}

fn store_fields(event: &StoreEvent) -> (&'static str, Value) {
    match event {
        StoreEvent::Inserted { entry, .. } => ("inserted", text::entry_to_json(entry)),
        StoreEvent::Pruned { key, .. } => ("pruned", key_to_json(key)),
        StoreEvent::Payload { key, available, total, .. } => {
            let mut object = key_to_json(key);
            object["available"] = json!(available);
            object["total"] = json!(total);
            ("stored", object)
        }
        StoreEvent::Forgotten { area, count, .. } => ("forgotten", json!({ "path": text::path_to_json(area.path()), "count": count })),
        _ => ("lagged", json!({})),
    }
}
