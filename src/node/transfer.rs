//! Payload transfers: fetching one over a payload stream, and serving one.
//!
//! What is verified, and how, is the business of `osier_core::payload`; here bytes are moved between streams and the store.

use std::rc::Rc;

use osier_core::{
    SessionId,
    payload::{GROUP_SIZE, Outboard, PayloadError, PayloadReceiver, PayloadRequest, PayloadSender, PayloadStatus, Slice},
    store::{Origin, Outcome, StoredEntry},
};

use super::{EntryKey, inner::Inner};
use crate::net::{Link, PayloadReply, PayloadStream, StreamBroken, open_payload_stream};

/// Verified bytes that are written to the store at once.
const WRITE_SIZE: usize = 256 * 1024;

/// What is needed to fetch the rest of a payload from a peer.
pub(super) struct Fetch {
    pub(super) link: Rc<Link>,
    pub(super) session: SessionId,
    pub(super) request: PayloadRequest,
}

/// Why a payload was not fetched to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FetchFailure {
    /// The entry is not here any more, or was replaced; or a drop that is being read brings its payload.
    EntryGone,
    /// The peer does not have it (all of it), or may not give it.
    NotThere,
    /// The stream or the connection broke.
    Broken,
    /// This node could not store it.
    Storage,
    /// The peer sent something else: the rule that it broke.
    Violation(&'static str),
}

/// Fetches what is missing of a payload. `progress` hears of every piece: (bytes here, length).
pub(super) async fn fetch(node: &Inner, fetch: Fetch, mut progress: impl FnMut(u64, u64)) -> Result<(), FetchFailure> {
    let Fetch { link, session, mut request } = fetch;
    let key = EntryKey { namespace: request.namespace.clone(), subspace: request.subspace.clone(), path: request.path.clone() };
    let (entry, available) = node.storage.entry(&key).ok_or(FetchFailure::EntryGone)?;
    if entry.payload_digest() != request.digest || entry.payload_length() != request.length {
        return Err(FetchFailure::EntryGone);
    }
    if available == entry.payload_length() {
        return Ok(());
    }
    let outboard = node.storage.outboard(&entry, available).await.map_err(|_| FetchFailure::Storage)?;
    let (receiver, resumes) = continuing(outboard, available).ok_or(FetchFailure::NotThere)?;
    request.slice = receiver.expected();
    request.resume = resumes && request.slice.start() > 0;
    let reply = open_payload_stream(link, &request.encode()).await.map_err(|_| FetchFailure::Broken)?;
    Download { node, session, entry, reply, receiver, pending: (0, Vec::new()) }.run(&mut progress).await
}

/// Receives what follows the bytes that are here, and whether the stream leaves out the labels before them. Those are known of what was fetched
/// since the node was opened; else the stream has to prove anew where it goes on.
fn continuing(outboard: Outboard, available: u64) -> Option<(PayloadReceiver, bool)> {
    let start = available - available % GROUP_SIZE as u64;
    if start <= outboard.available() {
        return Some((PayloadReceiver::resume(outboard, u64::MAX)?, true));
    }
    let (digest, length) = (outboard.digest(), outboard.length());
    let slice = Slice::new(start, length.checked_sub(start)?, length).ok()?;
    Some((PayloadReceiver::slice(&digest, length, slice), false))
}

/// A transfer under way.
struct Download<'a> {
    node: &'a Inner,
    session: SessionId,
    entry: StoredEntry,
    reply: PayloadReply,
    receiver: PayloadReceiver,
    /// Verified bytes that are not stored yet, and where they belong.
    pending: (u64, Vec<u8>),
}

