//! What the tests share: nodes at the test relay, spaces, and plain objects.

use js_sys::{Array, Function, Object, Promise, Reflect};
use osier::{
    Intent, Node, NodeOptions,
    js::RawNode,
    node::{
        Access, Area, EntriesOptions, EntryInfo, Joined, Mode, NamespaceId, NamespaceKind, Path, SessionInit, SetRequest, ShareRequest,
        SubspaceId,
    },
};
use wasm_bindgen::JsValue;

/// The relay that `cargo xtask test` runs.
pub fn relay() -> String {
    match option_env!("OSIER_TEST_RELAY") {
        Some(url) => url.to_owned(),
        None => panic!("set OSIER_TEST_RELAY to the URL of a running relay, and compile again"),
    }
}

/// Opens a node as the npm package does, whose caller never gives up.
pub fn raw_open(options: impl Into<JsValue>, accept: Option<Function>) -> Promise {
    RawNode::open(options.into(), accept, None, Promise::new(&mut |_, _| {}))
}

pub async fn node() -> Node {
    node_at(vec![relay()]).await
}

pub async fn node_at(relays: Vec<String>) -> Node {
    Node::open(NodeOptions { relays, ..NodeOptions::default() }).await.unwrap()
}

/// A node with a user and an owned space.
pub async fn owner() -> (Node, SubspaceId, NamespaceId) {
    let node = node().await;
    let user = node.create_user().await.unwrap();
    let space = node.create_namespace(NamespaceKind::Owned, user.clone()).await.unwrap();
    node.online().await.unwrap();
    (node, user, space)
}

/// A node that joins by a link.
pub async fn guest(owner: &Node, space: &NamespaceId, access: Access) -> (Node, Joined) {
    let ticket = owner.share(ShareRequest { namespace: space.clone(), access, to: None, from: None, area: None }).await.unwrap();
    let node = node().await;
    node.online().await.unwrap();
    let joined = node.join(&ticket, None).await.unwrap();
    (node, joined)
}

pub async fn write(node: &Node, space: &NamespaceId, user: &SubspaceId, path: &[&str], payload: &[u8]) -> EntryInfo {
    let request = SetRequest { user: user.clone(), path: path_of(path), payload: payload.to_vec(), timestamp: None };
    node.set(space.clone(), request).await.unwrap().entry
}

pub fn path_of(components: &[&str]) -> Path {
    let slices: Vec<&[u8]> = components.iter().map(|component| component.as_bytes()).collect();
    Path::from_slices(&slices).unwrap()
}

/// The ids of all entries of a space, in the store's order.
pub async fn listing(node: &Node, space: &NamespaceId) -> Vec<[u8; 32]> {
    let mut query = node.entries(space.clone(), Area::full(), EntriesOptions::default());
    let mut ids = Vec::new();
    while let Some(entry) = query.next().await {
        ids.push(entry.unwrap().id);
    }
    ids
}

pub fn sync(node: &Node, joined: &Joined, mode: Mode) -> Intent {
    node.sync(joined.peers[0].clone(), SessionInit { mode, ..SessionInit::default() })
}

/// A plain object.
pub fn object(fields: &[(&str, JsValue)]) -> JsValue {
    let object = Object::new();
    for (name, value) in fields {
        Reflect::set(&object, &(*name).into(), value).unwrap();
    }
    object.into()
}

pub fn field(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap()
}

pub fn text(object: &JsValue, name: &str) -> String {
    field(object, name).as_string().unwrap_or_else(|| panic!("{name} is no string in {object:?}"))
}

pub fn strings(items: &[&str]) -> JsValue {
    items.iter().map(|item| JsValue::from(*item)).collect::<Array>().into()
}
