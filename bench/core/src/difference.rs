//! What it costs to find a difference: two sessions over a perfect wire, bytes and round trips counted.

use osier_core::store::{Incoming, Origin, Store};
use osier_core::sync::{Clock, Hello, InterestId, Limits, Output, OwnInterest, Policy, Session, SessionConfig, Tuning};
use osier_core::wallet::{InterestSelection, NamespaceKind, Wallet};
use osier_core::willow::{Entry, NamespaceId, Path, SignedEntry, SubspaceId, SubspaceSecret};
use osier_core::{Generation, IntentId, Mode, Moment, Role, SessionId};
use wasm_bindgen::prelude::*;

const PAYLOAD: &[u8] = b"a small payload";
const NOW: Moment = Moment(0);
/// Some day in 2026, TAI microseconds.
const TODAY: u64 = 840_000_000_000_000;
const SPACE_ON_THE_STREAM: usize = 64 * 1024;

/// What a reconciliation took, on the Reconciliation and Data channels, both ways.
#[wasm_bindgen(getter_with_clone)]
pub struct Cost {
    /// Bytes with the headers of their frames.
    pub bytes: f64,
    /// Of those, what the entries that one side lacked are by themselves: encoded absolutely, with their payloads.
    pub entry_bytes: f64,
    /// Round trips, from the first fingerprint.
    pub round_trips: u32,
}

/// Two nodes have the same `entries` entries by one author, and one of them `more`: what does it cost to be equal?
#[wasm_bindgen]
pub fn difference(entries: u32, more: u32) -> Result<Cost, JsError> {
    let author = Author::new()?;
    let (mut here, mut there) = (Store::new(), Store::new());
    let mut entry_bytes = 0;
    for index in 0..entries.saturating_add(more) {
        let entry = author.sign(index)?;
        if index < entries {
            insert(&mut there, vec![entry.clone()], Origin::Local)?;
        } else {
            entry_bytes += entry.to_bytes().len() + PAYLOAD.len();
        }
        insert(&mut here, vec![entry], Origin::Local)?;
    }
    let mut alfie = Side::new(Role::Alfie, &author.wallet, here);
    let mut betty = Side::new(Role::Betty, &author.wallet, there);
    let trips = exchange(&mut alfie, &mut betty)?;
    if alfie.store.len() != betty.store.len() {
        return Err(JsError::new("the two stores differ"));
    }
    let bytes = alfie.counted() + betty.counted();
    Ok(Cost { bytes: bytes as f64, entry_bytes: entry_bytes as f64, round_trips: trips.div_ceil(2) })
}

/// Carries bytes to and fro until nothing is left. Returns how many one-way trips there were from the first to the last one with
/// something of the two channels in it.
fn exchange(alfie: &mut Side, betty: &mut Side) -> Result<u32, JsError> {
    let (mut first, mut last, mut trip, mut quiet) = (None, 0, 0, 0);
    while quiet < 2 {
        let (from, to) = if trip % 2 == 0 { (&mut *alfie, &mut *betty) } else { (&mut *betty, &mut *alfie) };
        let before = from.counted();
        let bytes = from.send()?;
        if from.counted() > before {
            first.get_or_insert(trip);
            last = trip;
        }
        quiet = if bytes.is_empty() { quiet + 1 } else { 0 };
        to.session.handle_bytes(NOW, &bytes, &mut to.store)?;
        trip += 1;
    }
    Ok(first.map_or(0, |first| last - first + 1))
}

/// A user with a space of their own.
struct Author {
    wallet: Wallet,
    user: SubspaceId,
    namespace: NamespaceId,
}

impl Author {
    fn new() -> Result<Self, JsError> {
        let mut wallet = Wallet::new();
        let user = wallet.create_user([1; 32]);
        let mut seed = 0;
        let random = || {
            seed += 1;
            [seed; 32]
        };
        let namespace = wallet.create_namespace(NamespaceKind::Owned, &user, random)?;
        Ok(Self { wallet, user, namespace })
    }

