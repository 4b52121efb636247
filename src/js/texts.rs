//! Texts that cross into JavaScript again and again, made once: to make one costs more than to look it up. It must not know what they say.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    thread::LocalKey,
};

use osier_core::PeerId;
use wasm_bindgen::JsValue;

thread_local! {
    static NAMES: RefCell<BTreeMap<&'static str, JsValue>> = const { RefCell::new(BTreeMap::new()) };
    static IDS: Recent<JsValue> = const { RefCell::new(VecDeque::new()) };
}

/// The name of a field.
pub(super) fn name(name: &'static str) -> JsValue {
    NAMES.with_borrow_mut(|names| names.entry(name).or_insert_with(|| name.into()).clone())
}

/// An id in hex.
pub(super) fn id(bytes: &[u8; 32]) -> JsValue {
    recent(&IDS, bytes, |bytes| PeerId(*bytes).to_string().into())
}

/// How many ids of a kind are remembered.
const RECENT_IDS: usize = 16;

/// Ids and what they stand for, the latest first.
pub(super) type Recent<T> = RefCell<VecDeque<([u8; 32], T)>>;

/// What an id stands for. Most calls name the same few.
pub(super) fn recent<T: Clone>(ids: &'static LocalKey<Recent<T>>, bytes: &[u8; 32], make: impl FnOnce(&[u8; 32]) -> T) -> T {
    ids.with_borrow_mut(|ids| {
        if let Some((_, known)) = ids.iter().find(|(id, _)| id == bytes) {
            return known.clone();
        }
        let made = make(bytes);
        ids.truncate(RECENT_IDS - 1);
        ids.push_front((*bytes, made.clone()));
        made
    })
}
