//! The accept handler of a page: asked where JavaScript runs, answered where the node does.
//!
//! The node's handler may be called on another thread in general; a JavaScript function may not. So they meet in a channel.

use js_sys::{Function, Promise, Reflect};
use tokio::sync::{mpsc, oneshot};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{AbortController, AbortSignal};

use super::{arguments, error};
use crate::node::{AcceptHandler, AcceptPolicy, Acceptance, Mode, PeerId, SessionInit};

/// A question about a peer. To drop the reply is to say no; that nobody waits for it any more shows in the reply.
struct Question {
    peer: PeerId,
    reply: oneshot::Sender<Yes>,
}

struct Yes {
    init: SessionInit,
    /// Resolves when the yes is taken back.
    taken_back: Option<oneshot::Receiver<()>>,
}

/// Asks `function(peer, signal)`, which returns a promise of null, or of `{ init, signal? }` where aborting the signal takes it back.
/// What it throws, and what is no such answer, is a no, and is logged: nobody else would hear of it.
pub(super) fn policy(function: Function) -> AcceptPolicy {
    let (questions, mut asked) = mpsc::unbounded_channel();
    spawn_local(async move {
        // Until the node is gone, and the handler with it.
        while let Some(question) = asked.recv().await {
            spawn_local(answer(function.clone(), question));
        }
    });
    AcceptPolicy::Ask(AcceptHandler::new(move |peer| {
        let (reply, replied) = oneshot::channel();
        // Unheard, the question is dropped, and its reply: a no.
        let _ = questions.send(Question { peer, reply });
        async move {
            let Yes { init, taken_back } = replied.await.ok()?;
            Some(match taken_back {
                None => Acceptance::new(init),
                Some(taken_back) => Acceptance::new(init).until(async {
                    if taken_back.await.is_err() {
                        std::future::pending().await
                    }
                }),
            })
        }
    }))
}

async fn answer(function: Function, question: Question) {
    let Question { peer, mut reply } = question;
    let said = tokio::select! {
        said = ask(&function, peer) => said,
        () = reply.closed() => return,
    };
    match said {
        Ok(None) => {}
        Ok(Some((init, None))) => drop(reply.send(Yes { init, taken_back: None })),
        Ok(Some((init, Some(signal)))) => {
            let mut abort = AbortListener::new(signal);
            let (mut take_back, taken_back) = oneshot::channel();
            drop(reply.send(Yes { init, taken_back: Some(taken_back) }));
            let aborted = tokio::select! {
                () = abort.aborted() => true,
                // What was accepted is over.
                () = take_back.closed() => false,
            };
            if aborted {
                let _ = take_back.send(());
            }
        }
        Err(thrown) => web_sys::console::error_2(&"osier: the accept handler failed, the peer is refused:".into(), &thrown),
    }
}

/// Dropped before it has an answer, it aborts the signal that the function was given.
async fn ask(function: &Function, peer: PeerId) -> Result<Option<(SessionInit, Option<AbortSignal>)>, JsValue> {
    let mut forgotten = AbortOnDrop(Some(AbortController::new()?));
    let signal = forgotten.0.as_ref().map(AbortController::signal);
    let returned = function.call2(&JsValue::UNDEFINED, &peer.to_string().into(), &signal.into())?;
    let answer = JsFuture::from(Promise::resolve(&returned)).await;
    forgotten.0 = None;
    let answer = answer?;
    if answer.is_null() {
        return Ok(None);
    }
    let init = arguments::session_init(&Reflect::get(&answer, &"init".into())?, Mode::Live).map_err(|error| error::to_js(&error))?;
    let signal = Reflect::get(&answer, &"signal".into())?;
    // The package has checked that it behaves like one.
    Ok(Some((init, (!signal.is_undefined()).then(|| signal.unchecked_into()))))
}

struct AbortOnDrop(Option<AbortController>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        if let Some(controller) = &self.0 {
            controller.abort();
        }
    }
}

/// Waits for a signal to abort, and leaves no trace on it.
struct AbortListener {
    signal: AbortSignal,
    listener: Closure<dyn FnMut()>,
    aborted: mpsc::UnboundedReceiver<()>,
}

impl AbortListener {
    fn new(signal: AbortSignal) -> Self {
        let (abort, aborted) = mpsc::unbounded_channel();
        let listener = Closure::new(move || drop(abort.send(())));
        // Adding a function as listener of an event fails for no signal.
        let _ = signal.add_event_listener_with_callback("abort", listener.as_ref().unchecked_ref());
        Self { signal, listener, aborted }
    }

    async fn aborted(&mut self) {
        if !self.signal.aborted() {
            self.aborted.recv().await;
        }
    }
}

impl Drop for AbortListener {
    fn drop(&mut self) {
        let _ = self.signal.remove_event_listener_with_callback("abort", self.listener.as_ref().unchecked_ref());
    }
}
