//! The end of every simulation: all faults are mended, and then nothing may be missing, and nothing left.

use super::{Kind, data::Spot, driver::id_of, world::World};
use crate::{
    IntentId, Mode, Moment,
    peers::{Completion, Input, Outcome, ReconnectPolicy},
    store::{Incoming, Origin, Outcome as Joined},
};

/// Milliseconds that the nodes have to find each other again.
const RECONNECT: u64 = 400_000;
/// Milliseconds until every intent must have settled that can.
const SETTLE: u64 = 900_000;
/// Milliseconds after which those who are live with each other usually know the same.
const SOON: u64 = 45_000;
/// Milliseconds that a sync takes at most when nothing goes wrong.
const SYNC: u64 = 200_000;
/// Milliseconds until nothing moves any more.
const STILL: u64 = 300_000;
/// Milliseconds that a shutdown takes at most.
const SHUTDOWN: u64 = 11_000;

impl World {
    /// Everything after the script.
    pub(super) fn finish(&mut self) {
        self.mend();
        self.expect_lives();
        self.expect_settled();
        self.expect_stillness();
        self.sync_all();
        self.expect_stillness();
        self.shut_down_all();
    }

    fn after(&self, millis: u64) -> Moment {
        self.now.after_millis(millis)
    }

    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let count = self.nodes.len();
        (0..count).flat_map(move |a| (a + 1..count).map(move |b| (a, b)))
    }

    /// No faults from now on, and everyone is back.
    fn mend(&mut self) {
        self.say(|| "everything is mended".to_owned());
        self.healed = true;
        self.partitions.clear();
        for node in 0..self.nodes.len() {
            self.nodes[node].cut_off = false;
            (self.nodes[node].busy_until, self.nodes[node].stalled_until) = (Moment(0), Moment(0));
            let life = self.nodes[node].life;
            self.thaw(node, life, true);
        }
        self.release();
        // Whoever is shutting down gets its time, and then starts again.
        let (soon, all_up) = (self.after(SHUTDOWN), |world: &Self| world.nodes.iter().all(|node| node.up && !node.closing));
        for input in [Input::Visible, Input::Online, Input::Resumed, Input::Relay { connected: true }] {
            for node in 0..self.nodes.len() {
                self.tell(node, input.clone());
            }
        }
        if !all_up(self) {
            self.run_until(soon);
            for node in 0..self.nodes.len() {
                if !self.nodes[node].up {
                    self.nodes[node].life += 1;
                    let life = self.nodes[node].life;
                    self.start(node, life);
                }
            }
        }
    }

    /// Live intents that are not settled and never give up: (node, peer, part).
    fn lives(&self) -> Vec<(usize, usize, Option<Spot>)> {
        let roomy = |node: usize| self.nodes[node].plan.room.is_none();
        let all = self.nodes.iter().enumerate().flat_map(|(number, node)| node.intents.values().map(move |intent| (number, intent)));
        let live = all.filter(|(_, intent)| intent.mode == Mode::Live && intent.settled.is_none() && intent.stubborn);
        live.filter(|(node, intent)| roomy(*node) && roomy(intent.peer)).map(|(node, intent)| (node, intent.peer, intent.part)).collect()
    }

    /// Who wants to be connected for long is connected, and knows what the other one knows.
    fn expect_lives(&mut self) {
        let end = self.after(RECONNECT);
        let connected = |world: &Self| world.lives().into_iter().find(|&(a, b, _)| !world.together(a, b));
        if !self.run_until_that(end, |world| connected(world).is_none()) {
            let pair = connected(self);
            let peers: Vec<_> = self.nodes.iter().map(|node| node.manager.peers()).collect();
            return self.find(Kind::Stuck, || format!("a live intent, and no session between {pair:?}: {peers:?}"));
        }
        if !self.lives().is_empty() {
            self.run_until(self.after(SOON));
        }
        // On a slow connection, with little room, it takes longer.
        let late = self.after(SYNC);
        while self.finding.is_none() && self.now < late && self.live_difference().is_some() {
            self.run_until(self.after(SOON));
        }
        if let Some(difference) = self.live_difference() {
            self.find(Kind::Diverged, || difference);
        }
    }

    fn live_difference(&self) -> Option<String> {
        self.lives().into_iter().filter(|&(a, b, _)| self.together(a, b)).find_map(|(a, b, part)| self.differs_live(a, b, part))
    }

    /// What a live intent of `a` should have brought of what `b` has.
    fn differs_live(&self, a: usize, b: usize, part: Option<Spot>) -> Option<String> {
        let sessions = self.nodes[b].sessions.values();
        let accepted = sessions.filter(|task| task.peer == id_of(a)).any(|task| task.accepts());
        let holds = |node: usize, part: Option<Spot>| -> Vec<Spot> {
            let holds = self.nodes[node].plan.holds.iter();
            holds.filter_map(|&held| part.map_or(Some(held), |part| part.meet(held))).collect()
        };
        let mut theirs = if accepted { holds(b, None) } else { Vec::new() };
        for intent in self.nodes[b].intents.values().filter(|intent| intent.peer == a && intent.settled.is_none()) {
            theirs.extend(holds(b, intent.part));
        }
        let spots = shared(&holds(a, part), &theirs);
        let brought = self.lacking(a, b, &spots, false).map(|what| format!("node {a} is live with {b}, and lacks {what}"));
        let sent = || self.lacking(b, a, &spots, false).map(|what| format!("node {a} is live with {b}, which lacks {what}"));
        brought.or_else(|| if accepted { sent() } else { None })
    }

    /// What `node` lacks of what `other` has there. Entries that others here have pruned are not missed.
    fn lacking(&self, node: usize, other: usize, spots: &[Spot], payloads: bool) -> Option<String> {
        let (mine, theirs) = (&self.nodes[node].storage.store, &self.nodes[other].storage.store);
        for &spot in spots {
            let (space, area) = (self.universe.space(spot.space), self.universe.area(spot));
            for held in theirs.entries(space, &area) {
                let here = mine.get(space, held.subspace_id(), &held.path()).filter(|here| here.id() == held.id());
                match here {
                    Some(here) if payloads && held.is_complete() && !here.is_complete() => {
                        return Some(format!(
                            "the payload of {:?} in {spot:?} ({} of {})",
                            held.path(),
                            here.available(),
                            held.payload_length()
                        ));
                    }
                    Some(_) => {}
                    None => {
                        let entry = held.stored().signed();
                        let plan = mine.plan(vec![Incoming { entry, payload: None, origin: Origin::Local }]);
                        if plan.outcomes() != [Joined::Obsolete] {
                            return Some(format!("{:?} of {:?} in {spot:?}", held.path(), held.timestamp()));
                        }
                    }
                }
            }
        }
        None
    }

    fn unsettled(&self) -> impl Iterator<Item = (usize, IntentId, Mode)> {
        let all =
            self.nodes.iter().enumerate().flat_map(|(number, node)| node.intents.iter().map(move |(&id, intent)| (number, id, intent)));
        all.filter(|(_, _, intent)| intent.settled.is_none()).map(|(node, id, intent)| (node, id, intent.mode))
    }

    /// Live intents are closed; then each intent settles.
    fn expect_settled(&mut self) {
        let lives: Vec<_> = self.unsettled().filter(|(_, _, mode)| *mode == Mode::Live).collect();
        for (node, intent, _) in lives {
            self.tell(node, Input::CloseIntent { intent });
        }
        let end = self.after(SETTLE);
        if !self.run_until_that(end, |world| world.unsettled().next().is_none()) {
            let left: Vec<_> = self.unsettled().collect();
            let peers: Vec<_> = self.nodes.iter().map(|node| node.manager.peers()).collect();
            self.find(Kind::Stuck, || format!("not settled: {left:?}; {peers:?}"));
        }
    }

    /// Everyone syncs with everyone, until that changes nothing more; then stores are equal where they share.
    fn sync_all(&mut self) {
        for round in 0..=self.nodes.len() {
            let before: Vec<_> = self.nodes.iter().map(|node| node.storage.store.progress()).collect();
            for (a, b) in self.pairs() {
                let spots = shared(&self.nodes[a].plan.holds, &self.nodes[b].plan.holds);
                if !spots.is_empty() || round == 0 && self.nodes.len() < 4 {
                    self.sync(a, b, !spots.is_empty());
                }
            }
            if self.finding.is_some()
                || before.iter().eq(self.nodes.iter().map(|node| node.storage.store.progress()).collect::<Vec<_>>().iter())
            {
                break;
            }
        }
        for (a, b) in self.pairs() {
            let spots = shared(&self.nodes[a].plan.holds, &self.nodes[b].plan.holds);
            for (node, other) in [(a, b), (b, a)] {
                if let Some(what) = self.lacking(node, other, &spots, true) {
                    self.find(Kind::Diverged, || format!("after all, node {node} lacks what {other} has: {what}"));
                }
                if let Some(what) = self.unknown(node, &spots) {
                    self.find(Kind::Diverged, || format!("after all, node {node} does not know that {other} holds {what}"));
                }
            }
        }
    }

    /// A last sync of two nodes, in which nothing may go wrong.
    fn sync(&mut self, a: usize, b: usize, in_common: bool) {
        self.next_intent += 1;
        let id = IntentId(self.next_intent);
        self.say(|| format!("a last sync of {a} with {b}"));
        self.submit(a, b, id, (Mode::Once, ReconnectPolicy::ALWAYS, None));
        let end = self.after(SYNC);
        let outcome = |world: &Self| world.nodes[a].intents.get(&id).and_then(|intent| intent.settled);
        self.run_until_that(end, |world| outcome(world).is_some());
        let well = match outcome(self) {
            Some(Outcome::Done(Completion::Complete | Completion::Partial)) => in_common,
            // Areas that meet in an awkward way only have nothing in common, too.
            Some(Outcome::Done(Completion::NothingInCommon)) => !in_common,
            Some(Outcome::Closed | Outcome::Failed(_)) | None => false,
        };
        if !well {
            let outcome = outcome(self);
            return self.find(Kind::Stuck, || format!("a last sync of node {a} with {b}, who share {in_common}, ends as {outcome:?}"));
        }
        // Whoever joins a session meets what its peer wants in that session only.
        let end = self.after(SYNC);
        self.run_until_that(end, |world| [a, b].iter().all(|&node| world.nodes[node].manager.is_empty()));
    }

    /// When all is settled, nothing is left.
    fn expect_stillness(&mut self) {
        let end = self.after(STILL);
        let still = self.run_until_that(end, Self::is_still);
        for node in 0..self.nodes.len() {
            let it = &self.nodes[node];
            let left = [
                ("peers", !it.manager.is_empty()),
                ("a timer", it.manager.next_deadline().is_some()),
                ("inputs", !it.inputs.is_empty()),
                ("connections", !it.known.is_empty()),
                ("dials", !it.dials.is_empty()),
                ("questions", !it.questions.is_empty()),
                ("sessions", !it.sessions.is_empty()),
                ("writes", !it.storage.writes.is_empty()),
            ];
            let names: Vec<_> = left.iter().filter(|(_, left)| *left).map(|(name, _)| *name).collect();
            if !names.is_empty() {
                let peers = it.manager.peers();
                self.find(Kind::Leaked, || format!("node {node} has {} left: {peers:?}", names.join(", ")));
            }
        }
        let open = self.conns.iter().position(|conn| conn.ends.iter().any(|end| end.open));
        if let Some(conn) = open {
            self.find(Kind::Leaked, || format!("connection {conn} is open"));
        }
        if !still {
            self.find(Kind::Leaked, || "something still happens".to_owned());
        }
    }

    fn shut_down_all(&mut self) {
        for node in 0..self.nodes.len() {
            self.tell(node, Input::Shutdown);
        }
        let end = self.after(SHUTDOWN);
        if !self.run_until_that(end, |world| world.nodes.iter().all(|node| !node.up)) {
            self.find(Kind::Stuck, || "a shutdown takes too long".to_owned());
        }
        let prints: Vec<u64> = self.nodes.iter().map(|node| node.storage.store.progress().0).collect();
        self.note("end", &prints);
    }
}

/// Where both have interests that private interest overlap can bring together.
fn shared(mine: &[Spot], theirs: &[Spot]) -> Vec<Spot> {
    let pairs = mine.iter().flat_map(|&mine| theirs.iter().map(move |&theirs| (mine, theirs)));
    pairs.filter(|(mine, theirs)| !mine.awkward(*theirs)).filter_map(|(mine, theirs)| mine.meet(theirs)).collect()
}
