//! Random interleavings of two machines, then a healed network: mistake 23.

use proptest::prelude::*;

use super::world::{Rules, Step, World, id_of};
use crate::peers::{AcceptPolicy, Input, ReconnectPolicy};
use crate::{IntentId, Mode};

fn policy(choice: u8) -> ReconnectPolicy {
    match choice % 3 {
        0 => ReconnectPolicy::NEVER,
        1 => ReconnectPolicy::ALWAYS,
        _ => ReconnectPolicy { attempts: 2, ..ReconnectPolicy::ALWAYS },
    }
}

/// One choice of the script: half of them move what is under way, the others are the world's and the users'.
fn choose(world: &mut World, (kind, what): (u8, u8)) {
    let count = world.nodes.len();
    let node = usize::from(what) % count;
    let peer = (node + 1 + usize::from(what >> 2) % (count - 1)) % count;
    let running = !world.nodes[node].stopped;
    match kind % 40 {
        0..=3 => {
            world.submit(node, peer, if what & 64 == 0 { Mode::Once } else { Mode::Live }, policy(what >> 3));
        }
        4 => {
            let unsettled = world.unsettled(node);
            if let Some(&intent) = unsettled.get(usize::from(what) % unsettled.len().max(1)) {
                world.input(node, Input::CloseIntent { intent });
            }
        }
        5 => {
            let open = world.open();
            if let Some(&conn) = open.get(usize::from(what) % open.len().max(1)) {
                world.kill(conn);
            }
        }
        6 if what < 40 => world.reload(node),
        6 if what < 70 && running => world.input(node, Input::Shutdown),
        6 => world.input(node, Input::Disconnect { peer: id_of(peer) }),
        7 => {
            let surroundings = [Input::Hidden, Input::Visible, Input::Offline, Input::Online, Input::Frozen, Input::Resumed, Input::Woken];
            world.input(node, surroundings[usize::from(what >> 1) % surroundings.len()].clone());
        }
        8..=11 => world.take(Step::Time),
        _ => {
            let steps = world.enabled();
            match steps.get(usize::from(what) % steps.len().max(1)) {
                Some(&step) => world.take(step),
                None => world.take(Step::Time),
            }
        }
    }
}

/// The network is well again and everybody is back; in the end nothing may be left.
fn heal(world: &mut World) {
    for node in 0..world.nodes.len() {
        for input in [Input::Online, Input::Visible, Input::Resumed] {
            world.input(node, input);
        }
    }
    for _ in 0..2_000 {
        let step = world.enabled().into_iter().find(|step| !matches!(step, Step::Decide(_, _, false)));
        world.take(step.unwrap_or(Step::Time));
        if world.rests() && world.nodes.iter().all(|node| !node.stopped) {
            break;
        }
        for node in 0..world.nodes.len() {
            if world.nodes[node].stopped {
                assert_eq!(world.unsettled(node), Vec::<IntentId>::new(), "unsettled after shutdown\n{}", world.tail());
                world.reload(node);
            }
        }
    }
    let lives = (0..world.nodes.len()).any(|node| !world.unsettled(node).is_empty());
    if world.nodes.len() == 2 && lives {
        let together = (0..5_000).any(|_| {
            let step = world.enabled().into_iter().find(|step| !matches!(step, Step::Decide(_, _, false)));
            world.take(step.unwrap_or(Step::Time));
            world.together(0, 1)
        });
        assert!(together, "a live intent, and no session\n{}", world.tail());
    }
    for node in 0..world.nodes.len() {
        for intent in world.unsettled(node) {
            let alive = world.nodes[node].modes[&intent] == Mode::Live;
            assert!(alive, "{intent:?} of {node} neither settled nor live\n{}", world.tail());
        }
    }
    for node in 0..world.nodes.len() {
        for intent in world.unsettled(node) {
            world.input(node, Input::CloseIntent { intent });
        }
    }
    world.settle_down();
    for node in 0..world.nodes.len() {
        let left = world.unsettled(node);
        assert_eq!(left, Vec::<IntentId>::new(), "unsettled at {node}\n{}", world.tail());
        assert!(world.nodes[node].manager.is_empty(), "{:?}\n{}", world.nodes[node].manager.peers(), world.tail());
        assert_eq!(world.nodes[node].manager.next_deadline(), None);
    }
    assert_eq!(world.open(), Vec::<usize>::new());
}

/// Worlds whose scripts come from seeds: the same every time.
pub(super) fn of_seed(seed: u64, mut see: impl FnMut(&mut World)) {
    let mut state = seed;
    let script: Vec<_> = (0..100)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 40) as u8, (state >> 52) as u8)
        })
        .collect();
    let accept = if seed & 1 == 0 { AcceptPolicy::Everyone } else { AcceptPolicy::AskHandler };
    let world = World::new(2 + (seed >> 1 & 1) as usize, Rules { accept, direct: seed & 4 == 0, no_kills: false });
    see(&mut go_on(world, &script));
}

fn run(count: usize, accept: AcceptPolicy, direct: bool, script: &[(u8, u8)]) {
    let mut world = World::new(count, Rules { accept, direct, no_kills: false });
    world.tracing = true;
    go_on(world, script);
}

fn go_on(mut world: World, script: &[(u8, u8)]) -> World {
    for &choice in script {
        choose(&mut world, choice);
    }
    heal(&mut world);
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mistake_23_random_interleavings_end_well(script in proptest::collection::vec(any::<(u8, u8)>(), 0..120)) {
        run(2, AcceptPolicy::Everyone, false, &script);
    }

    #[test]
    fn mistake_23_random_interleavings_with_a_handler(script in proptest::collection::vec(any::<(u8, u8)>(), 0..120)) {
        run(2, AcceptPolicy::AskHandler, false, &script);
    }

    #[test]
    fn mistake_23_random_interleavings_of_three(script in proptest::collection::vec(any::<(u8, u8)>(), 0..160)) {
        run(3, AcceptPolicy::Everyone, true, &script);
    }
}
