//! Payloads that are written and read a piece at a time.

use osier::{
    Error, Node, NodeOptions,
    node::{Area, EntryInfo, Lock, NamespaceId, PayloadWriter, SubspaceId, WriteRequest},
};

use crate::{
    harness::{contents, path, space, write},
    lasting::Place,
};

/// Several pieces long, and no whole number of them.
fn long() -> Vec<u8> {
    (0..2_600_011_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

async fn offline() -> Node {
    Node::open(NodeOptions::default()).await.unwrap()
}

async fn reopened(place: &Place) -> Node {
    Node::open(NodeOptions { storage: place.storage(Lock::default()), ..NodeOptions::default() }).await.unwrap()
}

fn begin(node: &Node, (user, namespace): &(SubspaceId, NamespaceId), at: &str) -> PayloadWriter {
    node.payload_writer(WriteRequest { namespace: namespace.clone(), user: user.clone(), path: path(at), timestamp: None })
}

/// A writer that has seen all of a payload, and most of it twice.
async fn almost(node: &Node, space: &(SubspaceId, NamespaceId), at: &str, payload: &[u8]) -> PayloadWriter {
    let mut writer = begin(node, space, at);
    payload.chunks(70_001).for_each(|piece| writer.prepare(piece));
    for piece in payload[..payload.len() - 10].chunks(99_991) {
        writer.push(piece).await.unwrap();
    }
    writer
}

async fn read(node: &Node, entry: &EntryInfo, offset: u64, length: Option<u64>) -> Result<Vec<u8>, Error> {
    let (mut reader, mut bytes) = (node.payload_reader(entry.key(), offset, length), Vec::new());
    while let Some(piece) = reader.next().await? {
        assert!(piece.len() <= 256 * 1024);
        bytes.extend(piece);
    }
    Ok(bytes)
}

#[tokio::test]
async fn payloads_are_written_and_read_in_pieces() {
    let node = offline().await;
    let space = space(&node).await;
    let long = long();
    for (at, payload) in [("empty", &[][..]), ("short", b"hello"), ("just", &long[..1 << 20]), ("long", &long)] {
        write(&node, &space.1, &space.0, at, b"older").await;
        let mut writer = begin(&node, &space, at);
        payload.chunks(70_001).for_each(|piece| writer.prepare(piece));
        for piece in payload.chunks(99_991) {
            writer.push(piece).await.unwrap();
            // Nothing is there before all of it is.
            assert_eq!(node.get(space.1.clone(), space.0.clone(), path(at)).await.unwrap().unwrap().payload_length, 5);
        }
        let set = writer.finish().await.unwrap();
        assert_eq!((set.pruned, set.entry.payload_length, set.entry.available), (1, payload.len() as u64, payload.len() as u64));
        assert_eq!(node.get(space.1.clone(), space.0.clone(), path(at)).await, Ok(Some(set.entry.clone())));
        assert_eq!(read(&node, &set.entry, 0, None).await.unwrap(), payload);
        assert_eq!(node.payload(set.entry.key(), 0, None).await.unwrap(), payload);
    }
    node.shutdown().await;
}

#[tokio::test]
async fn a_part_of_a_payload_is_read_and_one_that_is_not_there_is_refused() {
    let node = offline().await;
    let (user, ns) = space(&node).await;
    let long = long();
    let entry = write(&node, &ns, &user, "x", &long).await;
    assert_eq!(read(&node, &entry, 300_000, Some(600_000)).await.unwrap(), long[300_000..900_000]);
    assert_eq!(read(&node, &entry, long.len() as u64, None).await.unwrap(), b"");
    assert_eq!(read(&node, &entry, long.len() as u64 + 1, None).await.unwrap_err().argument(), Some("offset"));
    assert_eq!(read(&node, &entry, 1, Some(u64::MAX)).await.unwrap_err().argument(), Some("length"));
    // Of two payloads nothing is mixed.
    let mut reader = node.payload_reader(entry.key(), 0, None);
    assert_eq!(reader.next().await.unwrap().unwrap(), long[..256 * 1024]);
    write(&node, &ns, &user, "x", &long[1..]).await;
    assert_eq!(reader.next().await, Err(Error::NoSuchEntry));
    node.shutdown().await;
}

#[tokio::test]
async fn a_payload_that_changes_meanwhile_is_not_written() {
    let node = offline().await;
    let space = space(&node).await;
    for payload in [&b"short, a little"[..], &long()] {
        for end in [&b"0123456789 and more"[..], b"012345678", b"another en"] {
            let mut writer = almost(&node, &space, "x", payload).await;
            let ended = match writer.push(end).await {
                Ok(()) => writer.finish().await.map(drop),
                error => error,
            };
            assert_eq!(ended.unwrap_err().code(), "payloadUnreadable");
        }
    }
    assert!(contents(&node, &space.1).await.is_empty());
    node.shutdown().await;
}

#[tokio::test]
async fn a_write_in_pieces_that_must_not_be_is_refused() {
    let node = offline().await;
    let (user, ns) = space(&node).await;
    let stranger = node.create_user().await.unwrap();
    let long = long();
    let refused = async |user: SubspaceId, timestamp: Option<u64>| {
        let mut writer = node.payload_writer(WriteRequest { namespace: ns.clone(), user, path: path("x"), timestamp });
        writer.prepare(&long);
        writer.push(&long).await.unwrap_err().code()
    };
    assert_eq!(refused(stranger, None).await, "notAuthorised");
    assert_eq!(refused(user.clone(), Some(u64::MAX)).await, "timestampTooFarAhead");
    // What came meanwhile is newer.
    let mut writer = almost(&node, &(user.clone(), ns.clone()), "x/y", &long).await;
    writer.push(&long[long.len() - 10..]).await.unwrap();
    write(&node, &ns, &user, "x", b"newer").await;
    assert_eq!(writer.finish().await, Err(Error::Obsolete));
    // Twice the same, one of them is first.
    let same = |at| WriteRequest { namespace: ns.clone(), user: user.clone(), path: path("z"), timestamp: Some(at) };
    let (mut one, mut other) = (node.payload_writer(same(5)), node.payload_writer(same(5)));
    for writer in [&mut one, &mut other] {
        writer.prepare(&long);
    }
    one.push(&long).await.unwrap();
    assert_eq!(other.push(&long).await, Err(Error::Obsolete));
    drop(other);
    assert_eq!(one.finish().await.unwrap().entry.payload_length, long.len() as u64);
    node.shutdown().await;
}

#[tokio::test]
async fn durable_a_write_in_pieces_that_is_given_up_or_cut_off_leaves_nothing() {
    let place = Place::new("pieces");
    let node = reopened(&place).await;
    let (user, ns) = space(&node).await;
    let (kept, long) = (write(&node, &ns, &user, "x", b"kept").await, long());
    drop(almost(&node, &(user.clone(), ns.clone()), "x", &long).await);
    // The next write comes after what the one before has left is removed.
    let writer = almost(&node, &(user.clone(), ns.clone()), "x", &long).await;
    node.shutdown().await;
    drop(writer);
    let node = reopened(&place).await;
    assert_eq!(contents(&node, &ns).await, [(user.clone(), path("x"), kept.timestamp, b"kept".to_vec())]);
    let mut writer = almost(&node, &(user.clone(), ns.clone()), "x", &long).await;
    writer.push(&long[long.len() - 10..]).await.unwrap();
    let entry = writer.finish().await.unwrap().entry;
    node.shutdown().await;
    let node = reopened(&place).await;
    assert_eq!(read(&node, &entry, 0, None).await.unwrap(), long);
    assert_eq!(node.forget(ns.clone(), Some(Area::full())).await, Ok(1));
    let usage = node.storage().await.unwrap();
    assert_eq!((usage.entries, usage.payload_bytes), (0, 0));
    node.shutdown().await;
}
