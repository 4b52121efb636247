//! A peer that breaks the rules, each rule with the error that it ends the session with.

use std::sync::Arc;

use super::{
    pair::{Random, Setup, TAI},
    trial::{ANSWER, NOW, Trial, alfie, announced, betty, forged},
    world::{World, path_of, payload},
};
use crate::{
    Role,
    sync::{
        Channel, ControlMessage, Output, Policy, SyncError,
        data::{RangeHead, RangeState, encode_fingerprint, encode_live_payload},
    },
    willow::{Area, Fingerprint, PathRange, Range3d, SubspaceRange, TimeRange, UnverifiedEntry},
};

#[test]
fn undecodable_messages() {
    for channel in [Channel::Reconciliation, Channel::Data, Channel::Control, Channel::Overlap, Channel::Capability] {
        let error = betty("").send(channel, &[]).unwrap_err();
        assert!(matches!(error, SyncError::Undecodable { .. }), "{channel}: {error:?}");
    }
    assert!(matches!(betty("").send(Channel::Data, &[0b1110_0000]), Err(SyncError::Undecodable { .. })));
    let mut trial = betty("");
    let range = trial.range();
    let head = RangeHead { root: 0, sender: 0, receiver: 0, answers: None, last: false, whole: false };
    let message = encode_fingerprint(&mut RangeState::default(), &head, &range, &range, &Fingerprint([7; 32]));
    assert!(matches!(trial.send(Channel::Reconciliation, &message[..message.len() - 1]), Err(SyncError::Undecodable { .. })));
    let trailing = [&message[..], &[0]].concat();
    assert!(matches!(betty("").send(Channel::Reconciliation, &trailing), Err(SyncError::Undecodable { .. })));
}

#[test]
fn frames_that_cannot_be() {
    let mut trial = betty("");
    assert!(matches!(trial.victim.handle_bytes(NOW, &[9, 0], &mut trial.disk.store), Err(SyncError::Frame(_))));
    // Nothing more comes of a session that has failed.
    assert!(trial.victim.poll_output(NOW, &mut trial.disk.store).is_none_or(|output| !matches!(output, Output::Finish)));
    assert_eq!(trial.victim.poll_transmit(NOW, &mut trial.disk.store, usize::MAX), None);
    let mut trial = betty("");
    let oversized = [2, 0xfe, 0, 1, 0, 1];
    assert!(matches!(trial.victim.handle_bytes(NOW, &oversized, &mut trial.disk.store), Err(SyncError::Frame(_))));
}

#[test]
fn handles_that_were_never_bound() {
    let mut trial = betty("");
    let range = trial.range();
    let head = RangeHead { root: 0, sender: 3, receiver: 0, answers: None, last: false, whole: false };
    assert!(matches!(trial.fingerprint(head, &range, &range), Err(SyncError::HandleUnbound { .. })));
    let eager = ControlMessage::SetEagerness { eager: true, sender: 0, receiver: 4 };
    assert!(matches!(betty("").send(Channel::Control, &eager.encode()), Err(SyncError::HandleUnbound { .. })));
}

#[test]
fn ranges_outside_of_what_they_are_about() {
    let full = Range3d::full();
    let mut trial = betty("pub");
    let range = trial.range();
    let head = RangeHead { root: 0, sender: 0, receiver: 0, answers: None, last: false, whole: false };
    assert_eq!(trial.fingerprint(head, &full, &range), Err(SyncError::RootRange));
    let mut trial = alfie("pub");
    assert_eq!(trial.fingerprint(ANSWER, &full, &range), Err(SyncError::RangeOutside));
    let mut trial = alfie("pub");
    assert_eq!(trial.announce(ANSWER, &full, false), Err(SyncError::RangeOutside));
}

#[test]
fn answers_to_nothing() {
    let mut trial = alfie("");
    let range = trial.range();
    assert_eq!(trial.fingerprint(RangeHead { answers: Some(5), ..ANSWER }, &range, &range), Err(SyncError::AnswerUnknown { number: 5 }));
    let mut trial = alfie("");
    trial.fingerprint(ANSWER, &range, &range).unwrap();
    assert_eq!(trial.fingerprint(ANSWER, &range, &range), Err(SyncError::AnswerUnknown { number: 0 }), "answered before");
    let none = RangeHead { answers: None, ..ANSWER };
    assert_eq!(alfie("").fingerprint(none, &range, &range), Err(SyncError::UnexpectedAnswer { what: "fingerprint" }));
    assert_eq!(alfie("").announce(none, &range, false), Err(SyncError::UnexpectedAnswer { what: "announcement" }));
    assert_eq!(alfie("").fingerprint(RangeHead { root: 1, ..ANSWER }, &range, &range), Err(SyncError::RootMismatch));
}

