//! Entries and payloads: the methods of a node about data.

use std::collections::VecDeque;

use osier_core::store::Cursor;
use willow25::prelude::{Area, NamespaceId, Path, SubspaceId};

use super::{
    EntriesOptions, EntryInfo, EntryKey, Error, Events, FetchOptions, FetchProgress, Node, ProgressId, SetOutcome, SetRequest, StoreEvent,
    data, events, sessions,
};
use crate::platform;

impl Node {
    /// Writes an entry with its payload. Resolves when it is stored.
    ///
    /// # Errors
    /// [`Error::Obsolete`], [`Error::NoSuchUser`], [`Error::NoSuchNamespace`], [`Error::NotAuthorised`], [`Error::TimestampTooFarAhead`],
    /// [`Error::QuotaExceeded`], [`Error::Storage`]. In each case nothing has changed.
    pub async fn set(&self, namespace: NamespaceId, request: SetRequest) -> Result<SetOutcome, Error> {
        self.call(move |node| data::set(node, namespace, request)).await
    }

    /// Takes an entry from elsewhere: the absolute encoding of an authorised entry. False: it was here already, or a newer one prunes it.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] with the argument `entry`, [`Error::InvalidSignature`], [`Error::TimestampTooFarAhead`],
    /// [`Error::QuotaExceeded`], [`Error::Storage`].
    pub async fn ingest(&self, entry: Vec<u8>) -> Result<bool, Error> {
        self.call(move |node| data::ingest(node, entry)).await
    }

    /// The absolute encoding of an authorised entry, as [`Node::ingest`] takes it.
    ///
    /// # Errors
    /// [`Error::NoSuchEntry`].
    pub async fn export_entry(&self, key: EntryKey) -> Result<Vec<u8>, Error> {
        self.call(move |node| async move { data::export_entry(&node, &key) }).await
    }

    /// The entry at a place, if there is one.
    ///
    /// # Errors
    /// [`Error::ShuttingDown`].
    pub async fn get(&self, namespace: NamespaceId, user: SubspaceId, path: Path) -> Result<Option<EntryInfo>, Error> {
        let key = EntryKey { namespace, subspace: user, path };
        self.call(move |node| async move { Ok(data::get(&node, &key)) }).await
    }

    /// The entries of an area, ordered by (subspace, path), read page by page.
    #[must_use]
    pub fn entries(&self, namespace: NamespaceId, area: Area, options: EntriesOptions) -> Entries {
        Entries { node: self.clone(), namespace, area, options, page: VecDeque::new(), next: Next::Page(None) }
    }

    /// Bytes of an entry's payload: `length` from `offset`, or all that follow.
    ///
    /// # Errors
    /// [`Error::NoSuchEntry`], [`Error::PayloadMissing`], [`Error::InvalidArgument`] for a range beyond the end.
    pub async fn payload(&self, key: EntryKey, offset: u64, length: Option<u64>) -> Result<Vec<u8>, Error> {
        self.call(move |node| data::payload(node, key, offset, length)).await
    }

    /// Gets the missing part of a payload from a peer that a session is open with. Resolves at once when nothing is missing.
    /// `on_progress` is called on the node's thread.
    ///
    /// # Errors
    /// [`Error::NoSuchEntry`], [`Error::PayloadMissing`] when no connected peer has it.
    pub async fn fetch_payload(
        &self,
        key: EntryKey,
        options: FetchOptions,
        on_progress: impl Fn(FetchProgress) + Send + 'static,
    ) -> Result<(), Error> {
        self.call(move |node| async move {
            let (entry, available) = node.storage.entry(&key).ok_or(Error::NoSuchEntry)?;
            if available == entry.payload_length() {
                return Ok(());
            }
            sessions::fetch(&node, &key, options.peer, |received, total| on_progress(FetchProgress { received, total })).await;
            let (entry, available) = node.storage.entry(&key).ok_or(Error::NoSuchEntry)?;
            let total = entry.payload_length();
            if available == total { Ok(()) } else { Err(Error::PayloadMissing { available, total }) }
        })
        .await
    }

    /// Removes entries here, and here alone: a peer that has them brings them back. Returns how many.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn forget(&self, namespace: NamespaceId, area: Option<Area>) -> Result<u64, Error> {
        self.call(move |node| data::forget(node, namespace, area)).await
    }

    /// Changes in an area: from now on, or all that followed a point in history, which may be of an earlier run with the same storage.
    /// [`StoreEvent::Lagged`] says where the history does not reach back as far. Ends with the node.
    #[must_use]
    pub fn subscribe(&self, namespace: NamespaceId, area: Area, from: Option<ProgressId>) -> Events<StoreEvent> {
        let (sender, events) = events::channel([]);
        self.post(move |node| {
            let query = data::Query { namespace, area, from };
            let subscribed = data::subscribe(node, &query);
            platform::spawn_detached(data::pump_events(node.clone(), query, subscribed, sender));
        });
        events
    }
}

/// The entries of a query, read page by page. What is written meanwhile may or may not be among them.
#[derive(Debug)]
pub struct Entries {
    node: Node,
    namespace: NamespaceId,
    area: Area,
    options: EntriesOptions,
    page: VecDeque<EntryInfo>,
    next: Next,
}

#[derive(Debug)]
enum Next {
    Page(Option<Cursor>),
    Nothing,
}

impl Entries {
    /// The next entry, `None` after the last. An error ends the iteration.
    pub async fn next(&mut self) -> Option<Result<EntryInfo, Error>> {
        loop {
            if let Some(entry) = self.page.pop_front() {
                return Some(Ok(entry));
            }
            let Next::Page(after) = std::mem::replace(&mut self.next, Next::Nothing) else { return None };
            if self.options.limit == Some(0) {
                return None;
            }
            let (namespace, area, options) = (self.namespace.clone(), self.area.clone(), self.options);
            let page = self.node.call(move |node| async move { Ok(data::page(&node, &namespace, &area, options, after.as_ref())) }).await;
            match page {
                Ok((entries, next)) => {
                    self.options.limit = self.options.limit.map(|limit| limit.saturating_sub(entries.len() as u64));
                    self.page = entries.into();
                    self.next = next.map_or(Next::Nothing, |cursor| Next::Page(Some(cursor)));
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
