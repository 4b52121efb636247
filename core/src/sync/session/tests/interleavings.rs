//! Any order of reading, writing, storing and new entries, in pieces of any size, leads to equal stores.

use proptest::prelude::*;

use super::{
    pair::{Pair, Random, Setup},
    world::{World, all_complete, ids, payload},
};
use crate::{
    IntentId, Mode,
    sync::{Completion, IntentMode},
    willow::Area,
};

#[derive(Clone, Debug)]
struct Case {
    seed: u64,
    limits: [u64; 2],
    fanout: usize,
    threshold: u64,
    transport: usize,
    most: usize,
    live: bool,
    /// Per entry: user, directory, number, time, length of the payload, who has it.
    entries: Vec<(usize, u8, u8, u64, usize, u8)>,
    areas: usize,
}

fn case() -> impl Strategy<Value = Case> {
    let entry = (0..3_usize, 0..3_u8, 0..40_u8, 1..6_u64, prop_oneof![Just(0_usize), 1..100_usize, Just(20_000)], 0..4_u8);
    let limits = prop::array::uniform2(prop_oneof![1..5_u64, Just(64), Just(1024)]);
    let shape = (2..9_usize, 0..9_u64, prop_oneof![1..64_usize, Just(1500), Just(100_000)], prop_oneof![1..20_usize, Just(5000)]);
    (any::<u64>(), limits, shape, any::<bool>(), prop::collection::vec(entry, 0..120), 0..4_usize).prop_map(
        |(seed, limits, (fanout, threshold, transport, most), live, entries, areas)| Case {
            seed: seed | 1,
            limits,
            fanout,
            threshold,
            transport,
            most,
            live,
            entries,
            areas,
        },
    )
}

fn run(case: &Case) -> Result<(), TestCaseError> {
    let world = World::new(51);
    let mut setup = Setup { unanswered: case.limits, transport: case.transport, ..Setup::default() };
    setup.tuning.fanout = case.fanout;
    setup.tuning.threshold = case.threshold;
    let mut pair = Pair::new(setup);
    let mode = if case.live { Mode::Live } else { Mode::Once };
    let (mine, theirs) = match case.areas {
        0 => (vec![Area::full()], vec![Area::full()]),
        1 => (vec![Area::full()], vec![world.area(Some(1), "d1"), world.area(None, "d2")]),
        2 => (vec![world.area(None, "d0"), world.area(None, "d1")], vec![Area::full()]),
        _ => (vec![Area::full(), world.area(None, "d1")], vec![Area::full(), world.area(None, "d0"), world.area(None, "d1")]),
    };
    let mut later = Vec::new();
    for (n, &(user, dir, number, time, len, who)) in case.entries.iter().enumerate() {
        // Some paths are prefixes of others.
        let path = if number == 0 { format!("d{dir}") } else { format!("d{dir}/{number}") };
        let bytes = payload(n as u64 % 7, len);
        let entry = world.entry(user, &path, time, &bytes);
        match who {
            0 | 1 => pair.sides[usize::from(who)].disk.put(entry, &bytes),
            2 => pair.sides.iter_mut().for_each(|side| side.disk.put(entry.clone(), &bytes)),
            _ if case.live => later.push((entry, bytes)),
            _ => {}
        }
    }
    pair.alfie().intent(1, &world, &mine, mode);
    pair.betty().intent(2, &world, &theirs, IntentMode::FollowPeer);
    let mut random = Random(case.seed);
    for _ in 0..400 {
        if random.below(8) == 0
            && let Some((entry, bytes)) = later.pop()
        {
            let side = random.below(2);
            pair.sides[side].disk.put(entry, &bytes);
        }
        pair.random_step(&mut random, case.most).map_err(|error| TestCaseError::fail(error.to_string()))?;
    }
    for (entry, bytes) in later {
        pair.sides[1].disk.put(entry, &bytes);
    }
    pair.run().map_err(|error| TestCaseError::fail(error.to_string()))?;
    if case.live {
        prop_assert_eq!(pair.alfie().story(1).iter().filter(|name| **name == "reconciledAll").count(), 1);
        pair.alfie().session.close_intent(IntentId(1));
        pair.run().map_err(|error| TestCaseError::fail(error.to_string()))?;
    } else {
        prop_assert_eq!(pair.alfie().done.get(&IntentId(1)), Some(&Completion::Complete));
    }
    pair.assert_over();
    let shared = match case.areas {
        1 => theirs,
        2 => mine,
        _ => vec![Area::full()],
    };
    for area in &shared {
        let [a, b] = [0, 1].map(|i| ids(&pair.sides[i].disk, &world.namespace, area));
        prop_assert_eq!(a, b);
    }
    if case.areas != 1 && case.areas != 2 {
        prop_assert!(pair.sides.iter().all(|side| all_complete(&side.disk, &world.namespace)));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_ends_with_equal_stores(case in case()) {
        run(&case)?;
    }
}
