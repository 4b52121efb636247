use super::*;

#[test]
fn what_is_said_anew_takes_the_place_of_what_was_to_be_said() {
    let mut queue = ControlQueue::default();
    let (one, other) = (OverlapId(1), OverlapId(2));
    for nonce in 0..100 {
        queue.pong(nonce);
        queue.ping(nonce);
        queue.consumed(3);
        queue.eagerness(one, nonce % 2 == 0);
        queue.eagerness(other, true);
        queue.eagerness(other, false);
    }
    queue.eagerness(other, true);
    let plain = Control::Plain;
    let mut expected: Vec<_> = (92..100).map(|nonce| plain(ControlMessage::Pong { nonce })).collect();
    expected.push(plain(ControlMessage::Consumed { bytes: 300 }));
    expected.push(plain(ControlMessage::Ping { nonce: 99 }));
    expected.push(Control::Eagerness { overlap: other, eager: true });
    assert_eq!(std::iter::from_fn(|| queue.pop()).collect::<Vec<_>>(), expected);
}

#[test]
fn windows_count_what_is_under_way() {
    let mut send = SendWindow::default();
    send.sent(WINDOW - STEP);
    assert!(send.has_room());
    send.sent(1);
    assert!(!send.has_room());
    assert_eq!(send.consumed(u64::MAX), Err(SyncError::ConsumedUnsent { bytes: u64::MAX - (WINDOW - STEP + 1) }));
    send.consumed(1).unwrap();
    assert!(send.has_room());

    let mut receive = ReceiveWindow::default();
    receive.received(ACKNOWLEDGE - 1).unwrap();
    assert_eq!(receive.acknowledge(), None);
    receive.received(1).unwrap();
    assert_eq!(receive.acknowledge(), Some(ACKNOWLEDGE));
    receive.received(WINDOW).unwrap();
    assert_eq!(receive.received(u64::MAX), Err(SyncError::WindowExceeded { limit: WINDOW }));
}
