//! Payloads: where they go and come from, and `RawWriter` for one that comes in pieces.

use std::{cell::RefCell, rc::Rc};

use js_sys::{Promise, Uint8Array};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use super::{
    arguments::{self, Fields},
    output::ToJs,
    promise,
};
use crate::node::{EntryKey, Error, Node, PayloadWriter, SetRequest, WriteRequest};

/// Where a write goes, without its payload.
pub(super) fn target(namespace: &JsValue, options: &JsValue) -> Result<WriteRequest, Error> {
    let namespace = arguments::namespace(namespace, "namespace")?;
    let fields = Fields::of(options, "options", &["user", "path", "timestamp"])?;
    let (user, path) = (fields.required("user", arguments::user)?, fields.required("path", arguments::path)?);
    Ok(WriteRequest { namespace, user, path, timestamp: fields.with("timestamp", arguments::timestamp)? })
}

/// Writes a payload that is at hand.
pub(super) async fn write(node: &Node, target: WriteRequest, payload: Vec<u8>) -> Result<JsValue, Error> {
    let WriteRequest { namespace, user, path, timestamp } = target;
    Ok(node.set(namespace, SetRequest { user, path, payload, timestamp }).await?.to_js())
}

/// Of which entry, from where on, and how much.
pub(super) fn range(entry: &JsValue, options: &JsValue) -> Result<(EntryKey, u64, Option<u64>), Error> {
    let key = arguments::entry_key(entry)?;
    let fields = Fields::of(options, "options", &["offset", "length"])?;
    Ok((key, fields.with("offset", arguments::count)?.unwrap_or(0), fields.with("length", arguments::count)?))
}

/// A write in progress: all of the payload goes to `prepare`, then once more to `push`, which is called again only after it has resolved, and
/// then comes `finish`. Aborting or freeing it leaves no trace.
#[wasm_bindgen]
pub struct RawWriter {
    writing: Rc<RefCell<Writing>>,
}

enum Writing {
    Idle(Box<PayloadWriter>),
    Busy,
    Over,
}

impl RawWriter {
    pub(super) fn new(writer: PayloadWriter) -> Self {
        Self { writing: Rc::new(RefCell::new(Writing::Idle(Box::new(writer)))) }
    }
}

#[wasm_bindgen]
impl RawWriter {
    /// The next bytes, for the first time.
    pub fn prepare(&self, piece: &Uint8Array) {
        if let Writing::Idle(writer) = &mut *self.writing.borrow_mut() {
            writer.prepare(&piece.to_vec());
        }
    }

    /// The next bytes, for the second time.
    pub fn push(&self, piece: &Uint8Array) -> Promise {
        let (taken, writing, bytes) = (self.writing.replace(Writing::Busy), self.writing.clone(), piece.to_vec());
        promise(async move {
            let Writing::Idle(mut writer) = taken else { return Err(Error::Aborted) };
            let pushed = writer.push(&bytes).await;
            let mut writing = writing.borrow_mut();
            match (pushed, &*writing) {
                (Ok(()), Writing::Busy) => {
                    *writing = Writing::Idle(writer);
                    Ok(JsValue::UNDEFINED)
                }
                (Ok(()), _) => Err(Error::Aborted),
                (Err(error), _) => Err(error),
            }
        })
    }

    /// Signs and stores the entry.
    pub fn finish(&self) -> Promise {
        let taken = self.writing.replace(Writing::Over);
        promise(async move {
            let Writing::Idle(writer) = taken else { return Err(Error::Aborted) };
            Ok(writer.finish().await?.to_js())
        })
    }

    /// Gives the write up.
    pub fn abort(&self) {
        self.writing.replace(Writing::Over);
    }
}
