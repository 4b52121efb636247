//! Drops: the entries of a namespace as one string of bytes, and the way back.
//!
//! What a drop is and what of it is believed is the business of `osier_core::drops`. Here its pieces are moved between a caller, at the
//! caller's pace, and the store.

use std::rc::Rc;

use n0_future::{FuturesUnordered, StreamExt as _};
use osier_core::{
    drops::{DropError, DropOutput, DropProgress, DropReader, DropWriteError, DropWriter, DropWriterOutput, Dropped, DroppedPayload},
    payload::Outboard,
    store::{Incoming, Origin, Outcome, StagingId},
    willow::{Coordinatelike as _, Entry, EntryId, Keylike as _, Namespaced as _},
};
use tokio::sync::{mpsc, oneshot, watch};
use willow25::prelude::{Area, NamespaceId};

use super::{Error, Node, data, inner::Inner};
use crate::platform;

/// How far a drop has been read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ImportProgress {
    /// Entries that were new here.
    pub inserted: u64,
    /// Entries that were here, that are older than what is here, or whose timestamps are further in the future than this node allows.
    pub skipped: u64,
    /// Bytes of the drop that were read.
    pub bytes: u64,
}

/// A drop that is being written; see [`Node::export_drop`].
#[derive(Debug)]
pub struct DropExport {
    node: Node,
    pieces: mpsc::Receiver<Result<Piece, Error>>,
    progress: DropProgress,
    ended: bool,
}

/// Bytes of a drop, none at its end, and how far it is with them.
type Piece = (Option<Vec<u8>>, DropProgress);

/// A drop that is being read; see [`Node::import_drop`]. Dropping it gives the rest up; what has been read stays.
#[derive(Debug)]
pub struct DropImport {
    node: Node,
    feed: Option<mpsc::Sender<Feed>>,
    outcome: Option<oneshot::Receiver<Result<ImportProgress, Error>>>,
    progress: watch::Receiver<ImportProgress>,
}

#[derive(Debug)]
enum Feed {
    Bytes(Vec<u8>),
    End,
}

impl Node {
    /// What is in an area of a namespace, with the payloads that are all here, as a drop: bytes in the Willow drop format, to be kept or carried
    /// anywhere and read by [`Node::import_drop`]. They are made as they are taken. What is written meanwhile may or may not be in it.
    #[must_use]
    pub fn export_drop(&self, namespace: NamespaceId, area: Area) -> DropExport {
        let (sender, pieces) = mpsc::channel(1);
        self.post(move |node| platform::spawn_detached(export(node.clone(), namespace, area, sender)));
        DropExport { node: self.clone(), pieces, progress: DropProgress::default(), ended: false }
    }

    /// Reads a drop, which comes in pieces of any size. What is in it is believed only as far as signatures and digests prove it. A node reads
    /// one drop at a time; another one waits for its turn.
    #[must_use]
    pub fn import_drop(&self) -> DropImport {
        let ((feed, pieces), (reply, outcome)) = (mpsc::channel(1), oneshot::channel());
        let (told, progress) = watch::channel(ImportProgress::default());
        self.post(move |node| platform::spawn_detached(import(node.clone(), pieces, told, reply)));
        DropImport { node: self.clone(), feed: Some(feed), outcome: Some(outcome), progress }
    }
}

impl DropExport {
    /// The next bytes, 64 KiB but for the last ones; `None` after them. An error ends the drop, and what there is of it is of no use. Dropping
    /// the future loses nothing.
    ///
    /// # Errors
    /// [`Error::ShuttingDown`], [`Error::Storage`], [`Error::StorageLost`], [`Error::PayloadMissing`] if a long payload was removed while it was
    /// being written.
    pub async fn next(&mut self) -> Option<Result<Vec<u8>, Error>> {
        if self.ended {
            return None;
        }
        // If the channel ends before the drop does, the node is gone.
        let piece = self.pieces.recv().await.unwrap_or_else(|| Err(self.node.gone()));
        match piece {
            Ok((bytes, progress)) => {
                self.progress = progress;
                self.ended = bytes.is_none();
                bytes.map(Ok)
            }
            Err(error) => {
                self.ended = true;
                Some(Err(error))
            }
        }
    }

    /// How far the drop is with what was taken of it. Payloads that are not here show in `without_payload`.
    #[must_use]
    pub fn progress(&self) -> DropProgress {
        self.progress
    }
}

impl DropImport {
    /// The next bytes of the drop. Waits as long as the node has enough of them, or reads another drop.
    ///
    /// # Errors
    /// [`Error::InvalidDrop`], [`Error::QuotaExceeded`], [`Error::ShuttingDown`] and those of storage. They end the import; what came before them stays.
    pub async fn push(&mut self, bytes: Vec<u8>) -> Result<(), Error> {
        self.send(Feed::Bytes(bytes)).await
    }

