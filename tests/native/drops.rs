//! Drops: backups, and data that is carried by hand.

use osier::{
    Error, Node, NodeOptions,
    node::{Area, DropProgress, EntriesOptions, ImportProgress, Lock, NamespaceId, Origin, SetRequest, StorageOptions, StoreEvent},
};

use crate::harness::{contents, event, path, soon, space, write};

async fn offline() -> Node {
    Node::open(NodeOptions::default()).await.unwrap()
}

/// Bytes that differ from place to place.
fn large() -> Vec<u8> {
    (0..2_500_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// A drop in its pieces, and how far the last one was.
async fn exported(node: &Node, namespace: &NamespaceId, area: Area) -> (Vec<Vec<u8>>, DropProgress) {
    let mut export = node.export_drop(namespace.clone(), area);
    let mut pieces = Vec::new();
    while let Some(piece) = export.next().await {
        pieces.push(piece.unwrap());
        assert_eq!(export.progress().bytes, pieces.iter().map(|piece| piece.len() as u64).sum::<u64>());
    }
    assert!(export.next().await.is_none());
    (pieces, export.progress())
}

async fn imported(node: &Node, pieces: &[Vec<u8>]) -> Result<ImportProgress, Error> {
    let mut import = node.import_drop();
    for piece in pieces {
        import.push(piece.clone()).await?;
    }
    import.finish().await
}

#[tokio::test]
async fn a_drop_brings_everything_to_another_node() {
    let (a, b) = (offline().await, offline().await);
    let (user, ns) = space(&a).await;
    write(&a, &ns, &user, "large", &large()).await;
    for number in 0..700 {
        write(&a, &ns, &user, &format!("small/{number:03}"), format!("payload {number}").as_bytes()).await;
    }
    let (pieces, progress) = exported(&a, &ns, Area::full()).await;
    let bytes = progress.bytes;
    assert_eq!(progress, DropProgress { entries: 701, without_payload: 0, bytes });
    assert!(pieces.iter().all(|piece| piece.len() <= 64 * 1024) && bytes > 2_500_000);

    let events = b.subscribe(ns.clone(), Area::full(), None);
    assert_eq!(imported(&b, &pieces).await, Ok(ImportProgress { inserted: 701, skipped: 0, bytes }));
    assert_eq!(contents(&b, &ns).await, contents(&a, &ns).await);
    let origin = event("an entry", &events, |event| match event {
        StoreEvent::Inserted { origin, .. } => Some(*origin),
        _ => None,
    });
    assert_eq!(origin.await, Origin::Import);
    // Once more changes nothing.
    assert_eq!(imported(&b, &pieces).await, Ok(ImportProgress { inserted: 0, skipped: 701, bytes }));
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn a_drop_has_an_area_and_is_joined_with_what_is_here() {
    let (a, b) = (offline().await, offline().await);
    let (user, ns) = space(&a).await;
    for name in ["in/old", "in/kept", "out/x"] {
        write(&a, &ns, &user, name, name.as_bytes()).await;
    }
    let area = Area::new(None, path("in"), *Area::full().times());
    let (older, _) = exported(&a, &ns, area).await;
    write(&a, &ns, &user, "in/old", b"newer").await;
    let (newer, _) = exported(&a, &ns, Area::full()).await;
    assert_eq!(imported(&b, &older).await.map(|done| (done.inserted, done.skipped)), Ok((2, 0)));
    assert_eq!(imported(&b, &newer).await.map(|done| (done.inserted, done.skipped)), Ok((2, 1)));
    assert_eq!(imported(&b, &older).await.map(|done| (done.inserted, done.skipped)), Ok((0, 2)));
    assert_eq!(contents(&b, &ns).await, contents(&a, &ns).await);
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn a_payload_that_is_not_here_does_not_come_along_and_may_come_later() {
    let (a, b, c) = (offline().await, offline().await, offline().await);
    let (user, ns) = space(&a).await;
    let entry = write(&a, &ns, &user, "x", &large()).await;
    assert_eq!(b.ingest(a.export_entry(entry.key()).await.unwrap()).await, Ok(true));
    let (without, progress) = exported(&b, &ns, Area::full()).await;
    assert_eq!((progress.entries, progress.without_payload), (1, 1));
    let (with, _) = exported(&a, &ns, Area::full()).await;
    assert_eq!(imported(&c, &without).await.map(|done| done.inserted), Ok(1));
    assert_eq!(c.payload(entry.key(), 0, None).await, Err(Error::PayloadMissing { available: 0, total: 2_500_000 }));
    // The entry is here, its payload is new.
    assert_eq!(imported(&c, &with).await.map(|done| (done.inserted, done.skipped)), Ok((0, 1)));
    assert_eq!(contents(&c, &ns).await, contents(&a, &ns).await);
    for node in [a, b, c] {
        node.shutdown().await;
    }
}

#[tokio::test]
async fn a_bad_drop_is_refused_and_leaves_nothing_unproven() {
    let (a, b) = (offline().await, offline().await);
    let (user, ns) = space(&a).await;
    write(&a, &ns, &user, "a", b"small").await;
    let entry = write(&a, &ns, &user, "b", &large()).await;
    let (mut pieces, _) = exported(&a, &ns, Area::full()).await;
    let last = pieces.len() - 1;
    let byte = pieces[last].len() - 10;
    pieces[last][byte] ^= 1;
    let refused = imported(&b, &pieces).await.unwrap_err();
    assert_eq!((refused.code(), refused.argument()), ("invalidDrop", Some("drop")));
    // What came before the fault stands; of the wrong payload nothing does, and the right one can come.
    assert_eq!(b.payload(entry.key(), 0, None).await, Err(Error::PayloadMissing { available: 0, total: 2_500_000 }));
    assert_eq!(b.storage().await.unwrap().payload_bytes, 5);
    pieces[last][byte] ^= 1;
    assert_eq!(imported(&b, &pieces[..last]).await.unwrap_err().code(), "invalidDrop");
    assert_eq!(b.storage().await.unwrap().payload_bytes, 5);
    assert_eq!(imported(&b, &pieces).await.map(|done| (done.inserted, done.skipped)), Ok((0, 2)));
    assert_eq!(contents(&b, &ns).await, contents(&a, &ns).await);
    a.shutdown().await;
    b.shutdown().await;
}

/// A drop with the same entry that lies, begun before, keeps the true one waiting and spoils nothing but itself.
#[tokio::test]
async fn drops_are_read_one_after_another() {
    let (a, b) = (offline().await, offline().await);
    let (user, ns) = space(&a).await;
    let entry = write(&a, &ns, &user, "x", &large()).await;
    let (true_pieces, _) = exported(&a, &ns, Area::full()).await;
    let mut lies = true_pieces.clone();
    lies[3][5] ^= 1;
    let mut liar = b.import_drop();
    for piece in &lies[..20] {
        liar.push(piece.clone()).await.unwrap();
    }
    let mut waiting = b.import_drop();
    waiting.push(true_pieces[0].clone()).await.unwrap();
    let honest = imported(&b, &true_pieces);
    let lie = async {
        for piece in &lies[20..] {
            liar.push(piece.clone()).await.unwrap();
        }
        assert_eq!(waiting.progress(), ImportProgress::default());
        // Who gives up meanwhile gives up its turn, too.
        drop(waiting);
        liar.finish().await
    };
    let (honest, lie) = soon("both drops", async { tokio::join!(honest, lie) }).await;
    assert_eq!(lie.unwrap_err().code(), "invalidDrop");
    assert_eq!(honest.map(|done| done.skipped), Ok(1));
    assert_eq!(b.payload(entry.key(), 0, None).await.unwrap(), large());
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn an_import_that_waits_ends_with_its_node() {
    let node = offline().await;
    let (_first, mut second) = (node.import_drop(), node.import_drop());
    second.push(Vec::new()).await.unwrap();
    let ended = second.ended();
    node.shutdown().await;
    soon("the end of the one that waits", ended).await;
    assert_eq!(second.finish().await, Err(Error::ShuttingDown));
}

#[tokio::test]
async fn an_import_that_is_given_up_leaves_nothing_unproven() {
    let (a, b) = (offline().await, offline().await);
    let (user, ns) = space(&a).await;
    write(&a, &ns, &user, "x", &large()).await;
    let (pieces, _) = exported(&a, &ns, Area::full()).await;
    let mut import = b.import_drop();
    for piece in &pieces[..30] {
        import.push(piece.clone()).await.unwrap();
    }
    assert!(import.progress().bytes > 0 && import.progress().inserted == 1);
    drop(import);
    // At once: the next one waits until nothing is staged any more.
    assert_eq!(imported(&b, &pieces).await.map(|done| done.skipped), Ok(1));
    assert_eq!(contents(&b, &ns).await, contents(&a, &ns).await);
    a.shutdown().await;
    b.shutdown().await;
}

/// An entry may go and come back while its payload is read; what was staged of it went with it.
#[tokio::test]
async fn an_entry_that_is_forgotten_meanwhile_gets_no_payload() {
    let (a, b) = (offline().await, offline().await);
    let (user, ns) = space(&a).await;
    let entry = write(&a, &ns, &user, "x", &large()).await;
    let (pieces, _) = exported(&a, &ns, Area::full()).await;
    for comes_back in [false, true] {
        let mut import = b.import_drop();
        for piece in &pieces[..30] {
            import.push(piece.clone()).await.unwrap();
        }
        assert_eq!(b.forget(ns.clone(), None).await, Ok(1));
        if comes_back {
            b.ingest(a.export_entry(entry.key()).await.unwrap()).await.unwrap();
        }
        for piece in &pieces[30..] {
            import.push(piece.clone()).await.unwrap();
        }
        assert_eq!(import.finish().await.map(|done| done.inserted), Ok(1));
        assert_eq!(b.storage().await.unwrap().payload_bytes, 0);
    }
    assert_eq!(imported(&b, &pieces).await.map(|done| (done.inserted, done.skipped)), Ok((0, 1)));
    assert_eq!(contents(&b, &ns).await, contents(&a, &ns).await);
    a.shutdown().await;
    b.shutdown().await;
}

/// Whoever waits for the source of a drop hears that there is no use in it.
#[tokio::test]
async fn an_import_tells_that_it_has_ended() {
    let node = offline().await;
    let mut import = node.import_drop();
    let ended = import.ended();
    import.push(vec![200]).await.unwrap();
    soon("the end of a bad drop", ended).await;
    assert_eq!(import.push(Vec::new()).await.unwrap_err().code(), "invalidDrop");
    let mut import = node.import_drop();
    let ended = import.ended();
    node.shutdown().await;
    soon("the end with the node", ended).await;
    assert_eq!(import.push(Vec::new()).await, Err(Error::ShuttingDown));
}

#[tokio::test]
async fn a_drop_ends_with_its_node() {
    let node = offline().await;
    let (user, ns) = space(&node).await;
    write(&node, &ns, &user, "x", &large()).await;
    let (mut export, mut import) = (node.export_drop(ns.clone(), Area::full()), node.import_drop());
    export.next().await.unwrap().unwrap();
    node.shutdown().await;
    let end = loop {
        match export.next().await.unwrap() {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(end, Error::ShuttingDown);
    assert!(export.next().await.is_none());
    let end = loop {
        if let Err(error) = import.push(vec![0b0100_0000]).await {
            break error;
        }
    };
    assert_eq!(end, Error::ShuttingDown);
    assert_eq!(node.export_drop(ns, Area::full()).next().await, Some(Err(Error::ShuttingDown)));
    assert_eq!(node.import_drop().finish().await, Err(Error::ShuttingDown));
}

/// Entries further in the future than this node allows are left out, as they are from peers.
#[tokio::test]
async fn what_is_too_far_ahead_is_left_out() {
    let ahead = Node::open(NodeOptions { max_future_micros: u64::MAX / 4, ..NodeOptions::default() }).await.unwrap();
    let node = offline().await;
    let (user, ns) = space(&ahead).await;
    let year = 365 * 24 * 3600 * 1_000_000_u64;
    let now = write(&ahead, &ns, &user, "now", b"now").await.timestamp;
    for payload in [b"later".to_vec(), large()] {
        let at = path(&format!("later/{}", payload.len()));
        let request = SetRequest { user: user.clone(), path: at, payload, timestamp: Some(now + year) };
        ahead.set(ns.clone(), request).await.unwrap();
    }
    let (pieces, _) = exported(&ahead, &ns, Area::full()).await;
    assert_eq!(imported(&node, &pieces).await.map(|done| (done.inserted, done.skipped)), Ok((1, 2)));
    let mut entries = node.entries(ns, Area::full(), EntriesOptions::default());
    assert_eq!(entries.next().await.unwrap().unwrap().path, path("now"));
    assert!(entries.next().await.is_none());
    ahead.shutdown().await;
    node.shutdown().await;
}

#[tokio::test]
async fn durable_a_backup_outlives_the_node_it_is_read_into() {
    let folder = std::env::temp_dir().join(format!("osier-drops-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let storage = StorageOptions::Durable { place: folder.to_str().unwrap().to_owned(), lock: Lock::Fail };
    let open = async || Node::open(NodeOptions { storage: storage.clone(), ..NodeOptions::default() }).await.unwrap();
    let (a, b) = (offline().await, open().await);
    let (user, ns) = space(&a).await;
    write(&a, &ns, &user, "small", b"hello").await;
    write(&a, &ns, &user, "x", &large()).await;
    let (pieces, _) = exported(&a, &ns, Area::full()).await;
    // Broken off by the end of the node: nothing unproven is there afterwards.
    let mut import = b.import_drop();
    for piece in &pieces[..30] {
        import.push(piece.clone()).await.unwrap();
    }
    b.shutdown().await;
    let b = open().await;
    let held = b.storage().await.unwrap();
    assert_eq!((held.entries, held.payload_bytes), (2, 5));
    imported(&b, &pieces).await.unwrap();
    b.shutdown().await;
    let b = open().await;
    assert_eq!(contents(&b, &ns).await, contents(&a, &ns).await);
    b.shutdown().await;
    a.shutdown().await;
    std::fs::remove_dir_all(&folder).unwrap();
}
