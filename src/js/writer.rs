//! `RawWriter`: a write whose payload comes in pieces.

use std::cell::RefCell;

use js_sys::{Promise, Uint8Array};
use wasm_bindgen::prelude::wasm_bindgen;

use super::{output::ToJs, promise};
use crate::node::{Error, NamespaceId, Node, Path, SetRequest, SubspaceId};

/// Where a write goes, without its payload.
pub(super) struct Target {
    pub(super) namespace: NamespaceId,
    pub(super) user: SubspaceId,
    pub(super) path: Path,
    pub(super) timestamp: Option<u64>,
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
        promise(async move { taken.map(|()| wasm_bindgen::JsValue::UNDEFINED) })
    }

    /// Signs and stores the entry.
    pub fn finish(&self) -> Promise {
        let (node, pending) = (self.node.clone(), self.pending.take());
        promise(async move {
            let (Target { namespace, user, path, timestamp }, payload) = pending.ok_or(Error::Aborted)?;
            let outcome = node.set(namespace, SetRequest { user, path, payload, timestamp }).await?;
            Ok(outcome.to_js())
        })
    }

    /// Gives the write up.
    pub fn abort(&self) {
        self.pending.take();
    }
}