impl Download<'_> {
    async fn run(mut self, progress: &mut impl FnMut(u64, u64)) -> Result<(), FetchFailure> {
        let mut head = Vec::new();
        let (status, used) = loop {
            let decoded = PayloadStatus::decode_prefix(&head).map_err(|_| FetchFailure::Violation("payloadStatus"))?;
            match decoded {
                Some(decoded) => break decoded,
                None => head.extend(self.next().await?.ok_or(FetchFailure::Broken)?),
            }
        };
        let complete = match status {
            PayloadStatus::Ok => true,
            PayloadStatus::Partial { available } if self.receiver.limit(available) => false,
            PayloadStatus::Partial { .. } | PayloadStatus::NotFound | PayloadStatus::NotAuthorised => return Err(FetchFailure::NotThere),
        };
        self.take_in(head.get(used..).unwrap_or_default(), progress).await?;
        while let Some(piece) = self.next().await? {
            self.take_in(&piece, progress).await?;
        }
        let ended = self.receiver.finish();
        self.store(progress).await?;
        match ended {
            Ok(()) if complete => Ok(()),
            Ok(()) => Err(FetchFailure::NotThere),
            Err(error) => Err(failure_of(error)),
        }
    }

    async fn next(&mut self) -> Result<Option<Vec<u8>>, FetchFailure> {
        self.reply.next().await.map_err(|_| FetchFailure::Broken)
    }

    /// Verifies bytes and stores them when they are many.
    async fn take_in(&mut self, bytes: &[u8], progress: &mut impl FnMut(u64, u64)) -> Result<(), FetchFailure> {
        let verified = self.receiver.push(bytes);
        while let Some((offset, piece)) = self.receiver.poll_verified() {
            if self.pending.1.is_empty() {
                self.pending.0 = offset;
            }
            self.pending.1.extend_from_slice(&piece);
        }
        if self.pending.1.len() >= WRITE_SIZE || verified.is_err() {
            self.store(progress).await?;
        }
        verified.map_err(failure_of)
    }

    async fn store(&mut self, progress: &mut impl FnMut(u64, u64)) -> Result<(), FetchFailure> {
        let (offset, bytes) = std::mem::take(&mut self.pending);
        if bytes.is_empty() {
            return Ok(());
        }
        let outboard = self.receiver.outboard().cloned();
        let origin = Origin::Peer(self.session);
        let stored = self.node.storage.extend_payload(&self.entry, offset, bytes, outboard, origin).await;
        match stored.map_err(|_| FetchFailure::Storage)? {
            Outcome::Extended { available, total } => {
                progress(available, total);
                Ok(())
            }
            // Someone else brought the same bytes.
            Outcome::NothingNew => Ok(()),
            _ => Err(FetchFailure::EntryGone),
        }
    }
}

fn failure_of(error: PayloadError) -> FetchFailure {
    match error {
        PayloadError::WrongBytes { .. } => FetchFailure::Violation("wrongPayloadBytes"),
        PayloadError::BeyondEnd => FetchFailure::Violation("payloadBeyondEnd"),
        PayloadError::Truncated { .. } => FetchFailure::Broken,
    }
}

/// Serves a payload stream whose request was authorised, or tells why not.
pub(super) async fn serve(
    node: &Inner,
    mut stream: PayloadStream,
    request: &PayloadRequest,
    authorised: Result<StoredEntry, PayloadStatus>,
) -> Result<(), StreamBroken> {
    let entry = match authorised {
        Ok(entry) => entry,
        Err(status) => {
            stream.send(&status.encode()).await?;
            stream.finish();
            return Ok(());
        }
    };
    let key = EntryKey { namespace: request.namespace.clone(), subspace: request.subspace.clone(), path: request.path.clone() };
    let available = match node.storage.entry(&key) {
        Some((now, available)) if now.id() == entry.id() => available,
        _ => 0,
    };
    let opened = match node.storage.outboard(&entry, available).await {
        Ok(outboard) => PayloadSender::open(&outboard, request).ok(),
        Err(_) => None,
    };
    let Some((status, sender)) = opened else {
        stream.give_up();
        return Ok(());
    };
    stream.send(&status.encode()).await?;
    match sender {
        Some(sender) => upload(node, stream, &entry, sender).await,
        None => {
            stream.finish();
            Ok(())
        }
    }
}

async fn upload(node: &Inner, mut stream: PayloadStream, entry: &StoredEntry, mut sender: PayloadSender) -> Result<(), StreamBroken> {
    while let Some((offset, length)) = sender.wants() {
        let bytes = node.storage.read(&entry.id(), offset, length.min(WRITE_SIZE as u64)).await.unwrap_or_default();
        // Empty: the entry was pruned or forgotten meanwhile.
        if bytes.is_empty() || sender.push(&bytes).is_err() {
            stream.give_up();
            return Ok(());
        }
        stream.send(&sender.take()).await?;
    }
    stream.send(&sender.take()).await?;
    stream.finish();
    Ok(())
}
