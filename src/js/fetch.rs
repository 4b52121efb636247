//! `RawFetch`: a payload on its way from a peer, with its progress.

use std::{cell::RefCell, rc::Rc};

use js_sys::{Function, Promise};
use tokio::sync::{Notify, mpsc};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use super::{promise, report};
use crate::node::{EntryKey, Error, FetchOptions, FetchProgress, Node};

/// A fetch that has begun. `done()` resolves when all of the payload is here.
#[wasm_bindgen]
pub struct RawFetch {
    outcome: RefCell<Option<Promise>>,
    cancelled: Rc<Notify>,
}

impl RawFetch {
    pub(super) fn new(node: Node, key: EntryKey, options: FetchOptions, on_progress: Option<Function>) -> Self {
        let cancelled = Rc::new(Notify::new());
        let cancel = cancelled.clone();
        let outcome = promise(async move {
            let (sender, progress) = mpsc::unbounded_channel::<FetchProgress>();
            let fetch = node.fetch_payload(key, options, move |made| {
                let _ = sender.send(made); // the receiver lives as long as the fetch
            });
            tokio::select! {
                outcome = async { tokio::join!(fetch, report(progress, on_progress)).0 } => outcome.map(|()| JsValue::UNDEFINED),
                () = cancel.notified() => Err(Error::Aborted),
            }
        });
        Self { outcome: RefCell::new(Some(outcome)), cancelled }
    }
}

#[wasm_bindgen]
impl RawFetch {
    /// Resolves when all of the payload is here. May be called once.
    pub fn done(&self) -> Promise {
        self.outcome.take().unwrap_or_else(|| promise(async { Err::<JsValue, _>(Error::Aborted) }))
    }

    /// Gives the fetch up; what has arrived stays.
    pub fn cancel(&self) {
        self.cancelled.notify_one();
    }
}
