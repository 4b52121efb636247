//! The surface that the npm package calls: conversions, names, errors.

use js_sys::{Array, BigInt, Date, Promise, Uint8Array};
use osier::js::{RawEvents, RawIntent, RawNode};
use wasm_bindgen::{JsCast, JsValue, convert::TryFromJsValue};
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::support::{field, object, raw_open, relay, strings, text};

async fn ok(promise: Promise) -> JsValue {
    JsFuture::from(promise).await.unwrap_or_else(|error| panic!("{}", text(&error, "message")))
}

/// The code and the argument of a rejection.
async fn refused(promise: Promise) -> (String, Option<String>) {
    let error = JsFuture::from(promise).await.expect_err("it was not refused");
    assert!(!text(&error, "message").is_empty());
    (text(&error, "code"), field(&error, "argument").as_string())
}

fn invalid(argument: &str) -> (String, Option<String>) {
    ("invalidArgument".to_owned(), Some(argument.to_owned()))
}

async fn open() -> RawNode {
    let opened = ok(raw_open(object(&[("relays", strings(&[&relay()])), ("storage", "memory".into())]), None)).await;
    RawNode::try_from_js_value(opened).expect("a node")
}

async fn next(events: &RawEvents) -> JsValue {
    ok(events.next()).await
}

async fn next_of(events: &RawEvents, kind: &str) -> JsValue {
    loop {
        let event = next(events).await;
        assert!(!event.is_undefined(), "the stream ended before {kind}");
        if text(&event, "type") == kind {
            return event;
        }
    }
}

fn none() -> JsValue {
    object(&[])
}

struct Owner {
    node: RawNode,
    user: String,
    space: String,
}

impl Owner {
    async fn new() -> Self {
        let node = open().await;
        let user = ok(node.create_user()).await.as_string().unwrap();
        let options = object(&[("kind", "owned".into()), ("owner", user.as_str().into())]);
        let space = ok(node.create_namespace(options)).await.as_string().unwrap();
        Self { node, user, space }
    }

    fn target(&self, path: &[&str]) -> JsValue {
        object(&[("user", self.user.as_str().into()), ("path", strings(path))])
    }

    async fn set(&self, options: JsValue, payload: &[u8]) -> JsValue {
        let writer = ok(self.node.writer(self.space.as_str().into(), options)).await;
        let writer = osier::js::RawWriter::try_from_js_value(writer).expect("a writer");
        let (first, rest) = payload.split_at(payload.len() / 2);
        writer.prepare(&Uint8Array::from(payload));
        ok(writer.push(&Uint8Array::from(first))).await;
        ok(writer.push(&Uint8Array::from(rest))).await;
        ok(writer.finish()).await
    }
}

#[wasm_bindgen_test]
async fn an_entry_goes_in_and_comes_out_as_plain_data() {
    let owner = Owner::new().await;
    let Owner { node, user, space } = &owner;
    let binary: JsValue = [JsValue::from("bytes"), Uint8Array::from([0xff, 0].as_slice()).into()].iter().collect::<Array>().into();
    let stamp: JsValue = BigInt::from(765_432_109_876_543_u64).into();
    let written =
        owner.set(object(&[("user", user.as_str().into()), ("path", binary.clone()), ("timestamp", stamp.clone())]), b"hello").await;
    assert_eq!(field(&written, "pruned"), 0);
    let entry = field(&written, "entry");
    assert_eq!((text(&entry, "namespace"), text(&entry, "user")), (space.clone(), user.clone()));
    assert_eq!(field(&entry, "timestamp"), stamp);
    assert_eq!((field(&entry, "length"), field(&entry, "available")), (5.into(), 5.into()));
    assert_eq!(text(&entry, "digest").len(), 64);
    let path: Array = field(&entry, "path").unchecked_into();
    assert_eq!(path.get(0), "bytes");
    assert_eq!(path.get(1).unchecked_into::<Uint8Array>().to_vec(), [0xff, 0]);

    let found = ok(node.get(space.as_str().into(), user.as_str().into(), binary.clone())).await;
    assert_eq!(text(&found, "digest"), text(&entry, "digest"));
    let key = object(&[("namespace", space.as_str().into()), ("user", user.as_str().into()), ("path", binary)]);
    let part = ok(node.payload(key, object(&[("offset", 1.into()), ("length", 3.into())]))).await;
    assert_eq!(part.unchecked_into::<Uint8Array>().to_vec(), b"ell");
    assert!(ok(node.get(space.as_str().into(), user.as_str().into(), strings(&["nothing"]))).await.is_undefined());

    let at_once = ok(node.set(space.as_str().into(), owner.target(&["at once"]), Uint8Array::from(b"abc".as_slice()))).await;
    assert_eq!(field(&field(&at_once, "entry"), "available"), 3);

    let entries = node.entries(space.as_str().into(), none(), object(&[("order", "descending".into()), ("limit", 1.into())]));
    assert_eq!(text(&next(&entries).await, "digest"), text(&entry, "digest"));
    assert!(next(&entries).await.is_undefined());
    ok(node.shutdown()).await;
}