#[test]
fn an_announcement_that_asks_is_answered_by_one_that_does_not() {
    for asks_back in [true, false] {
        let mut trial = betty("");
        let (range, entry) = (trial.range(), trial.world.entry(0, "x", 1, b""));
        trial.disk.put(entry, b"");
        trial.start().unwrap();
        trial.listen();
        assert_eq!(trial.heard.len(), 3, "the victim announces its entry");
        let answer = RangeHead { root: 1, ..ANSWER };
        let expected = if asks_back { "announcement" } else { "fingerprint" };
        let sent = if asks_back { trial.announce(answer, &range, true) } else { trial.fingerprint(answer, &range, &range) };
        assert_eq!(sent, Err(SyncError::UnexpectedAnswer { what: expected }));
    }
}

#[test]
fn parts_that_are_not_cut_as_ranges_are() {
    let part = |from: &str, to: Option<&str>, times: TimeRange| {
        Range3d::new(SubspaceRange::full(), PathRange::try_new(path_of(from), to.map(path_of)).unwrap(), times)
    };
    let all = TimeRange::full();
    let more = RangeHead { last: false, ..ANSWER };
    let base = Range3d::full();
    for times in [TimeRange::new_open(5.into()), TimeRange::new_closed(0.into(), 5.into())] {
        assert_eq!(alfie("").fingerprint(more, &part("", None, times), &base), Err(SyncError::RangeCut));
        assert_eq!(alfie("").announce(ANSWER, &part("", None, times), true), Err(SyncError::RangeCut));
    }
    for again in [part("b", Some("d"), all), part("a", Some("b"), all), part("", None, all)] {
        for announces in [false, true] {
            let mut trial = alfie("");
            trial.fingerprint(more, &part("a", Some("b"), all), &base).unwrap();
            trial.fingerprint(more, &part("b", Some("c"), all), &base).unwrap();
            let sent = if announces { trial.announce(ANSWER, &again, false) } else { trial.fingerprint(ANSWER, &again, &base) };
            assert_eq!(sent, Err(SyncError::RangeCut));
        }
    }
    let user = World::new(61).user(0);
    let below = SubspaceRange::try_new(SubspaceRange::full().start().clone(), Some(user.clone())).unwrap();
    let above = SubspaceRange::try_new(user, None).unwrap();
    let [below, above] = [below, above].map(|subspaces| Range3d::new(subspaces, base.paths().clone(), all));
    let mut trial = alfie("");
    trial.fingerprint(more, &below, &base).unwrap();
    trial.fingerprint(ANSWER, &above, &base).unwrap();
    let mut trial = alfie("");
    trial.fingerprint(more, &above, &base).unwrap();
    assert_eq!(trial.fingerprint(ANSWER, &below, &base), Err(SyncError::RangeCut));
}

#[test]
fn more_unanswered_ranges_than_allowed() {
    let mut trial = Trial::new(Role::Alfie, "", Setup { unanswered: [4, 1024], ..Setup::default() });
    let mut parts = ["a", "b", "c", "d", "e", "f"].windows(2).map(|ends| {
        let paths = PathRange::try_new(path_of(ends[0]), Some(path_of(ends[1]))).unwrap();
        Range3d::new(SubspaceRange::full(), paths, TimeRange::full())
    });
    let mut send = || trial.fingerprint(RangeHead { last: false, ..ANSWER }, &parts.next().unwrap(), &Range3d::full());
    for _ in 0..4 {
        send().unwrap();
    }
    assert_eq!(send(), Err(SyncError::TooManyRanges { limit: 4 }));
}

#[test]
fn announcements_and_entries_out_of_turn() {
    let (mut trial, range) = announced();
    assert_eq!(trial.announce(RangeHead { answers: Some(0), ..ANSWER }, &range, false), Err(SyncError::AnnouncementUnfinished));

    let mut trial = alfie("");
    let entry = trial.world.entry(0, "x", 1, b"x");
    assert_eq!(trial.entry(&entry, &range), Err(SyncError::EntryUnannounced));

    let (mut trial, range) = announced();
    trial.entry(&entry, &range).unwrap();
    assert_eq!(trial.entry(&trial.world.entry(0, "y", 1, b"x"), &range), Err(SyncError::PayloadUnterminated));

    assert_eq!(alfie("").announce_as(ANSWER, &range, true, false), Err(SyncError::AnnouncementUnsorted));
    let (mut trial, range) = announced();
    trial.entry(&trial.world.entry(0, "y", 1, b"x"), &range).unwrap();
    trial.terminate(false).unwrap();
    assert_eq!(trial.entry(&entry, &range), Err(SyncError::SortBroken));
    let (mut trial, range) = announced();
    trial.entry(&entry, &range).unwrap();
    trial.terminate(false).unwrap();
    assert_eq!(trial.entry(&entry, &range), Err(SyncError::SortBroken), "the same entry again");
}

