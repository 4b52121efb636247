//! The session stream after the Hellos: two pumps that never wait for each other.
//!
//! Receiving must not wait for sending (two peers with much to say would block each other for ever), so each direction has its own
//! task and its own bounded queue.

use std::{cell::Cell, rc::Rc, time::Duration};

use iroh::endpoint::{RecvStream, SendStream};
use osier_core::peers::Cause;
use tokio::sync::{Notify, mpsc};

use super::Link;
use crate::platform::{Task, spawn_local, timeout};

/// Bytes read at once.
const READ_SIZE: usize = 64 * 1024;
/// Pieces read ahead of the session.
const READ_AHEAD: usize = 4;
/// How long after the end of a stream its connection may take to end.
const CLOSE_ON_ITS_WAY: Duration = Duration::from_secs(2);
/// Bytes that wait for the transport, at most.
const WRITE_AHEAD: usize = 64 * 1024;

/// What arrives on the session stream.
#[derive(Debug)]
pub struct Inbox {
    pieces: mpsc::Receiver<Result<Vec<u8>, Cause>>,
    _pump: Task,
}

impl Inbox {
    /// Starts to read.
    #[must_use]
    pub fn new(link: Rc<Link>, mut recv: RecvStream, early: Vec<u8>) -> Self {
        let (sender, pieces) = mpsc::channel(READ_AHEAD);
        let pump = spawn_local(async move {
            if !early.is_empty() && sender.send(Ok(early)).await.is_err() {
                return;
            }
            loop {
                let piece = match recv.read_chunk(READ_SIZE).await {
                    Ok(Some(chunk)) => Ok(chunk.to_vec()),
                    Ok(None) => return,
                    Err(_) => Err(stream_cause(&link).await),
                };
                let failed = piece.is_err();
                if sender.send(piece).await.is_err() || failed {
                    return;
                }
            }
        });
        Self { pieces, _pump: pump }
    }

    /// The next bytes; `None` when the peer finished its direction. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The cause, when the stream broke.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Cause> {
        self.pieces.recv().await.transpose()
    }

    /// What is at hand already, as [`Inbox::next`] would give it; `None`: nothing is.
    ///
    /// # Errors
    /// The cause, when the stream broke.
    pub fn try_next(&mut self) -> Result<Option<Option<Vec<u8>>>, Cause> {
        match self.pieces.try_recv() {
            Ok(piece) => piece.map(|bytes| Some(Some(bytes))),
            Err(mpsc::error::TryRecvError::Empty) => Ok(None),
            Err(mpsc::error::TryRecvError::Disconnected) => Ok(Some(None)),
        }
    }
}

/// What leaves on the session stream.
#[derive(Debug)]
pub struct Outbox {
    pieces: mpsc::UnboundedSender<Vec<u8>>,
    shared: Rc<OutboxState>,
    _pump: Task,
}

#[derive(Debug, Default)]
struct OutboxState {
    waiting: Cell<usize>,
    finished: Cell<bool>,
    failed: Cell<Option<Cause>>,
    moved: Notify,
}

impl Outbox {
    /// Starts to write what will be pushed.
    #[must_use]
    pub fn new(link: Rc<Link>, mut send: SendStream) -> Self {
        let (pieces, mut queue) = mpsc::unbounded_channel::<Vec<u8>>();
        let shared = Rc::new(OutboxState::default());
        let state = shared.clone();
        let pump = spawn_local(async move {
            while let Some(piece) = queue.recv().await {
                if send.write_all(&piece).await.is_err() {
                    state.failed.set(Some(stream_cause(&link).await));
                    state.moved.notify_one();
                    return;
                }
                state.waiting.set(state.waiting.get().saturating_sub(piece.len()));
                state.moved.notify_one();
            }
            let finished = send.finish().is_ok();
            // Wait until the peer has it all: what follows may close the connection.
            let arrived = finished && matches!(send.stopped().await, Ok(None));
            if !arrived {
                state.failed.set(Some(stream_cause(&link).await));
            }
            state.finished.set(arrived);
            state.moved.notify_one();
        });
        Self { pieces, shared, _pump: pump }
    }

    /// How many bytes may be pushed now.
    #[must_use]
    pub fn space(&self) -> usize {
        WRITE_AHEAD.saturating_sub(self.shared.waiting.get())
    }

    /// Queues bytes.
    pub fn push(&self, bytes: Vec<u8>) {
        self.shared.waiting.set(self.shared.waiting.get() + bytes.len());
        // The pump is gone only after a failure, which `moved` reports.
        let _ = self.pieces.send(bytes);
    }

    /// Waits until bytes have left, or it failed.
    ///
    /// # Errors
    /// The cause, when the stream broke.
    pub async fn moved(&self) -> Result<(), Cause> {
        if let Some(cause) = self.shared.failed.get() {
            return Err(cause);
        }
        self.shared.moved.notified().await;
        self.shared.failed.get().map_or(Ok(()), Err)
    }

    /// Says that nothing more will be pushed. The rest of the queue still leaves.
    #[must_use]
    pub fn finish(self) -> Finishing {
        Finishing { shared: self.shared, _pump: self._pump }
    }
}

/// A direction of the session stream that has ended, on its way to the peer.
#[derive(Debug)]
pub struct Finishing {
    shared: Rc<OutboxState>,
    _pump: Task,
}

impl Finishing {
    /// Waits until the peer has received everything. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The cause, when the stream broke.
    pub async fn done(&self) -> Result<(), Cause> {
        loop {
            if self.shared.finished.get() {
                return Ok(());
            }
            if let Some(cause) = self.shared.failed.get() {
                return Err(cause);
            }
            self.shared.moved.notified().await;
        }
    }
}

/// Why a stream broke: asked of the connection. If that stays open, the peer reset or stopped the session stream. A moment is given to a
/// close that is on its way: a peer that ends in a hurry lets go of its streams first.
async fn stream_cause(link: &Link) -> Cause {
    timeout(CLOSE_ON_ITS_WAY, link.closed()).await.unwrap_or(Cause::Violation("sessionStreamReset"))
}
