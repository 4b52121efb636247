//! What the node is told of its surroundings, and what it notices by its clocks: inputs of the peer manager. Nothing is decided here but
//! whether the machine slept, and whether there is a network.

use std::{cell::Cell, rc::Rc, time::Duration};

use osier_core::peers::Input;

use super::inner::Inner;
use crate::platform::{self, OwnerLock};

/// How often the clocks are compared.
const BEAT: Duration = Duration::from_secs(5);
/// Timers this much too late, or clocks that disagree by as much, mean that the machine slept. In microseconds.
const ASLEEP: u64 = 10_000_000;
/// The same for timers of a hidden page, which browsers run once a minute.
const ASLEEP_HIDDEN: u64 = 90_000_000;

/// What a page knows and its node cannot see. What is `None` has not changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Lifecycle {
    /// Whether the page can be seen. What loses its connection while hidden waits until it is visible.
    pub visible: Option<bool>,
    /// `true`: the page is about to be frozen. `false`: it goes on, and every connection is probed, since the other side may have given up.
    pub frozen: Option<bool>,
    /// Whether there is a network at all. `false` is not believed while the home relay is connected.
    pub online: Option<bool>,
}

/// What the node was told last.
#[derive(Default)]
pub(super) struct Surroundings {
    hidden: Cell<bool>,
    told_offline: Cell<bool>,
    relay: Cell<bool>,
}

/// The page says what happens to it.
pub(super) fn notify(node: &Inner, told: Lifecycle) {
    let around = &node.surroundings;
    if let Some(frozen) = told.frozen {
        node.input(if frozen { Input::Frozen } else { Input::Resumed });
    }
    if let Some(visible) = told.visible {
        around.hidden.set(!visible);
        node.input(if visible { Input::Visible } else { Input::Hidden });
    }
    if let Some(online) = told.online {
        around.told_offline.set(!online);
        if online {
            node.input(Input::Online);
        } else if !around.relay.get() {
            node.input(Input::Offline);
        }
    }
}

/// The home relay was reached, or lost. Reaching it proves that there is a network, whatever the browser says.
pub(super) fn relay_changed(node: &Inner, connected: bool) {
    let around = &node.surroundings;
    around.relay.set(connected);
    node.input(Input::Relay { connected });
    if connected {
        node.input(Input::Online);
    } else if around.told_offline.get() {
        node.input(Input::Offline);
    }
}

/// Notices that the machine slept, as long as the task runs.
pub(super) async fn watch_clocks(node: Rc<Inner>) {
    let mut last = (node.now(), platform::unix_micros());
    loop {
        platform::sleep(BEAT).await;
        let (now, unix) = (node.now(), platform::unix_micros());
        if slept(now.micros_since(last.0), unix.saturating_sub(last.1), node.surroundings.hidden.get()) {
            node.input(Input::Woken);
        }
        last = (now, unix);
    }
}

/// Shuts the node down when another one takes its key.
pub(super) async fn watch_key(node: Rc<Inner>) {
    let Some(stolen) = node.key.borrow().as_ref().map(OwnerLock::stolen) else { return };
    stolen.await;
    tracing::warn!("another tab has taken the key of this node");
    node.input(Input::Shutdown);
}

/// Whether the machine slept between two beats: by how much the monotonic and the wall clock went on, in microseconds. Some monotonic
/// clocks stand still meanwhile, others do not.
fn slept(monotonic: u64, wall: u64, hidden: bool) -> bool {
    let late = if hidden { ASLEEP_HIDDEN } else { ASLEEP };
    let beat = u64::try_from(BEAT.as_micros()).unwrap_or(u64::MAX);
    monotonic > beat.saturating_add(late) || wall.saturating_sub(monotonic) > ASLEEP
}

#[cfg(test)]
mod tests {
    use super::slept;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn a_machine_slept_if_its_timer_is_late_or_its_clocks_disagree() {
        for (monotonic, wall, hidden, asleep) in [
            (5, 5, false, false),
            (12, 12, false, false),
            (16, 16, false, true),
            (5, 3600, false, true), // the monotonic clock stood still
            (5, 3600, true, true),
            (60, 60, true, false), // a hidden page's timers
            (96, 96, true, true),
            (5, 0, false, false), // the wall clock was set back
        ] {
            assert_eq!(slept(monotonic * SECOND, wall * SECOND, hidden), asleep, "{monotonic} s, {wall} s, hidden: {hidden}");
        }
    }
}
