//! Writes: where they go, and `RawWriter` for a payload that comes in pieces.

use std::cell::RefCell;

use js_sys::{Promise, Uint8Array};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use super::{
    arguments::{self, Fields},
    output::ToJs,
    promise,
};
use crate::node::{Error, NamespaceId, Node, Path, SetRequest, SubspaceId};

/// Where a write goes, without its payload.
pub(super) struct Target {
    namespace: NamespaceId,
    user: SubspaceId,
    path: Path,
    timestamp: Option<u64>,
}

impl Target {
    pub(super) fn of(namespace: &JsValue, options: &JsValue) -> Result<Self, Error> {
        let namespace = arguments::namespace(namespace, "namespace")?;
        let fields = Fields::of(options, "options", &["user", "path", "timestamp"])?;
        let (user, path) = (fields.required("user", arguments::user)?, fields.required("path", arguments::path)?);
        Ok(Self { namespace, user, path, timestamp: fields.with("timestamp", arguments::timestamp)? })
    }

    pub(super) async fn write(self, node: &Node, payload: Vec<u8>) -> Result<JsValue, Error> {
        let Self { namespace, user, path, timestamp } = self;
        Ok(node.set(namespace, SetRequest { user, path, payload, timestamp }).await?.to_js())
    }
}

/// A write in progress. Nothing is stored before `finish`; dropping or aborting it leaves no trace.
#[wasm_bindgen]
pub struct RawWriter {
    node: Node,
    pending: RefCell<Option<(Target, Vec<u8>)>>,
}

impl RawWriter {
    pub(super) fn new(node: Node, target: Target) -> Self {
        Self { node, pending: RefCell::new(Some((target, Vec::new()))) }
    }
}

#[wasm_bindgen]
impl RawWriter {
    /// Adds bytes to the payload.
    pub fn push(&self, piece: &Uint8Array) -> Promise {
        let taken = match self.pending.borrow_mut().as_mut() {
            Some((_, payload)) => {
                let at = payload.len();
                payload.resize(at + piece.length() as usize, 0);
                piece.copy_to(&mut payload[at..]);
                Ok(())
            }
            None => Err(Error::Aborted),
        };
        promise(async move { taken.map(|()| JsValue::UNDEFINED) })
    }

    /// Signs and stores the entry.
    pub fn finish(&self) -> Promise {
        let (node, pending) = (self.node.clone(), self.pending.take());
        promise(async move {
            let (target, payload) = pending.ok_or(Error::Aborted)?;
            target.write(&node, payload).await
        })
    }

    /// Gives the write up.
    pub fn abort(&self) {
        self.pending.take();
    }
}