    fn sign(&self, index: u32) -> Result<SignedEntry, JsError> {
        // Scattered, so that the one more is somewhere in the middle.
        let name = index.wrapping_mul(2_654_435_761).to_be_bytes().map(|byte| format!("{byte:02x}")).concat();
        let path = Path::from_slices(&[b"notes", name.as_bytes()]).map_err(|_| JsError::new("path"))?;
        let (capability, secret) = self.wallet.write_capability_for(&self.namespace, &self.user, &path)?;
        let entry = Entry::builder().namespace_id(self.namespace.clone()).subspace_id(self.user.clone());
        let entry = entry.path(path).timestamp(TODAY + u64::from(index)).payload(PAYLOAD).build();
        Ok(SignedEntry::sign(entry, capability, secret)?)
    }
}

fn insert(store: &mut Store, entries: Vec<SignedEntry>, origin: Origin) -> Result<(), JsError> {
    let incoming = |entry| Incoming { entry, payload: Some(PAYLOAD.to_vec()), origin };
    let plan = store.plan(entries.into_iter().map(incoming).collect());
    store.apply(plan).map_err(|_| JsError::new("stale plan"))?;
    Ok(())
}

/// One end of the wire: a session and its store.
struct Side {
    session: Session,
    store: Store,
}

impl Side {
    fn new(role: Role, wallet: &Wallet, store: Store) -> Self {
        let config = SessionConfig {
            role,
            session_secret: [9; 32],
            id: SessionId(1),
            own_hello: hello(role),
            peer_hello: hello(if role == Role::Alfie { Role::Betty } else { Role::Alfie }),
            clock: Clock { at: NOW, tai: (TODAY * 2).into() },
            tuning: Tuning::default(),
            policy: Policy::default(),
        };
        let mut session = Session::new(config, NOW);
        let interests = wallet.for_session(&receiver(role).corresponding_subspace_id(), &InterestSelection::All).into_iter();
        let interests = interests.map(|interest| OwnInterest {
            id: InterestId(0),
            capability: interest.capability,
            max_count: interest.max_count,
            max_size: interest.max_size,
            max_payload_power: 14,
        });
        session.add_intent(IntentId(1), interests.collect(), Mode::Once);
        Self { session, store }
    }

    /// Does all that the session wants done. Returns the bytes for the peer.
    fn send(&mut self) -> Result<Vec<u8>, JsError> {
        let mut bytes = Vec::new();
        loop {
            while let Some(output) = self.session.poll_output(NOW, &mut self.store) {
                self.carry_out(output)?;
            }
            while let Some(some) = self.session.poll_transmit(NOW, &mut self.store, SPACE_ON_THE_STREAM) {
                bytes.extend(some);
            }
            match self.session.poll_output(NOW, &mut self.store) {
                Some(output) => self.carry_out(output)?,
                None => return Ok(bytes),
            }
        }
    }

    fn carry_out(&mut self, output: Output) -> Result<(), JsError> {
        match output {
            Output::Ingest { batch, entries } => {
                let plan = self.store.plan(entries);
                let outcomes = self.store.apply(plan).map_err(|_| JsError::new("stale plan"))?;
                self.session.handle_ingested(batch, &outcomes, &self.store);
            }
            Output::ReadPayload { read, .. } => self.session.handle_payload_read(read, Some(PAYLOAD.to_vec())),
            Output::FetchPayload { .. } => return Err(JsError::new("small payloads come with their entries")),
            Output::Failed(error) => return Err(error.into()),
            _ => {}
        }
        Ok(())
    }

    /// Bytes that this side sent on the two channels.
    fn counted(&self) -> u64 {
        self.session.stats().reconciliation_sent
    }
}

fn receiver(role: Role) -> SubspaceSecret {
    SubspaceSecret::from_bytes(&[if role == Role::Alfie { 2 } else { 3 }; 32])
}

fn hello(role: Role) -> Hello {
    Hello {
        max_payload_power: 14,
        limits: Limits::default(),
        generation: Generation { instance: [0; 16], counter: 1 },
        receiver: receiver(role).corresponding_subspace_id(),
    }
}
