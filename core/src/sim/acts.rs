//! What a script can do to the nodes, and how it ends.

use super::{
    driver::{Intent, id_of},
    script::{Act, Page},
    storage::{Storage, Write},
    story::Story,
    world::{Happening, World},
};
use crate::{
    IntentId, Mode,
    peers::{Input, ReconnectPolicy},
};

use super::data::Spot;

impl World {
    pub(super) fn act(&mut self, act: Act) {
        self.note(&format!("{act:?}"), &[]);
        match act {
            Act::Submit { node, peer, intent, mode, policy, part } => {
                if self.is_awake(node) {
                    self.submit(node, peer, IntentId(intent), (mode, policy, part));
                }
            }
            Act::Close { node, intent } => self.tell(node, Input::CloseIntent { intent: IntentId(intent) }),
            Act::Disconnect { node, peer } => self.tell(node, Input::Disconnect { peer: id_of(peer) }),
            Act::Withdraw { node, any } => {
                let questions: Vec<_> = self.nodes[node].questions.iter().copied().collect();
                if let Some(&decision) = questions.get(any as usize % questions.len().max(1)) {
                    self.tell(node, Input::AcceptWithdrawn { decision });
                }
            }
            Act::Write { node, item } => {
                if self.is_awake(node) {
                    self.write(node, Write::Own(item));
                }
            }
            Act::Cut { any, how } => self.cut(any, how),
            Act::Partition { a, b, millis } => {
                let pair = (a.min(b), a.max(b));
                *self.partitions.entry(pair).or_default() += 1;
                self.review_all();
                self.schedule(self.now.after_millis(millis), Happening::Heal(pair));
            }
            Act::Freeze { node, millis, told } => self.freeze(node, millis, told),
            Act::Busy { node, millis } => self.nodes[node].busy_until = self.now.after_millis(millis),
            Act::Page { node, news } => self.page(node, news),
            Act::Reload { node, millis, keep, polite } => self.go(node, millis, keep, polite),
            Act::Stall { node, millis } => self.nodes[node].stalled_until = self.now.after_millis(millis),
            Act::Shutdown { node } => {
                self.nodes[node].closing |= self.is_awake(node);
                self.tell(node, Input::Shutdown);
            }
        }
    }

    pub(super) fn is_awake(&self, node: usize) -> bool {
        self.nodes[node].up && !self.nodes[node].frozen
    }

    /// A user of a node, or its page, says something.
    pub(super) fn tell(&mut self, node: usize, input: Input) {
        if self.is_awake(node) {
            self.input(node, input);
        }
    }

    pub(super) fn submit(&mut self, node: usize, peer: usize, id: IntentId, (mode, policy, part): (Mode, ReconnectPolicy, Option<Spot>)) {
        let stubborn = policy.attempts == ReconnectPolicy::UNLIMITED;
        let intent = Intent { peer, mode, part, settled: None, story: Story::default(), stubborn };
        self.nodes[node].intents.insert(id, intent);
        let input = Input::Submit { intent: id, peer: id_of(peer), mode, policy };
        if self.nodes[node].closing {
            // Whatever comes behind the end would not be taken in any more.
            self.feed(node, input);
        } else {
            self.input(node, input);
        }
    }

    fn page(&mut self, node: usize, news: Page) {
        if matches!(news, Page::Offline | Page::Online) {
            self.nodes[node].cut_off = news == Page::Offline;
            self.release();
        }
        let input = match news {
            Page::Hidden => Input::Hidden,
            Page::Visible => Input::Visible,
            Page::Offline => Input::Offline,
            Page::Online => Input::Online,
            Page::Woken => Input::Woken,
            Page::RelayGone => Input::Relay { connected: false },
            Page::RelayBack => Input::Relay { connected: true },
        };
        self.tell(node, input);
    }

    pub(super) fn heal(&mut self, pair: (usize, usize)) {
        if let Some(count) = self.partitions.get_mut(&pair) {
            *count -= 1;
            if *count == 0 {
                self.partitions.remove(&pair);
            }
        }
        self.release();
    }

    fn freeze(&mut self, node: usize, millis: u64, told: bool) {
        if !self.is_awake(node) {
            return;
        }
        if told {
            // The page's last turn.
            while let Some(input) = self.nodes[node].inputs.pop_front() {
                self.feed(node, input);
            }
            self.feed(node, Input::Frozen);
        }
        self.nodes[node].frozen = true;
        self.review_all();
        let life = self.nodes[node].life;
        self.schedule(self.now.after_millis(millis), Happening::Thaw { node, life, told });
    }

    pub(super) fn thaw(&mut self, node: usize, life: u32, told: bool) {
        if self.nodes[node].life != life || !std::mem::take(&mut self.nodes[node].frozen) {
            return;
        }
        self.review_all();
        let now = self.now;
        self.nodes[node].referee.thawed(now);
        if told {
            self.input(node, Input::Resumed);
        }
        for happening in std::mem::take(&mut self.nodes[node].backlog) {
            match happening {
                Happening::Packet { conn, side, packet } => self.deliver(conn, side, packet),
                other => self.happen(other),
            }
        }
    }

    /// A node is gone, and comes back.
    fn go(&mut self, node: usize, millis: u64, keep: bool, polite: bool) {
        let polite = polite && self.is_awake(node);
        self.leave(node, polite);
        let it = &mut self.nodes[node];
        (it.up, it.frozen) = (false, false);
        it.life += 1;
        it.backlog.clear();
        if !keep {
            it.storage = Storage::default();
        }
        let life = it.life;
        self.review_all();
        self.schedule(self.now.after_millis(millis), Happening::Start { node, life });
    }

    pub(super) fn start(&mut self, node: usize, life: u32) {
        if self.nodes[node].life == life && !self.nodes[node].up {
            let (seed, options, now) = (self.seed, self.options.clone(), self.now);
            self.nodes[node].begin_again(seed, node, &options, now);
            self.expect_truth(node);
        }
    }
}
