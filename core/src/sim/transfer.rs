//! Payloads on streams of their own: fetching one, and serving one.
//!
//! This follows `src/node/transfer.rs` of the crate `osier`, with smaller pieces.

use super::{driver::Local, network::Packet, storage::Write, world::World};
use crate::{
    SessionId,
    payload::{PayloadError, PayloadReceiver, PayloadRequest, PayloadSender, PayloadStatus},
    store::StoredEntry,
    sync::FetchId,
};

use super::session::Command;

/// Bytes of a payload that are sent at once.
const PIECE: u64 = 8 * 1024;

/// Why a payload was not fetched to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FetchFailure {
    /// The entry is not here any more, or was replaced.
    EntryGone,
    /// The peer does not have it (all of it), or may not give it.
    NotThere,
    /// The stream or the connection broke.
    Broken,
    /// The peer sent something else: the rule that it broke.
    Violation(&'static str),
}

/// A transfer under way.
pub(super) struct Download {
    stream: u64,
    entry: StoredEntry,
    receiver: PayloadReceiver,
    head: Vec<u8>,
    /// Whether all of it is to come, once the peer has said so.
    whole: Option<bool>,
}

fn failure_of(error: PayloadError) -> FetchFailure {
    match error {
        PayloadError::WrongBytes { .. } => FetchFailure::Violation("wrongPayloadBytes"),
        PayloadError::BeyondEnd => FetchFailure::Violation("payloadBeyondEnd"),
        PayloadError::Truncated { .. } => FetchFailure::Broken,
    }
}

impl Download {
    /// Bytes of the reply: those of the payload that are verified now, and where they belong.
    fn take_in(&mut self, mut bytes: Vec<u8>) -> Result<Vec<(u64, Vec<u8>)>, FetchFailure> {
        if self.whole.is_none() {
            self.head.append(&mut bytes);
            let decoded = PayloadStatus::decode_prefix(&self.head).map_err(|_| FetchFailure::Violation("payloadStatus"))?;
            let Some((status, used)) = decoded else { return Ok(Vec::new()) };
            bytes = self.head.split_off(used);
            self.whole = Some(match status {
                PayloadStatus::Ok => true,
                PayloadStatus::Partial { available } if self.receiver.limit(available) => false,
                PayloadStatus::Partial { .. } | PayloadStatus::NotFound | PayloadStatus::NotAuthorised => {
                    return Err(FetchFailure::NotThere);
                }
            });
        }
        self.receiver.push(&bytes).map_err(failure_of)?;
        Ok(std::iter::from_fn(|| self.receiver.poll_verified()).collect())
    }

    fn finish(&mut self) -> Result<(), FetchFailure> {
        self.receiver.finish().map_err(failure_of)?;
        if self.whole == Some(true) { Ok(()) } else { Err(FetchFailure::NotThere) }
    }
}

impl World {
    /// A session wants a payload.
    pub(super) fn fetch(&mut self, node: usize, session: SessionId, fetch: FetchId, mut request: PayloadRequest) {
        let begun = self.begin(node, &mut request);
        let Some(conn) = self.nodes[node].sessions.get(&session).map(|task| task.conn) else { return };
        let side = self.side_of(conn, node);
        let begun = begun.and_then(|begun| if self.conns[conn].ends[side].open { Ok(begun) } else { Err(FetchFailure::Broken) });
        match begun {
            Ok(Some((entry, receiver))) => {
                self.conns[conn].streams += 1;
                let stream = self.conns[conn].streams;
                let download = Download { stream, entry, receiver, head: Vec::new(), whole: None };
                if let Some(task) = self.nodes[node].sessions.get_mut(&session) {
                    task.fetches.insert(fetch, download);
                }
                self.send(conn, side, Packet::Ask(stream, request.encode()));
            }
            Ok(None) => self.command(node, session, Command::Fetched(fetch, Ok(()))),
            Err(failure) => self.command(node, session, Command::Fetched(fetch, Err(failure))),
        }
    }

    /// What is missing; `None` if nothing is.
    fn begin(&self, node: usize, request: &mut PayloadRequest) -> Result<Option<(StoredEntry, PayloadReceiver)>, FetchFailure> {
        let storage = &self.nodes[node].storage;
        let held = storage.store.get(&request.namespace, &request.subspace, &request.path).ok_or(FetchFailure::EntryGone)?;
        if held.payload_digest() != request.digest || held.payload_length() != request.length {
            return Err(FetchFailure::EntryGone);
        }
        if held.is_complete() {
            return Ok(None);
        }
        let outboard = storage.outboard(held.stored(), held.available()).ok_or(FetchFailure::Broken)?;
        let receiver = PayloadReceiver::resume(outboard, u64::MAX).ok_or(FetchFailure::NotThere)?;
        request.slice = receiver.expected();
        request.resume = request.slice.start() > 0;
        Ok(Some((held.stored().clone(), receiver)))
    }

