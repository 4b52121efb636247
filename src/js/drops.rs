//! `RawExport` and `RawImport`: drops on their way out and in.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use js_sys::{Promise, Uint8Array};
use serde::Serialize;
use tokio::sync::Notify;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use super::{
    output::{ToJs, number, plain},
    promise,
};
use crate::node::{DropExport, DropImport, DropProgress, Error, ImportProgress};

/// A drop that is being written. `next` is called again only after it has resolved.
#[wasm_bindgen]
pub struct RawExport {
    export: Rc<RefCell<Option<DropExport>>>,
    progress: Rc<Cell<DropProgress>>,
    cancelled: Rc<Cell<bool>>,
}

impl RawExport {
    pub(super) fn new(export: DropExport) -> Self {
        Self { export: Rc::new(RefCell::new(Some(export))), progress: Rc::default(), cancelled: Rc::default() }
    }
}

#[wasm_bindgen]
impl RawExport {
    /// The next bytes, or undefined after the last.
    pub fn next(&self) -> Promise {
        let (taken, slot) = (self.export.take(), self.export.clone());
        let (progress, cancelled) = (self.progress.clone(), self.cancelled.clone());
        promise(async move {
            let Some(mut export) = taken else { return Ok(JsValue::UNDEFINED) };
            let piece = export.next().await.transpose()?;
            progress.set(export.progress());
            let Some(piece) = piece.filter(|_| !cancelled.get()) else { return Ok(JsValue::UNDEFINED) };
            slot.replace(Some(export));
            Ok(Uint8Array::from(piece.as_slice()).into())
        })
    }

    /// How far it is with what was taken.
    pub fn progress(&self) -> JsValue {
        self.progress.get().to_js()
    }

    /// Gives it up.
    pub fn cancel(&self) {
        self.cancelled.set(true);
        self.export.take();
    }
}

/// A drop that is being read. `push` is called again only after it has resolved.
#[wasm_bindgen]
pub struct RawImport {
    import: Rc<RefCell<Option<DropImport>>>,
    progress: Rc<Cell<ImportProgress>>,
    cancelled: Rc<Cancelled>,
}

/// Whether it was given up, and a wake-up for who waits meanwhile.
#[derive(Default)]
struct Cancelled {
    said: Cell<bool>,
    waker: Notify,
}

impl RawImport {
    pub(super) fn new(import: DropImport) -> Self {
        Self { import: Rc::new(RefCell::new(Some(import))), progress: Rc::default(), cancelled: Rc::default() }
    }
}

#[wasm_bindgen]
impl RawImport {
    /// The next bytes.
    pub fn push(&self, piece: &Uint8Array) -> Promise {
        let (taken, slot, progress, cancelled) = (self.import.take(), self.import.clone(), self.progress.clone(), self.cancelled.clone());
        let bytes = piece.to_vec();
        promise(async move {
            let mut import = taken.ok_or(Error::Aborted)?;
            tokio::select! {
                pushed = import.push(bytes) => pushed?,
                () = cancelled.waker.notified() => {}
            }
            if cancelled.said.get() {
                return Err(Error::Aborted);
            }
            progress.set(import.progress());
            slot.replace(Some(import));
            Ok(JsValue::UNDEFINED)
        })
    }

    /// All bytes were pushed: resolves when everything is stored.
    pub fn finish(&self) -> Promise {
        let (taken, cancelled) = (self.import.take(), self.cancelled.clone());
        promise(async move {
            let import = taken.ok_or(Error::Aborted)?;
            tokio::select! {
                done = import.finish() => Ok(done?.to_js()),
                () = cancelled.waker.notified() => Err(Error::Aborted),
            }
        })
    }

    /// Resolves when no more is taken: at the end, or because something is wrong, which the next `push` says.
    pub fn ended(&self) -> Promise {
        let ended = self.import.borrow().as_ref().map(DropImport::ended);
        promise(async move {
            if let Some(ended) = ended {
                ended.await;
            }
            Ok(JsValue::UNDEFINED)
        })
    }

    /// How far it was read, a little late.
    pub fn progress(&self) -> JsValue {
        self.progress.get().to_js()
    }

    /// Gives the rest up.
    pub fn cancel(&self) {
        self.import.take();
        self.cancelled.said.set(true);
        self.cancelled.waker.notify_one();
    }
}

impl ToJs for DropProgress {
    fn to_js(&self) -> JsValue {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Out {
            entries: f64,
            without_payload: f64,
            bytes: f64,
        }
        plain(&Out { entries: number(self.entries), without_payload: number(self.without_payload), bytes: number(self.bytes) })
    }
}

impl ToJs for ImportProgress {
    fn to_js(&self) -> JsValue {
        #[derive(Serialize)]
        struct Out {
            inserted: f64,
            skipped: f64,
            bytes: f64,
        }
        plain(&Out { inserted: number(self.inserted), skipped: number(self.skipped), bytes: number(self.bytes) })
    }
}