#[wasm_bindgen_test]
async fn a_subscription_tells_of_writes_and_forgetting() {
    let owner = Owner::new().await;
    let Owner { node, space, .. } = &owner;
    let changes = node.subscribe(space.as_str().into(), object(&[("path", strings(&["notes"]))]), none());
    owner.set(owner.target(&["elsewhere"]), b"-").await;
    owner.set(owner.target(&["notes", "a"]), b"1").await;
    let inserted = next_of(&changes, "inserted").await;
    assert_eq!(text(&inserted, "origin"), "local");
    assert_eq!(field(&field(&inserted, "entry"), "path").unchecked_into::<Array>().get(1), "a");
    assert!(field(&inserted, "progress").as_f64().is_some());
    owner.set(owner.target(&["notes"]), b"prunes what is below").await;
    next_of(&changes, "pruned").await;
    assert_eq!(ok(node.forget(space.as_str().into(), none())).await, 2);
    next_of(&changes, "forgotten").await;
    changes.close();
    assert!(next(&changes).await.is_undefined());
    ok(node.shutdown()).await;
}

#[wasm_bindgen_test]
async fn users_spaces_capabilities_grants_and_secrets_are_listed() {
    let Owner { node, user, space } = Owner::new().await;
    assert_eq!(ok(node.users()).await.unchecked_into::<Array>().get(0), user.as_str());
    let spaces: Array = ok(node.namespaces()).await.unchecked_into();
    assert_eq!((text(&spaces.get(0), "id"), text(&spaces.get(0), "kind")), (space.clone(), "owned".to_owned()));
    let held: Array = ok(node.capabilities(object(&[("access", "write".into())]))).await.unchecked_into();
    assert_eq!(held.length(), 1);
    assert_eq!(text(&held.get(0), "user"), user);
    ok(node.online()).await;
    let ticket = ok(node.share(object(&[("namespace", space.as_str().into()), ("access", "read".into())]))).await;
    assert!(ticket.as_string().is_some_and(|ticket| ticket.len() > 50));
    let grants: Array = ok(node.grants(space.as_str().into())).await.unchecked_into();
    assert!(grants.iter().any(|grant| text(&grant, "access") == "read" && field(&grant, "link").is_truthy()));
    let secret = ok(node.export_secret(user.as_str().into())).await;
    let other = open().await;
    assert_eq!(ok(other.import_secret(secret)).await, user.as_str());
    let joined = ok(other.join(ticket, none())).await;
    assert_eq!((text(&joined, "namespace"), text(&joined, "access")), (space, "read".to_owned()));
    let peers: Array = field(&joined, "peers").unchecked_into();
    assert_eq!(text(&peers.get(0), "id"), node.id());
    ok(node.shutdown()).await;
    ok(other.shutdown()).await;
}

#[wasm_bindgen_test]
async fn intents_sessions_and_peers_are_told() {
    let owner = Owner::new().await;
    owner.set(owner.target(&["a"]), &[7; 300_000]).await;
    ok(owner.node.online()).await;
    let ticket = ok(owner.node.share(object(&[("namespace", owner.space.as_str().into()), ("access", "write".into())]))).await;
    let guest = open().await;
    let joined = ok(guest.join(ticket, none())).await;
    let incoming = owner.node.incoming();
    let watched = guest.watch_peers();
    let intent: RawIntent =
        guest.sync(field(&joined, "peers").unchecked_into::<Array>().get(0), object(&[("mode", "live".into())])).unwrap();
    assert_eq!(intent.peer(), owner.node.id());
    let events = intent.events();
    for kind in ["connecting", "established", "overlap", "reconciled", "reconciledAll"] {
        next_of(&events, kind).await;
    }
    next_of(&watched, "established").await;
    let session = next(&incoming).await;
    let session = osier::js::RawIncoming::try_from_js_value(session).expect("a session");
    assert_eq!(session.peer(), guest.id());
    let accepted = session.events();
    next_of(&accepted, "overlap").await;
    let peers: Array = ok(guest.peers()).await.unchecked_into();
    assert_eq!((text(&peers.get(0), "id"), text(&peers.get(0), "state")), (owner.node.id(), "active".to_owned()));
    assert!(field(&peers.get(0), "bytesSent").as_f64().is_some_and(|bytes| bytes > 0.0));

    let key = object(&[("namespace", owner.space.as_str().into()), ("user", owner.user.as_str().into()), ("path", strings(&["a"]))]);
    let fetch = guest.fetch_payload(key.clone(), none(), None).unwrap();
    ok(fetch.done()).await;
    assert_eq!(ok(guest.payload(key, none())).await.unchecked_into::<Uint8Array>().length(), 300_000);

    intent.close();
    assert_eq!(text(&ok(intent.completed()).await, "outcome"), "closed");
    assert_eq!(text(&field(&next_of(&events, "ended").await, "completion"), "outcome"), "closed");
    assert!(next(&events).await.is_undefined());
    ok(guest.shutdown()).await;
    ok(owner.node.shutdown()).await;
}

