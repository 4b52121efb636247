//! Random interests, random orders, against the definition: which pairs of interests meet, and where.

use proptest::prelude::*;

use super::*;
use crate::willow::Grouping;

/// Whether two interests meet in the sense of private interest overlap: neither disjoint nor awkward.
fn meet(one: &Want, other: &Want) -> bool {
    let more_specific =
        |fine: &Want, coarse: &Want| (coarse.subspace.is_none() || coarse.subspace == fine.subspace) && fine.path.starts_with(&coarse.path);
    one.namespace == other.namespace && (more_specific(one, other) || more_specific(other, one))
}

/// What both share, if anything.
fn shared(one: &Want, other: &Want) -> Option<(NamespaceId, Area)> {
    let area = one.area().intersection(&other.area()).ok().filter(|_| meet(one, other))?;
    Some((namespace(one.namespace).corresponding_namespace_id(), area))
}

/// Asserts that both machines know what the definition says about the interests that are there.
pub fn assert_agrees(duo: &Duo, wants: [&[(InterestId, Want)]; 2]) {
    let mut expected = Vec::new();
    for (_, alfie) in wants[0] {
        for area in wants[1].iter().filter_map(|(_, betty)| shared(alfie, betty)) {
            if !expected.contains(&area) {
                expected.push(area);
            }
        }
    }
    for (side, node) in duo.nodes.iter().enumerate() {
        assert!(node.settled, "{side} is not settled");
        let found: Vec<_> = node.live.values().map(|shared| (shared.namespace.clone(), shared.area.clone())).collect();
        assert_eq!(found.len(), expected.len(), "{found:?} {expected:?}");
        assert!(found.iter().all(|area| expected.contains(area)), "{found:?} {expected:?}");
        for (id, want) in wants[side] {
            let areas: Vec<_> = wants[1 - side].iter().filter_map(|(_, other)| shared(want, other)).collect();
            let of: Vec<_> = node.machine.overlaps_of(*id).filter_map(|overlap| node.live.get(&overlap)).collect();
            assert!(areas.iter().all(|(_, area)| of.iter().any(|shared| shared.area == *area)), "{want:?} lacks one of {areas:?}");
            assert!(of.iter().all(|shared| areas.iter().any(|(_, area)| shared.area == *area)), "{want:?} has more than {areas:?}");
        }
        for &overlap in node.live.keys() {
            let (own, peer) = node.machine.handles(overlap).unwrap();
            let theirs = duo.nodes[1 - side].machine.lookup(peer, own).expect("both know the pair");
            assert_eq!(duo.nodes[1 - side].live[&theirs].area, node.live[&overlap].area);
        }
    }
}

fn any_want() -> impl Strategy<Value = Want> {
    let owned = (prop_oneof![Just('o'), Just('p')], prop_oneof![Just(None), Just(Some(2)), Just(Some(3))]);
    let communal = (Just('c'), prop_oneof![Just(Some(2)), Just(Some(3))]);
    let paths = prop_oneof![Just(""), Just("a"), Just("a/b"), Just("b")];
    let times = prop_oneof![3 => Just((0, None)), 1 => Just((0, Some(10))), 1 => Just((10, Some(20)))];
    (prop_oneof![4 => owned.boxed(), 1 => communal.boxed()], paths, times)
        .prop_map(|((namespace, subspace), path, times)| want(namespace, subspace, path).at(times.0, times.1))
}

fn wants() -> impl Strategy<Value = Vec<Want>> {
    prop::collection::vec(any_want(), 0..4)
}

fn numbered(node: &mut Node, wants: &[Want]) -> Vec<(InterestId, Want)> {
    wants.iter().map(|want| (node.add(want), want.clone())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn interests_there_from_the_start_in_any_order(alfie in wants(), betty in wants(), choices in prop::collection::vec(any::<bool>(), 64)) {
        let mut duo = Duo::new();
        let alfie = numbered(&mut duo.nodes[0], &alfie);
        let betty = numbered(&mut duo.nodes[1], &betty);
        let mut choices = choices.into_iter().cycle();
        duo.run(|_| usize::from(choices.next().unwrap()));
        assert_agrees(&duo, [&alfie, &betty]);
        for (node, wants) in duo.nodes.iter().zip([&alfie, &betty]) {
            for (id, _) in wants {
                let matched = node.matched.iter().any(|(interest, _)| interest == id);
                prop_assert!(matched != node.nothing.contains(id), "{id:?} is matched: {matched}");
            }
        }
    }

    #[test]
    fn interests_that_come_and_go_at_any_time(
        wants in prop::collection::vec((any_want(), 0_usize..2), 1..7),
        actions in prop::collection::vec((0_u8..12, any::<prop::sample::Index>()), 0..120),
    ) {
        let mut duo = Duo::new();
        let mut coming = wants.into_iter();
        let mut there: [Vec<(InterestId, Want)>; 2] = Default::default();
        for (action, index) in actions {
            let side = index.index(2);
            match action {
                0..=1 => if let Some((want, side)) = coming.next() {
                    let id = duo.nodes[side].add(&want);
                    there[side].push((id, want));
                },
                2 if !there[side].is_empty() => {
                    let gone = index.index(there[side].len());
                    duo.nodes[side].remove(there[side].remove(gone).0);
                }
                3 => duo.nodes[side].release_all(),
                4 => {
                    let live: Vec<_> = duo.nodes[side].live.keys().copied().collect();
                    if !live.is_empty() {
                        duo.nodes[side].name(live[index.index(live.len())]);
                    }
                }
                5..=7 => duo.step(Step::Send(side)),
                _ => duo.step(Step::Deliver(side)),
            }
        }
        duo.settle();
        assert_agrees(&duo, [&there[0], &there[1]]);
        for (side, there) in there.into_iter().enumerate() {
            there.into_iter().for_each(|(id, _)| duo.nodes[side].remove(id));
        }
        duo.settle();
        duo.nodes.iter().for_each(Node::assert_empty);
    }

    #[test]
    fn an_interest_that_is_not_shared_adds_nothing_but_its_hashes(alfie in wants(), betty in wants(), secret in any_want()) {
        let betty: Vec<_> = betty.into_iter().filter(|want| !meet(want, &secret)).collect();
        let messages = |alfie: &[Want]| {
            let mut duo = Duo::of(alfie, &betty);
            duo.run(|_| 0);
            let is_settled = |message: &[u8]| matches!(ControlMessage::decode(message), Ok(ControlMessage::OverlapSettled { .. }));
            duo.nodes.map(|node| {
                let mut sent = node.sent;
                sent.retain(|(channel, message)| *channel != Channel::Overlap && !(*channel == Channel::Control && is_settled(message)));
                sent
            })
        };
        let with = [alfie.clone(), vec![secret]].concat();
        prop_assert_eq!(messages(&alfie), messages(&with));
    }
}
