//! The only module with two faces: tasks, time, randomness, locks and the room that storage has, under the same names natively and in a
//! browser.
//!
//! It must know nothing of Osier but [`Moment`].

use std::{future::Future, time::Duration};

use n0_future::time::Instant;
use osier_core::Moment;
use tokio::sync::oneshot;

pub mod lock;

#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(not(target_arch = "wasm32"))]
use native as face;

#[cfg(target_arch = "wasm32")]
mod browser;
#[cfg(target_arch = "wasm32")]
use browser as face;
#[cfg(target_arch = "wasm32")]
pub(crate) use browser::global;

pub use face::{StartError, persisted, request_persistence, start, storage_estimate};
pub use lock::OwnerLock;

/// The longest single sleep. Browsers keep timeouts in 31 bits of milliseconds and fire at once beyond.
const LONGEST_SLEEP: Duration = Duration::from_millis(0x7000_0000);

/// How much storage a program uses, and may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StorageEstimate {
    /// Bytes in use, as far as it is told.
    pub usage: u64,
    /// Bytes that can be used in all.
    pub quota: u64,
}

/// A running task; it ends when this is dropped.
#[derive(Debug)]
#[must_use = "dropping a task ends it"]
pub struct Task {
    _alive: oneshot::Sender<()>,
}

/// Runs a future on this thread until it ends, or until the returned task is dropped.
pub fn spawn_local(future: impl Future<Output = ()> + 'static) -> Task {
    let (alive, dropped) = oneshot::channel();
    face::spawn(async move {
        tokio::select! {
            biased;
            _ = dropped => {}
            () = future => {}
        }
    });
    Task { _alive: alive }
}

/// Runs a future on this thread until it ends.
pub fn spawn_detached(future: impl Future<Output = ()> + 'static) {
    face::spawn(future);
}

/// Sleeps, any length.
pub async fn sleep(mut duration: Duration) {
    while duration > LONGEST_SLEEP {
        n0_future::time::sleep(LONGEST_SLEEP).await;
        duration = duration.saturating_sub(LONGEST_SLEEP);
    }
    n0_future::time::sleep(duration).await;
}

/// Waits for a future, but not for ever. `None`: the time was over first.
pub async fn timeout<T>(duration: Duration, future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = sleep(duration) => None,
    }
}

/// The monotonic clock of a node.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock that begins now.
    #[must_use]
    pub fn start() -> Self {
        Self { origin: Instant::now() }
    }

    /// Now, on this clock.
    #[must_use]
    pub fn now(&self) -> Moment {
        Moment(u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// Sleeps until a moment of this clock; not at all if it has passed.
    pub async fn sleep_until(&self, moment: Moment) {
        let micros = moment.micros_since(self.now());
        if micros > 0 {
            sleep(Duration::from_micros(micros)).await;
        }
    }
}

/// Microseconds since the Unix epoch, as far as the machine's clock is right; 0 if it is set before.
#[must_use]
#[allow(clippy::disallowed_types, reason = "this is the one place that reads the wall clock, the browser's in a browser")]
pub fn unix_micros() -> u64 {
    let since = web_time::SystemTime::now().duration_since(web_time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Random bytes, good for keys.
///
/// # Panics
/// Never in a browser. Natively when the operating system has no randomness to give, where nothing can be done safely.
#[must_use]
#[allow(clippy::expect_used, reason = "without randomness every key would be guessable; ending is the only safe answer")]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives no randomness");
    bytes
}
