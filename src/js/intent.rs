//! `RawIntent` and `RawIncoming`: sessions that this node and that peers asked for.

use js_sys::Promise;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use super::{RawEvents, arguments, output::ToJs, promise};
use crate::node::{IncomingSession, Intent};

/// An intent. Dropping the JavaScript object leaves it running: in JavaScript an intent ends by `close`, its signal or shutdown.
#[wasm_bindgen]
pub struct RawIntent {
    intent: Intent,
}

impl RawIntent {
    pub(super) fn new(intent: Intent) -> Self {
        intent.detach();
        Self { intent }
    }
}

#[wasm_bindgen]
impl RawIntent {
    /// Endpoint id of the peer, hex.
    #[wasm_bindgen(getter)]
    pub fn peer(&self) -> String {
        self.intent.peer().to_string()
    }

    /// How it ends.
    pub fn completed(&self) -> Promise {
        let intent = self.intent.clone();
        promise(async move { intent.completed().await.map(|completion| completion.to_js()) })
    }

    /// Its events.
    pub fn events(&self) -> RawEvents {
        RawEvents::of(self.intent.events())
    }

    /// Adds interests; what is wrong with them does not end it.
    #[wasm_bindgen(js_name = addInterests)]
    pub fn add_interests(&self, interests: &JsValue) -> Promise {
        let (intent, interests) = (self.intent.clone(), arguments::interest_list(interests, "interests"));
        promise(async move { intent.add_interests(interests?).await.map(|()| JsValue::UNDEFINED) })
    }

    /// Closes it; `completed` tells when that is done.
    pub fn close(&self) {
        let intent = self.intent.clone();
        wasm_bindgen_futures::spawn_local(async move { intent.close().await });
    }
}

/// A session that a peer asked for.
#[wasm_bindgen]
pub struct RawIncoming {
    session: IncomingSession,
}

impl RawIncoming {
    pub(super) fn new(session: IncomingSession) -> Self {
        Self { session }
    }
}

#[wasm_bindgen]
impl RawIncoming {
    /// Endpoint id of the peer, hex.
    #[wasm_bindgen(getter)]
    pub fn peer(&self) -> String {
        self.session.peer().to_string()
    }

    /// Its events.
    pub fn events(&self) -> RawEvents {
        RawEvents::of(self.session.events())
    }
}