#[wasm_bindgen_test]
async fn a_node_can_disconnect_a_peer() {
    let owner = Owner::new().await;
    ok(owner.node.online()).await;
    let ticket = ok(owner.node.share(object(&[("namespace", owner.space.as_str().into()), ("access", "read".into())]))).await;
    let guest = open().await;
    let joined = ok(guest.join(ticket, none())).await;
    let intent = guest.sync(field(&joined, "peers").unchecked_into::<Array>().get(0), object(&[("mode", "live".into())])).unwrap();
    next_of(&intent.events(), "reconciledAll").await;
    ok(guest.disconnect(owner.node.id().into())).await;
    assert_eq!(text(&ok(intent.completed()).await, "outcome"), "closed");
    ok(guest.shutdown()).await;
    ok(owner.node.shutdown()).await;
}

#[wasm_bindgen_test]
async fn wrong_options_are_named() {
    for (options, argument) in [
        (object(&[("relay", "x".into())]), "options"),
        (JsValue::from(3), "options"),
        (object(&[("relays", "http://a".into())]), "relays"),
        (object(&[("relays", strings(&["no url"]))]), "relays"),
        (object(&[("storage", "disk".into())]), "storage"),
        (object(&[("secretKey", Uint8Array::new_with_length(31).into())]), "secretKey"),
        (object(&[("limits", object(&[("maxSessions", (-1).into())]))]), "maxSessions"),
    ] {
        assert_eq!(refused(raw_open(options, None)).await, invalid(argument));
    }
}

#[wasm_bindgen_test]
async fn wrong_arguments_are_named_and_change_nothing() {
    let owner = Owner::new().await;
    let Owner { node, user, space } = &owner;
    let with = |name: &str, value: JsValue| {
        let options = owner.target(&["a"]);
        js_sys::Reflect::set(&options, &name.into(), &value).unwrap();
        node.writer(space.as_str().into(), options)
    };
    assert_eq!(refused(node.writer("xyz".into(), owner.target(&["a"]))).await, invalid("namespace"));
    assert_eq!(refused(node.set("xyz".into(), owner.target(&["a"]), Uint8Array::new_with_length(1))).await, invalid("namespace"));
    assert_eq!(refused(with("user", 5.into())).await, invalid("user"));
    assert_eq!(refused(with("path", "a/b".into())).await, invalid("path"));
    assert_eq!(refused(with("path", strings(&["x".repeat(4097).as_str()]))).await, invalid("path"));
    assert_eq!(refused(with("path", strings(&["x".repeat(3000).as_str(), "y".repeat(3000).as_str()]))).await, invalid("path"));
    assert_eq!(refused(with("timestamp", BigInt::from(-1).into())).await, invalid("timestamp"));
    assert_eq!(refused(with("timestamp", BigInt::from(u128::MAX).into())).await, invalid("timestamp"));
    assert_eq!(refused(with("timestamp", 12.into())).await, invalid("timestamp"));
    assert_eq!(refused(with("when", 12.into())).await, invalid("options"));
    assert_eq!(refused(node.ingest("text".into())).await, invalid("entry"));
    assert_eq!(refused(node.ingest(Uint8Array::new_with_length(40).into())).await, invalid("entry"));
    assert_eq!(refused(node.disconnect("12".into())).await, invalid("peer"));
    assert_eq!(refused(node.join("osier".into(), none())).await, ("invalidTicket".to_owned(), Some("ticket".to_owned())));
    assert_eq!(refused(node.share(object(&[("namespace", space.as_str().into()), ("access", "all".into())]))).await, invalid("access"));
    assert_eq!(refused(node.create_namespace(object(&[("kind", "owned".into())]))).await, invalid("owner"));
    assert_eq!(
        refused(node.create_namespace(object(&[("kind", "public".into()), ("owner", user.as_str().into())]))).await,
        invalid("kind")
    );
    let error = node.sync("no key".into(), none()).err().expect("it was not refused");
    assert_eq!((text(&error, "code"), text(&error, "argument")), ("invalidArgument".to_owned(), "peer".to_owned()));
    let error = node.sync(node.id().into(), object(&[("mode", "always".into())])).err().expect("it was not refused");
    assert_eq!(text(&error, "argument"), "mode");
    let entries = node.entries(space.as_str().into(), none(), none());
    assert!(next(&entries).await.is_undefined(), "something was written");
    let entries = node.entries(space.as_str().into(), object(&[("owner", user.as_str().into())]), none());
    assert_eq!(refused(entries.next()).await, invalid("area"));
    ok(node.shutdown()).await;
}