    /// Gives requests that have arrived to the session; without one they wait, or are refused when it is over.
    pub(super) fn take_asks(&mut self, conn: usize, side: usize) {
        let node = self.conns[conn].nodes[side];
        if let Some(session) = self.nodes[node].session_on(conn) {
            for (stream, bytes) in std::mem::take(&mut self.conns[conn].ends[side].asks) {
                self.command(node, session, Command::Asked(stream, bytes));
            }
        }
    }

    pub(super) fn answer_ask(
        &mut self,
        node: usize,
        conn: usize,
        stream: u64,
        request: PayloadRequest,
        answer: Result<StoredEntry, PayloadStatus>,
    ) {
        match answer {
            Ok(entry) => {
                let lag = self.lag(node);
                self.local(node, lag, Local::Serve(conn, stream, Box::new((request, entry))));
            }
            Err(status) => self.reply(conn, self.side_of(conn, node), stream, vec![status.encode()], true),
        }
    }

    fn reply(&mut self, conn: usize, side: usize, stream: u64, pieces: Vec<Vec<u8>>, whole: bool) {
        if self.conns[conn].ends[side].open {
            for piece in pieces {
                self.send(conn, side, Packet::Reply(stream, piece));
            }
            self.send(conn, side, Packet::ReplyEnd(stream, whole));
        }
    }

    /// Serves a request that was authorised.
    pub(super) fn serve(&mut self, node: usize, conn: usize, stream: u64, request: &PayloadRequest, entry: &StoredEntry) {
        let storage = &self.nodes[node].storage;
        let held = storage.store.get(&request.namespace, &request.subspace, &request.path).filter(|held| held.id() == entry.id());
        let available = held.map_or(0, |held| held.available());
        let opened = storage.outboard(entry, available).and_then(|outboard| PayloadSender::open(&outboard, request).ok());
        let side = self.side_of(conn, node);
        let Some((status, sender)) = opened else { return self.reply(conn, side, stream, Vec::new(), false) };
        let mut pieces = vec![status.encode()];
        let mut whole = true;
        if let Some(mut sender) = sender {
            while let Some((offset, length)) = sender.wants() {
                let bytes = storage.read(&entry.id(), offset, length.min(PIECE)).unwrap_or_default();
                if bytes.is_empty() || sender.push(&bytes).is_err() {
                    whole = false;
                    break;
                }
                pieces.push(sender.take());
            }
            pieces.push(sender.take());
        }
        self.reply(conn, side, stream, pieces, whole);
    }

    /// Bytes of a reply, or its end (`None`).
    pub(super) fn take_reply(&mut self, conn: usize, side: usize, stream: u64, bytes: Option<Vec<u8>>) {
        let node = self.conns[conn].nodes[side];
        let Some(session) = self.nodes[node].session_on(conn) else { return };
        let Some(task) = self.nodes[node].sessions.get_mut(&session) else { return };
        let Some((&fetch, download)) = task.fetches.iter_mut().find(|(_, download)| download.stream == stream) else { return };
        let Some(bytes) = bytes else {
            let result = download.finish();
            download.stream = u64::MAX;
            return self.write(node, Write::Fetched(session, fetch, result));
        };
        match download.take_in(bytes) {
            Ok(pieces) => {
                let (entry, outboard) = (download.entry.clone(), download.receiver.outboard().cloned());
                for (offset, bytes) in pieces {
                    let (entry, outboard) = (entry.clone(), outboard.clone());
                    self.write(node, Write::Extend { session, fetch, entry, offset, bytes, outboard });
                }
            }
            Err(failure) => {
                download.stream = u64::MAX;
                self.write(node, Write::Fetched(session, fetch, Err(failure)));
            }
        }
    }

    pub(super) fn end_reply(&mut self, conn: usize, side: usize, stream: u64, whole: bool) {
        if whole {
            return self.take_reply(conn, side, stream, None);
        }
        self.break_reply(conn, side, Some(stream));
    }

    /// The connection is over, and every transfer on it.
    pub(super) fn break_replies(&mut self, conn: usize, side: usize) {
        self.break_reply(conn, side, None);
    }

    fn break_reply(&mut self, conn: usize, side: usize, only: Option<u64>) {
        let node = self.conns[conn].nodes[side];
        let Some(session) = self.nodes[node].session_on(conn) else { return };
        let Some(task) = self.nodes[node].sessions.get_mut(&session) else { return };
        let broken = task.fetches.iter_mut().filter(|(_, download)| download.stream != u64::MAX);
        let broken = broken.filter(|(_, download)| only.is_none_or(|stream| download.stream == stream));
        let fetches: Vec<FetchId> = broken.map(|(&fetch, download)| (fetch, download.stream = u64::MAX).0).collect();
        for fetch in fetches {
            self.write(node, Write::Fetched(session, fetch, Err(FetchFailure::Broken)));
        }
    }
}
