//! Two nodes in one page, over the relay.

use osier::node::{Access, Completion, FetchOptions, Mode, SessionEvent, StoreEvent};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::support::{guest, listing, owner, path_of, sync, write};

#[wasm_bindgen_test]
async fn two_nodes_reconcile_once_and_then_hold_the_same() {
    let (alfie, user, space) = owner().await;
    for number in 0..40 {
        write(&alfie, &space, &user, &["notes", &number.to_string()], format!("note {number}").as_bytes()).await;
    }
    let (betty, joined) = guest(&alfie, &space, Access::Write).await;
    write(&betty, &space, &joined.user, &["notes", "from the guest"], b"hello").await;

    let intent = sync(&betty, &joined, Mode::Once);
    assert_eq!(intent.completed().await, Ok(Completion::Complete));
    let entries = listing(&alfie, &space).await;
    assert_eq!(entries.len(), 41);
    assert_eq!(entries, listing(&betty, &space).await);
    let note = betty.get(space.clone(), user, path_of(&["notes", "7"])).await.unwrap().unwrap();
    assert_eq!(betty.payload(note.key(), 0, None).await.unwrap(), b"note 7");
    alfie.shutdown().await;
    betty.shutdown().await;
}

#[wasm_bindgen_test]
async fn events_of_an_intent_come_in_order_and_end_once() {
    let (alfie, user, space) = owner().await;
    write(&alfie, &space, &user, &["a"], b"1").await;
    let (betty, joined) = guest(&alfie, &space, Access::Read).await;
    let intent = sync(&betty, &joined, Mode::Once);
    let events = intent.events();
    let mut kinds = Vec::new();
    while let Some(event) = events.next().await {
        if !matches!(event, SessionEvent::Progress { .. } | SessionEvent::Payload { .. }) {
            kinds.push(event.kind());
        }
    }
    assert_eq!(kinds, ["connecting", "established", "overlap", "reconciled", "reconciledAll", "ended"]);
    alfie.shutdown().await;
    betty.shutdown().await;
}

#[wasm_bindgen_test]
async fn live_edits_reach_the_other_side_both_ways() {
    let (alfie, user, space) = owner().await;
    let (betty, joined) = guest(&alfie, &space, Access::Write).await;
    let at_alfie = alfie.subscribe(space.clone(), osier::node::Area::full(), None);
    let at_betty = betty.subscribe(space.clone(), osier::node::Area::full(), None);
    let intent = sync(&betty, &joined, Mode::Live);
    let events = intent.events();
    while !matches!(events.next().await.unwrap(), SessionEvent::ReconciledAll) {}

    let written = write(&alfie, &space, &user, &["to betty"], b"x").await;
    loop {
        if let StoreEvent::Inserted { entry, .. } = at_betty.next().await.unwrap() {
            assert_eq!(entry.id, written.id);
            break;
        }
    }
    let answered = write(&betty, &space, &joined.user, &["to alfie"], b"y").await;
    loop {
        if let StoreEvent::Inserted { entry, .. } = at_alfie.next().await.unwrap()
            && entry.id == answered.id
        {
            break;
        }
    }
    intent.close().await;
    assert_eq!(intent.completed().await, Ok(Completion::Closed));
    assert_eq!(listing(&alfie, &space).await, listing(&betty, &space).await);
    alfie.shutdown().await;
    betty.shutdown().await;
}

#[wasm_bindgen_test]
async fn a_large_payload_arrives_verified() {
    let (alfie, user, space) = owner().await;
    let payload: Vec<u8> = (0u32..700_000).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).take(2 << 20).collect();
    let entry = write(&alfie, &space, &user, &["large"], &payload).await;
    let (betty, joined) = guest(&alfie, &space, Access::Read).await;
    let intent = sync(&betty, &joined, Mode::Live);
    let events = intent.events();
    while !matches!(events.next().await.unwrap(), SessionEvent::ReconciledAll) {}
    betty.fetch_payload(entry.key(), FetchOptions::default(), |_| {}).await.unwrap();
    let received = betty.payload(entry.key(), 0, None).await.unwrap();
    assert!(received == payload, "the payload differs");
    assert_eq!(betty.payload(entry.key(), 1_000_000, Some(5)).await.unwrap(), &payload[1_000_000..1_000_005]);
    alfie.shutdown().await;
    betty.shutdown().await;
}

#[wasm_bindgen_test]
async fn peers_with_nothing_in_common_find_that_out() {
    let (alfie, user, space) = owner().await;
    write(&alfie, &space, &user, &["secret"], b"1").await;
    let (betty, _, other_space) = owner().await;
    let intent = betty.sync(alfie.address(), osier::node::SessionInit { mode: Mode::Once, ..Default::default() });
    assert_eq!(intent.completed().await, Ok(Completion::NothingInCommon));
    assert!(listing(&betty, &space).await.is_empty());
    assert!(listing(&betty, &other_space).await.is_empty());
    alfie.shutdown().await;
    betty.shutdown().await;
}