#[test]
fn entries_outside_of_the_announced_range() {
    let mut trial = Trial::announced(Role::Alfie, "pub", Setup::default());
    let range = trial.range();
    trial.entry(&trial.world.entry(0, "pub/x", 1, b"x"), &range).unwrap();
    trial.terminate(false).unwrap();
    assert_eq!(trial.entry(&trial.world.entry(0, "q", 1, b"x"), &range), Err(SyncError::EntryOutsideRange));
    // Encoded as if the range were another one.
    let mut trial = Trial::announced(Role::Alfie, "pub", Setup::default());
    let sent = trial.entry(&trial.world.entry(0, "q", 1, b"x"), &Range3d::full());
    assert!(matches!(sent, Err(SyncError::EntryOutsideRange | SyncError::Undecodable { .. })), "{sent:?}");
    // Another namespace, relative to an entry of the right one.
    let mut trial = Trial::announced(Role::Alfie, "", Setup::default());
    let range = trial.range();
    let (ours, other) = (trial.world.entry(0, "a", 1, b"x"), World::new(200).entry(0, "b", 1, b"x"));
    trial.entry(&ours, &range).unwrap();
    trial.terminate(false).unwrap();
    let message = {
        let mut w = crate::willow::Writer::new();
        w.u8(0b0011_0000 | crate::willow::codec::tag(0, &(4..6)) | crate::willow::codec::tag(0, &(6..8)));
        w.c64(0, 4..6);
        w.c64(0, 6..8);
        crate::willow::entry_codec::encode_entry_rel_entry(&mut w, &other.entry, &ours.entry);
        crate::willow::token_codec::encode_token(&mut w, &other.capability, &other.signature, Some(&ours.capability), &other.entry);
        w.into_bytes()
    };
    assert_eq!(trial.send(Channel::Data, &message), Err(SyncError::EntryOutsideRange));
}

#[test]
fn forwarded_entries_outside_of_every_shared_area() {
    let mut trial = betty("pub");
    trial.live(&trial.world.entry(0, "pub/x", 1, b""), false).unwrap();
    assert_eq!(trial.live(&trial.world.entry(0, "priv", 1, b""), false), Err(SyncError::EntryOutsideAreas));
    assert_eq!(betty("").live(&World::new(201).entry(0, "pub/x", 1, b""), false), Err(SyncError::EntryOutsideAreas));
}

#[test]
fn payloads_that_are_not_their_entry_s() {
    let entry = World::new(61).entry(0, "x", 1, b"four");
    let (mut trial, range) = announced();
    assert_eq!(trial.payload(b"four"), Err(SyncError::PayloadWithoutEntry));
    assert_eq!(announced().0.terminate(false), Err(SyncError::PayloadWithoutEntry));
    assert_eq!(alfie("").terminate(true), Err(SyncError::PayloadWithoutEntry));
    assert_eq!(alfie("").send(Channel::Data, &encode_live_payload(b"x")), Err(SyncError::PayloadWithoutEntry));

    let (mut trial2, _) = announced();
    trial2.entry(&entry, &range).unwrap();
    trial2.payload(b"fou").unwrap();
    assert_eq!(trial2.payload(b"rs"), Err(SyncError::PayloadBeyondEnd));

    let (mut trial3, _) = announced();
    trial3.entry(&entry, &range).unwrap();
    trial3.payload(b"fake").unwrap();
    assert_eq!(trial3.terminate(true), Err(SyncError::PayloadDigest));

    let mut trial4 = alfie("");
    trial4.live(&entry, true).unwrap();
    assert_eq!(trial4.send(Channel::Data, &encode_live_payload(b"fake")), Err(SyncError::PayloadDigest));

    let large = payload(1, 16 * 1024 + 1);
    let entry = World::new(61).entry(0, "x", 1, &large);
    let too_large = SyncError::PayloadTooLarge { length: 16 * 1024 + 1 };
    let (mut trial5, _) = announced();
    trial5.entry(&entry, &range).unwrap();
    assert_eq!(trial5.payload(&large[..100]), Err(too_large.clone()));
    assert_eq!(alfie("").live(&entry, true), Err(too_large));
}

#[test]
fn a_payload_cut_short_is_no_fault_and_the_entry_is_kept() {
    let (mut trial, range) = announced();
    let entry = trial.world.entry(0, "x", 1, b"four");
    trial.entry(&entry, &range).unwrap();
    trial.payload(b"fo").unwrap();
    trial.terminate(true).unwrap();
    trial.live(&trial.world.entry(0, "y", 1, b"four"), true).unwrap();
    trial.live(&trial.world.entry(0, "z", 1, b""), false).unwrap();
    trial.listen();
    assert_eq!(trial.disk.store.len(), 3);
    assert_eq!(trial.disk.holds(&trial.world.namespace, &Area::full()).iter().map(|(.., available)| available).sum::<u64>(), 0);
}