    /// The drop has come to its end: resolves when all of it is stored.
    ///
    /// # Errors
    /// As [`DropImport::push`].
    pub async fn finish(mut self) -> Result<ImportProgress, Error> {
        self.send(Feed::End).await?;
        self.outcome().await
    }

    /// Resolves when the node takes no more of the drop: at its end, or because something is wrong; [`DropImport::push`] says what.
    pub fn ended(&self) -> impl Future<Output = ()> + use<> {
        // Its other side goes with the reading.
        let mut progress = self.progress.clone();
        async move { while progress.changed().await.is_ok() {} }
    }

    /// How far the drop has been read. What was pushed last may be missing.
    #[must_use]
    pub fn progress(&self) -> ImportProgress {
        *self.progress.borrow()
    }

    async fn send(&mut self, feed: Feed) -> Result<(), Error> {
        let Some(sender) = &self.feed else { return Err(Error::Aborted) };
        if sender.send(feed).await.is_ok() {
            return Ok(());
        }
        self.feed = None;
        self.outcome().await.map(drop)
    }

    async fn outcome(&mut self) -> Result<ImportProgress, Error> {
        let Some(outcome) = self.outcome.take() else { return Err(Error::Aborted) };
        outcome.await.unwrap_or_else(|_| Err(self.node.gone()))
    }
}

async fn export(node: Rc<Inner>, namespace: NamespaceId, area: Area, sender: mpsc::Sender<Result<Piece, Error>>) {
    let work = async {
        if let Err(error) = write_pieces(&node, DropWriter::new(namespace, &area), &sender).await {
            // Whoever wanted it may be gone.
            let _ = sender.send(Err(error)).await;
        }
    };
    tokio::select! {
        biased;
        () = node.shared.ending() => {}
        () = work => {}
    }
}

async fn write_pieces(node: &Inner, mut writer: DropWriter, sender: &mpsc::Sender<Result<Piece, Error>>) -> Result<(), Error> {
    let mut reads = FuturesUnordered::new();
    loop {
        let output = writer.poll(&node.storage.store()).map_err(write_error)?;
        let bytes = match output {
            Some(DropWriterOutput::ReadPayload { read, entry, offset, len }) => {
                reads.push(async move { (read, node.storage.read(&entry, offset, len).await) });
                continue;
            }
            None => {
                let (read, bytes) = reads.next().await.ok_or_else(|| Error::internal("a drop that waits for nothing"))?;
                writer.handle_payload(read, bytes?);
                continue;
            }
            Some(DropWriterOutput::Bytes(bytes)) => Some(bytes),
            Some(DropWriterOutput::Done) => None,
        };
        let ended = bytes.is_none();
        let taken = sender.send(Ok((bytes, writer.progress()))).await;
        if ended || taken.is_err() {
            return Ok(());
        }
    }
}

fn write_error(error: DropWriteError) -> Error {
    match error {
        DropWriteError::PayloadGone { length, .. } => Error::PayloadMissing { available: 0, total: length },
        DropWriteError::WrongPayload { .. } => Error::Storage { reason: "a payload does not match its digest".to_owned() },
    }
}

async fn import(
    node: Rc<Inner>,
    mut pieces: mpsc::Receiver<Feed>,
    told: watch::Sender<ImportProgress>,
    reply: oneshot::Sender<Result<ImportProgress, Error>>,
) {
    // One at a time: of two that bring the same long payload, only one could stage it. The turn ends when nothing is staged any more.
    let turn = tokio::select! {
        biased;
        () = node.shared.ending() => None,
        turn = node.importing.lock() => Some(turn),
    };
    let outcome = if turn.is_some() {
        let (reader, by) = (DropReader::new(), StagingId(node.fresh()));
        let mut import = Import { node: &node, reader, by, progress: ImportProgress::default(), long: None };
        let outcome = import.read(&mut pieces, &told).await;
        if outcome.is_err() {
            import.give_up().await;
        }
        outcome
    } else {
        Err(Error::ShuttingDown)
    };
    drop(turn);
    // Whoever asked may be gone. The reply is there before a push that waits, or `ended`, finds out that nobody takes any more.
    let _ = reply.send(outcome);
    drop((pieces, told));
}

/// The reading of a drop.
struct Import<'a> {
    node: &'a Inner,
    reader: DropReader,
    by: StagingId,
    progress: ImportProgress,
    /// The entry whose payload comes and is wanted.
    long: Option<(EntryId, Entry)>,
}

