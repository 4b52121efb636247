//! Tests of the store as a whole; `model` compares it with a naive one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod backends;
mod crashes;
mod disk;
mod draft;
mod events;
mod history;
mod join;
mod model;
mod quota;
mod ranges;
mod resume;
mod staged;
mod unheld;

use std::task::{Context, Poll, Waker};

/// The result of a future that never has to wait.
fn now<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("a future of the core waits for something"),
    }
}