#[wasm_bindgen_test]
async fn a_timestamp_too_far_ahead_is_refused_and_a_stale_one_is_obsolete() {
    let owner = Owner::new().await;
    let finish = async |options: JsValue| {
        let writer = ok(owner.node.writer(owner.space.as_str().into(), options)).await;
        refused(osier::js::RawWriter::try_from_js_value(writer).expect("a writer").finish()).await.0
    };
    let at = |timestamp: JsValue| {
        let options = owner.target(&["a"]);
        js_sys::Reflect::set(&options, &"timestamp".into(), &timestamp).unwrap();
        options
    };
    let tomorrow = Date::new(&(Date::now() + 86_400_000.0).into());
    assert_eq!(finish(at(tomorrow.into())).await, "timestampTooFarAhead");
    owner.set(owner.target(&["a"]), b"now").await;
    assert_eq!(finish(at(BigInt::from(5).into())).await, "obsolete");
    ok(owner.node.shutdown()).await;
}

#[wasm_bindgen_test]
async fn after_shutdown_every_method_refuses() {
    let Owner { node, user, space } = Owner::new().await;
    ok(node.shutdown()).await;
    ok(node.shutdown()).await;
    let key = object(&[("namespace", space.as_str().into()), ("user", user.as_str().into()), ("path", strings(&["a"]))]);
    for promise in [
        node.online(),
        node.peers(),
        node.disconnect("00".repeat(32).into()),
        node.create_user(),
        node.users(),
        node.create_namespace(object(&[("kind", "owned".into()), ("owner", user.as_str().into())])),
        node.namespaces(),
        node.capabilities(none()),
        node.export_secret(user.as_str().into()),
        node.get(space.as_str().into(), user.as_str().into(), strings(&["a"])),
        node.payload(key.clone(), none()),
        node.fetch_payload(key, none(), None).unwrap().done(),
        node.forget(space.as_str().into(), none()),
        node.share(object(&[("namespace", space.as_str().into()), ("access", "read".into())])),
        node.grants(space.as_str().into()),
        node.sync("00".repeat(32).into(), none()).unwrap().completed(),
        node.entries(space.as_str().into(), none(), none()).next(),
    ] {
        assert_eq!(refused(promise).await.0, "shuttingDown");
    }
    for stream in [node.watch_peers(), node.incoming(), node.subscribe(space.as_str().into(), none(), none())] {
        assert!(next(&stream).await.is_undefined());
    }
}

#[wasm_bindgen_test]
async fn the_state_of_the_relay_goes_out_and_that_of_the_page_comes_in() {
    let options =
        [("relays", strings(&[&relay()])), ("storage", "memory".into()), ("reconnect", object(&[("attempts", f64::INFINITY.into())]))];
    let node = RawNode::try_from_js_value(ok(raw_open(object(&options), None)).await).expect("a node");
    let status = node.watch_status();
    ok(node.online()).await;
    let told = field(&next(&node.watch_status()).await, "relay");
    assert_eq!(text(&told, "state"), "connected");
    assert_eq!(text(&told, "url").trim_end_matches('/'), relay().trim_end_matches('/'));
    assert!(field(&told, "reason").is_null());
    node.notify(object(&[("visible", true.into()), ("frozen", false.into()), ("online", JsValue::UNDEFINED)])).expect("a state");
    let error = node.notify(object(&[("visible", "yes".into())])).expect_err("no state");
    assert_eq!((text(&error, "code"), field(&error, "argument").as_string()), invalid("visible"));
    ok(node.shutdown()).await;
    while !next(&status).await.is_undefined() {}
}
