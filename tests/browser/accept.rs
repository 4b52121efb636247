//! Accepting in a browser: a handler in Rust, and a JavaScript function as the package gives it to the module; more interests meanwhile.

use js_sys::{Array, Function, Promise};
use osier::{
    Error, Node, NodeOptions,
    js::{RawEvents, RawIntent, RawNode},
    node::{AcceptHandler, AcceptPolicy, Access, Completion, Mode, SessionEvent},
};
use wasm_bindgen::{JsCast, JsValue, convert::TryFromJsValue};
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::support::{field, guest, listing, node, object, owner, raw_open, relay, strings, sync, text, write};

#[wasm_bindgen_test]
async fn a_handler_in_rust_says_who_is_accepted() {
    // A node with nothing of its own, of which the other could have nothing.
    let friend = node().await;
    let known = friend.id();
    let accept = AcceptHandler::new(move |peer| async move { (peer == known).then(osier::node::SessionInit::default) });
    let options = NodeOptions { relays: vec![relay()], accept: AcceptPolicy::Ask(accept), ..NodeOptions::default() };
    let host = Node::open(options).await.unwrap();
    host.online().await.unwrap();
    let user = host.create_user().await.unwrap();
    let space = host.create_namespace(osier::node::NamespaceKind::Owned, user.clone()).await.unwrap();
    write(&host, &space, &user, &["a"], b"1").await;
    let (stranger, joined) = guest(&host, &space, Access::Read).await;
    assert_eq!(sync(&stranger, &joined, Mode::Live).completed().await, Err(Error::Refused));
    let ticket = osier::node::ShareRequest { namespace: space.clone(), access: Access::Read, to: None, from: None, area: None };
    let joined = friend.join(&host.share(ticket).await.unwrap(), None).await.unwrap();
    assert_eq!(sync(&friend, &joined, Mode::Once).completed().await, Ok(Completion::Complete));
    assert_eq!(listing(&friend, &space).await, listing(&host, &space).await);
    for node in [host, friend, stranger] {
        node.shutdown().await;
    }
}

#[wasm_bindgen_test]
async fn sync_all_in_a_page_merges_events() {
    let (alfie, user, space) = owner().await;
    write(&alfie, &space, &user, &["a"], b"1").await;
    let (betty, joined) = guest(&alfie, &space, Access::Read).await;
    let set =
        betty.sync_all([joined.peers[0].clone(), betty.address()], &osier::node::SessionInit { mode: Mode::Once, ..Default::default() });
    let events = set.events();
    assert_eq!(set.completed().await, [(alfie.id(), Ok(Completion::Complete)), (betty.id(), Err(Error::SelfPeer))]);
    let mut last = Vec::new();
    while let Some((peer, event)) = events.next().await {
        if event.is_terminal() {
            last.push((peer, event));
        }
    }
    last.sort_by_key(|(peer, _)| *peer == betty.id());
    let expected = [
        (alfie.id(), SessionEvent::Ended { completion: Completion::Complete }),
        (betty.id(), SessionEvent::Error { error: Error::SelfPeer }),
    ];
    assert_eq!(last, expected);
    alfie.shutdown().await;
    betty.shutdown().await;
}

async fn ok(promise: Promise) -> JsValue {
    JsFuture::from(promise).await.unwrap_or_else(|error| panic!("{}", text(&error, "message")))
}

async fn code(promise: Promise) -> String {
    text(&JsFuture::from(promise).await.expect_err("it was not refused"), "code")
}

async fn open(accept: Option<Function>) -> RawNode {
    let opened = ok(raw_open(object(&[("relays", strings(&[&relay()])), ("storage", "memory".into())]), accept)).await;
    let node = RawNode::try_from_js_value(opened).expect("a node");
    ok(node.online()).await;
    node
}

async fn until(events: &RawEvents, kind: &str) {
    loop {
        let event = ok(events.next()).await;
        assert!(!event.is_undefined(), "the stream ended before {kind}");
        if text(&event, "type") == kind {
            return;
        }
    }
}

#[wasm_bindgen_test]
async fn a_function_is_asked_and_interests_are_added() {
    // Answers by turns: no, a mistake, an exception, a rejection, then yes.
    let answers = "const turn = (globalThis.osierTestTurn = (globalThis.osierTestTurn ?? 0) + 1);
        if (signal.aborted || !(signal instanceof AbortSignal) || peer.length !== 64) throw new Error('wrong arguments');
        switch (turn) {
            case 1: return null;
            case 2: return Promise.resolve({ init: { mode: 'always' } });
            case 3: throw new Error('as a handler may');
            case 4: return Promise.reject(new Error('as a handler may'));
            default: return Promise.resolve({ init: {}, signal: undefined });
        }";
    let accept = Function::new_with_args("peer, signal", answers);
    let node = open(Some(accept)).await;
    let user = ok(node.create_user()).await;
    let space = ok(node.create_namespace(object(&[("kind", "owned".into()), ("owner", user.clone())]))).await;
    let ticket = ok(node.share(object(&[("namespace", space.clone()), ("access", "read".into())]))).await;
    let guest = open(None).await;
    let joined = ok(guest.join(ticket, object(&[]))).await;
    let peer = field(&joined, "peers").unchecked_into::<Array>().get(0);
    let interest = |path: &str| -> JsValue {
        let area = object(&[("path", strings(&[path]))]);
        [object(&[("namespace", space.clone()), ("area", area)])].iter().collect::<Array>().into()
    };
    let start = || -> RawIntent {
        guest.sync(peer.clone(), object(&[("mode", "live".into()), ("interests", interest("a"))])).unwrap_or_else(|_| panic!("no intent"))
    };
    for turn in 1..=4 {
        assert_eq!(code(start().completed()).await, "refused", "turn {turn}");
    }
    let intent = start();
    let events = intent.events();
    until(&events, "reconciledAll").await;
    assert!(ok(intent.add_interests(&interest("b"))).await.is_undefined());
    until(&events, "reconciledAll").await;
    assert_eq!(code(intent.add_interests(&"all".into())).await, "invalidArgument");
    intent.close();
    ok(intent.completed()).await;
    assert_eq!(code(intent.add_interests(&interest("c"))).await, "closed");
    ok(guest.shutdown()).await;
    ok(node.shutdown()).await;
}
