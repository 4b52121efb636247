//! In a browser: Web Locks. A lock is held as long as a promise is pending that the browser was given when it granted the lock.

use std::cell::RefCell;

use js_sys::{Function, Object, Promise, Reflect};
use tokio::sync::{oneshot, watch};
use wasm_bindgen::{JsCast, JsValue, closure::Closure, prelude::wasm_bindgen};
use wasm_bindgen_futures::JsFuture;
use web_sys::AbortController;

use super::{Lock, Taken};
use crate::platform::{global, spawn_detached, timeout};

#[wasm_bindgen]
extern "C" {
    /// `navigator.locks`, which `web-sys` has as an unstable interface only.
    type LockManager;

    #[wasm_bindgen(method, structural, catch)]
    fn request(this: &LockManager, name: &str, options: &Object, granted: &JsValue) -> Result<Promise, JsValue>;
}

/// Being the owner, until this is dropped.
#[derive(Debug)]
pub struct OwnerLock {
    /// `None` where there are no Web Locks.
    hold: Option<Hold>,
    end: watch::Receiver<End>,
}

/// What became of a request for a lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// It waits, or is held.
    NotYet,
    Released,
    /// It was refused, or taken away.
    Rejected,
}

/// What holds a lock: it resolves a promise when it is dropped, wherever that is. An answer of the browser may be dropped unseen.
#[derive(Debug)]
struct Hold(Function);

impl Drop for Hold {
    fn drop(&mut self) {
        let _ = self.0.call0(&JsValue::UNDEFINED);
    }
}

/// The answer of the browser: the lock, or `None` if somebody else has it.
type Answer = Option<Hold>;

impl OwnerLock {
    /// Resolves once somebody else has taken it.
    pub fn stolen(&self) -> impl Future<Output = ()> + use<> {
        let (mut end, held) = (self.end.clone(), self.hold.is_some());
        async move {
            let rejected = held && end.wait_for(|end| *end == End::Rejected).await.is_ok();
            if !rejected {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Lets go, and waits until another one can have it.
    pub async fn release(self) {
        let mut end = self.end.clone();
        drop(self);
        // An error says that nothing holds it.
        let _ = end.wait_for(|end| *end != End::NotYet).await;
    }
}

/// Takes a request back when it is dropped before it was granted.
struct Withdraw(Option<AbortController>);

impl Drop for Withdraw {
    fn drop(&mut self) {
        if let Some(controller) = &self.0 {
            controller.abort();
        }
    }
}

pub(super) async fn acquire(name: &str, lock: Lock) -> Result<OwnerLock, Taken> {
    let options = Object::new();
    let mut withdraw = Withdraw(None);
    match lock {
        Lock::Wait(_) => {
            if let Ok(controller) = AbortController::new() {
                set(&options, "signal", &controller.signal());
                withdraw.0 = Some(controller);
            }
        }
        Lock::Fail => set(&options, "ifAvailable", &JsValue::TRUE),
        Lock::Steal => set(&options, "steal", &JsValue::TRUE),
    }
    let Some((answer, end)) = request(name, &options) else { return Ok(unlocked()) };
    let answer = match lock {
        Lock::Wait(patience) => timeout(patience, answer).await.ok_or(Taken)?,
        Lock::Fail | Lock::Steal => answer.await,
    };
    match answer {
        Ok(Some(hold)) => {
            // From here on, the lock ends with its promise.
            withdraw.0 = None;
            Ok(OwnerLock { hold: Some(hold), end })
        }
        Ok(None) => Err(Taken),
        // Refused without an answer: this page may not have locks.
        Err(_) => Ok(unlocked()),
    }
}

/// The owner where there are no locks.
fn unlocked() -> OwnerLock {
    OwnerLock { hold: None, end: watch::channel(End::Released).1 }
}

fn set(options: &Object, name: &str, value: &JsValue) {
    // Setting a property of a plain object does not fail.
    let _ = Reflect::set(options, &name.into(), value);
}

/// Asks for a lock. `None`: there are no Web Locks here.
fn request(name: &str, options: &Object) -> Option<(oneshot::Receiver<Answer>, watch::Receiver<End>)> {
    let locks = global(&["navigator", "locks"])?;
    let (answers, answer) = oneshot::channel();
    let answers = RefCell::new(Some(answers));
    let granted = Closure::<dyn FnMut(JsValue) -> JsValue>::new(move |lock: JsValue| {
        let answers = answers.borrow_mut().take();
        let mut hold = None;
        let held = Promise::new(&mut |resolve, _| hold = Some(Hold(resolve)));
        if let Some(answers) = answers {
            // Where nobody waits any more, this lets go at once.
            let _ = answers.send(hold.filter(|_| !lock.is_null()));
        }
        held.into()
    });
    let outcome = locks.unchecked_ref::<LockManager>().request(name, options, granted.as_ref()).ok()?;
    let (ends, end) = watch::channel(End::NotYet);
    spawn_detached(async move {
        let released = JsFuture::from(outcome).await.is_ok();
        // The browser calls this until the request has an outcome, and no longer.
        drop(granted);
        ends.send_replace(if released { End::Released } else { End::Rejected });
    });
    Some((answer, end))
}
