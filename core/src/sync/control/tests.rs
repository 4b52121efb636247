#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::*;

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        0_u64..10,
        any::<u8>().prop_map(u64::from),
        any::<u16>().prop_map(u64::from),
        any::<u32>().prop_map(u64::from),
        any::<u64>()
    ]
}

fn kind() -> impl Strategy<Value = HandleKind> {
    prop_oneof![Just(HandleKind::Overlap), Just(HandleKind::Capability), Just(HandleKind::PayloadRequest)]
}

fn message() -> impl Strategy<Value = ControlMessage> {
    let enumeration = prop::option::of(prop::collection::vec(any::<u8>(), 0..50));
    prop_oneof![
        (number(), number(), any::<[u8; 32]>(), enumeration).prop_map(|(sender, receiver, authentication, enumeration)| {
            ControlMessage::AnnounceOverlap { sender, receiver, authentication, enumeration }
        }),
        (any::<bool>(), number(), number()).prop_map(|(eager, sender, receiver)| ControlMessage::SetEagerness { eager, sender, receiver }),
        (kind(), any::<bool>(), number(), number()).prop_map(|(kind, mine, handle, references)| ControlMessage::HandleFree {
            kind,
            mine,
            handle,
            references
        }),
        (number(), number(), number(), number()).prop_map(|(hashes, announcements, capabilities, bound)| {
            ControlMessage::OverlapSettled { hashes, announcements, capabilities, bound }
        }),
        number().prop_map(|announcement| ControlMessage::Decline { announcement }),
        number().prop_map(|bytes| ControlMessage::Consumed { bytes }),
        number().prop_map(|nonce| ControlMessage::Ping { nonce }),
        number().prop_map(|nonce| ControlMessage::Pong { nonce }),
        number().prop_map(|count| ControlMessage::Stored { count }),
        number().prop_map(|count| ControlMessage::NotStored { count }),
        any::<[u8; 32]>().prop_map(|id| ControlMessage::PayloadStored { entry: EntryId(id) }),
    ]
}

#[test]
fn headers_are_as_the_protocol_writes_them() {
    // [0 0 | enumeration 0 | sender c64(2) | receiver c64(3)]: 300 takes two bytes (tag 01), 2 is in its tag (010).
    let announce = ControlMessage::AnnounceOverlap { sender: 300, receiver: 2, authentication: [9; 32], enumeration: None };
    let bytes = announce.encode();
    assert_eq!(bytes[..3], [0b0000_1010, 1, 44]);
    assert_eq!(bytes[3..], [9; 32]);
    // [01 | eager 1 | 00: one byte | 100: one byte]
    let eager = ControlMessage::SetEagerness { eager: true, sender: 0, receiver: 200 };
    assert_eq!(eager.encode(), [0b0110_0100, 0, 200]);
    // [1 | 01 capability | mine 1 | 00: one byte | 01: two bytes]
    let free = ControlMessage::HandleFree { kind: HandleKind::Capability, mine: true, handle: 5, references: 256 };
    assert_eq!(free.encode(), [0b1011_0001, 5, 1, 0]);
    // [111 | kind 0], then four whole-byte tags; 252 needs a byte of its own.
    let settled = ControlMessage::OverlapSettled { hashes: 1, announcements: 251, capabilities: 252, bound: 0 };
    assert_eq!(settled.encode(), [0b1110_0000, 1, 251, 0xfc, 252, 0]);
    assert_eq!(ControlMessage::Pong { nonce: 7 }.encode(), [0b1110_0100, 7]);
    assert_eq!(ControlMessage::Stored { count: 300 }.encode(), [0b1110_0101, 0xfd, 1, 44]);
    assert_eq!(ControlMessage::NotStored { count: 1 }.encode(), [0b1110_0110, 1]);
    let payload = ControlMessage::PayloadStored { entry: EntryId([9; 32]) }.encode();
    assert_eq!((payload[0], &payload[1..]), (0b1110_0111, &[9; 32][..]));
}

#[test]
fn what_is_no_message_is_undecodable() {
    let wrong = [
        (vec![], DecodeError::Truncated),
        (vec![0b0000_1010, 1], DecodeError::Truncated),
        (vec![0b1110_0001], DecodeError::Truncated),
        (vec![0b1110_0001, 1, 1], DecodeError::TrailingBytes),
        (vec![0b1110_0001, 0xfc, 1], DecodeError::NotCanonic),
        (vec![0b1111_1111, 1], DecodeError::Invalid("an unknown kind of extension")),
        (vec![0b0110_0100, 0, 3], DecodeError::NotCanonic),
    ];
    for (bytes, reason) in wrong {
        assert_eq!(ControlMessage::decode(&bytes), Err(SyncError::undecodable("control message", reason)), "{bytes:?}");
    }
}

proptest! {
    #[test]
    fn messages_come_back(message in message()) {
        prop_assert_eq!(ControlMessage::decode(&message.encode()), Ok(message));
    }

    #[test]
    fn no_other_bytes_decode_to_the_same_message(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        if let Ok(message) = ControlMessage::decode(&bytes) {
            prop_assert_eq!(message.encode(), bytes);
        }
    }
}