impl Import<'_> {
    async fn read(&mut self, pieces: &mut mpsc::Receiver<Feed>, told: &watch::Sender<ImportProgress>) -> Result<ImportProgress, Error> {
        loop {
            while let Some(output) = self.reader.poll().map_err(|error: DropError| Error::InvalidDrop { reason: error.to_string() })? {
                match output {
                    DropOutput::Entries(entries) => self.take_entries(entries).await?,
                    DropOutput::Unverified { offset, bytes } => self.stage(offset, bytes).await?,
                    DropOutput::Verified(outboard) => self.prove(outboard).await?,
                    DropOutput::Done => return Ok(self.progress_now()),
                }
                told.send_replace(self.progress_now());
                self.node.check_running()?;
            }
            let piece = tokio::select! {
                biased;
                () = self.node.shared.ending() => return Err(Error::ShuttingDown),
                piece = pieces.recv() => piece,
            };
            match piece {
                Some(Feed::Bytes(bytes)) => self.reader.handle_bytes(bytes),
                Some(Feed::End) => self.reader.handle_end(),
                None => return Err(Error::Aborted),
            }
        }
    }

    fn progress_now(&self) -> ImportProgress {
        ImportProgress { bytes: self.reader.progress().bytes, ..self.progress }
    }

    async fn take_entries(&mut self, entries: Vec<Dropped>) -> Result<(), Error> {
        let latest = data::latest_allowed(self.node.options.max_future_micros);
        let (mut incoming, mut long) = (Vec::new(), None);
        for Dropped { entry, payload } in entries {
            if u64::from(entry.entry.timestamp()) > latest {
                self.progress.skipped += 1;
                continue;
            }
            let payload = match payload {
                DroppedPayload::Whole(bytes) => Some(bytes),
                DroppedPayload::Missing => None,
                DroppedPayload::Follows => {
                    long = Some((entry.id, entry.entry.clone()));
                    None
                }
            };
            incoming.push(Incoming { entry, payload, origin: Origin::Import });
        }
        let outcomes = self.node.storage.write_arrivals(incoming).await?;
        if outcomes.contains(&Outcome::OverQuota) {
            return Err(Error::QuotaExceeded);
        }
        let inserted = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Inserted { .. })).count() as u64;
        self.progress.inserted += inserted;
        self.progress.skipped += outcomes.len() as u64 - inserted;
        // It is the last of its batch.
        let wanted = matches!(outcomes.last(), Some(Outcome::Inserted { .. } | Outcome::AlreadyHere));
        self.long = long.filter(|_| wanted);
        Ok(())
    }

    async fn stage(&mut self, offset: u64, bytes: Vec<u8>) -> Result<(), Error> {
        let Some((id, entry)) = &self.long else { return Ok(()) };
        let place = (entry.namespace_id(), entry.subspace_id(), entry.path());
        let outcomes = self.node.storage.write(|store| Ok(store.plan_stage(place, id, self.by, offset, bytes))).await?;
        match outcomes.first() {
            Some(Outcome::Staged { .. } | Outcome::NothingNew) => Ok(()),
            Some(Outcome::OverQuota) => Err(Error::QuotaExceeded),
            // The entry has gone meanwhile, or has gone and come back.
            Some(Outcome::NotHere | Outcome::Gap { .. } | Outcome::Occupied) => {
                self.long = None;
                Ok(())
            }
            other => Err(Error::internal(format_args!("an unexpected outcome of an import: {other:?}"))),
        }
    }

    async fn prove(&mut self, outboard: Outboard) -> Result<(), Error> {
        let Some((id, entry)) = &self.long else { return Ok(()) };
        let place = (entry.namespace_id(), entry.subspace_id(), entry.path());
        let outcomes = self.node.storage.write(|store| Ok(store.plan_proven(place, id, self.by, Origin::Import))).await?;
        match outcomes.first() {
            Some(Outcome::Extended { .. }) => self.node.storage.keep_outboard(*id, outboard),
            Some(Outcome::OverQuota) => return Err(Error::QuotaExceeded),
            // The entry has gone meanwhile.
            _ => {}
        }
        self.long = None;
        Ok(())
    }

    /// The drop does not go on: of a payload that nobody can check nothing stays.
    async fn give_up(&mut self) {
        let Some((id, entry)) = self.long.take() else { return };
        let place = (entry.namespace_id(), entry.subspace_id(), entry.path());
        if let Err(error) = self.node.storage.write(|store| Ok(store.plan_unstage(place, &id, self.by, Origin::Import))).await {
            // It is found when the storage is opened again.
            tracing::warn!("an unverified payload could not be removed: {error}");
        }
    }
}