#[test]
fn bad_signatures_cost_their_entries_and_a_few_of_them_the_session() {
    let (mut trial, range) = announced();
    for i in 0..9 {
        let entry = trial.world.entry(0, &format!("e{i}"), 1, b"");
        let entry = if i % 3 == 0 { forged(&entry) } else { UnverifiedEntry::clone(&entry) };
        trial.entry(&entry, &range).unwrap();
        trial.terminate(i == 8).unwrap();
    }
    trial.listen();
    assert_eq!(trial.failed, None);
    assert_eq!(trial.disk.store.len(), 6);
    trial.live(&forged(&trial.world.entry(0, "f", 1, b"")), false).unwrap();
    trial.listen();
    assert_eq!(trial.failed, Some(SyncError::InvalidToken));
    assert_eq!(trial.disk.store.len(), 6);
}

#[test]
fn a_token_that_does_not_cover_its_entry() {
    let (mut trial, range) = announced();
    let mut entry = UnverifiedEntry::clone(&trial.world.entry(0, "x", 1, b""));
    // The capability of another namespace.
    entry.capability = Arc::clone(&World::new(200).entry(0, "x", 1, b"").capability);
    let sent = trial.entry(&entry, &range);
    assert!(matches!(sent, Err(SyncError::InvalidToken)), "{sent:?}");
}

#[test]
fn a_timestamp_of_the_far_future_is_dropped_and_the_session_goes_on() {
    let (mut trial, range) = announced();
    let limit = TAI + 10 * 60 * 1_000_000;
    for (i, time) in [limit, limit + 1, u64::MAX].into_iter().enumerate() {
        trial.entry(&trial.world.entry(0, &format!("e{i}"), time, b""), &range).unwrap();
        trial.terminate(i == 2).unwrap();
    }
    trial.listen();
    assert_eq!((trial.failed.clone(), trial.disk.store.len()), (None, 1));
    trial.live(&trial.world.entry(0, "later", 5, b""), false).unwrap();
    trial.listen();
    assert_eq!(trial.disk.store.len(), 2);
}

#[test]
fn consumed_bytes_that_were_never_sent() {
    let mut trial = alfie("");
    let sent = trial.victim.stats().reconciliation_sent;
    let consumed = |bytes| ControlMessage::Consumed { bytes }.encode();
    trial.send(Channel::Control, &consumed(sent - 1)).unwrap();
    assert_eq!(trial.send(Channel::Control, &consumed(2)), Err(SyncError::ConsumedUnsent { bytes: 1 }));
}

#[test]
fn more_bytes_than_the_quota() {
    assert_eq!(Policy::default().quota, None, "no bound unless one is asked for");
    let entry = World::new(61).entry(0, "x", 1, b"");
    let run = |quota| {
        let mut setup = Setup::default();
        setup.policy.quota = quota;
        let mut trial = Trial::announced(Role::Alfie, "", setup);
        let range = trial.range();
        let sent = trial.entry(&entry, &range).and_then(|()| trial.terminate(true));
        sent.map(|()| trial.victim.stats().reconciliation_received)
    };
    let bytes = run(None).unwrap();
    assert_eq!(run(Some(bytes)), Ok(bytes));
    assert_eq!(run(Some(bytes - 1)), Err(SyncError::QuotaExceeded { limit: bytes - 1 }));
}

#[test]
fn a_stream_that_ends_in_the_middle() {
    let mut trial = betty("");
    trial.victim.handle_bytes(NOW, &[2, 5, 0], &mut trial.disk.store).unwrap();
    assert_eq!(trial.victim.handle_finished(NOW), Err(SyncError::FinishedEarly { what: "a frame" }));
    let (mut trial, _) = announced();
    assert_eq!(trial.victim.handle_finished(NOW), Err(SyncError::FinishedEarly { what: "an announcement" }));
    let mut trial = betty("");
    trial.live(&trial.world.entry(0, "x", 1, b"four"), true).unwrap();
    assert_eq!(trial.victim.handle_finished(NOW), Err(SyncError::FinishedEarly { what: "a payload" }));
}

#[test]
fn noise_never_panics() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..300 {
        let mut trial = if round % 2 == 0 { betty("") } else { announced().0 };
        for _ in 0..20 {
            let channel = Channel::from_byte(random.below(5) as u8).unwrap();
            let message: Vec<u8> = (0..random.below(60)).map(|_| random.below(256) as u8).collect();
            if trial.send(channel, &message).is_err() {
                break;
            }
            trial.victim.poll_transmit(NOW, &mut trial.disk.store, usize::MAX);
        }
    }
}
