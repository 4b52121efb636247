#![allow(clippy::unwrap_used)]

use super::*;

const NONE: [&str; 0] = [];

fn faults(file: &str, text: &str) -> Vec<String> {
    faults_in(file, text)
}

#[test]
fn a_file_has_a_place() {
    assert_eq!(place("src/net/frame.rs"), Some(("src", vec!["net", "frame"])));
    assert_eq!(place("core/src/sync/mod.rs"), Some(("core/src", vec!["sync"])));
    assert_eq!(place("src/lib.rs"), None);
    assert_eq!(place("tests/native/main.rs"), None);
}

#[test]
fn dependencies_point_downwards() {
    assert_eq!(faults("src/node/mod.rs", "use crate::net::Endpoint;\nuse osier_core::sync::Session;"), NONE);
    assert_eq!(faults("src/net/mod.rs", "\nuse crate::node::Node;"), ["src/net/mod.rs:2: net must not know node"]);
    assert_eq!(faults("src/platform/web.rs", "fn f() { crate::net::dial() }"), ["src/platform/web.rs:1: platform must not know net"]);
    assert_eq!(faults("src/node/x.rs", "pub(in crate::js) fn f() {}"), ["src/node/x.rs:1: node must not know js"]);
}

#[test]
fn sync_and_peers_do_not_meet() {
    assert_eq!(
        faults("core/src/sync/x.rs", "use crate::{store, peers::{Input, Action}};"),
        vec!["core/src/sync/x.rs:1: sync must not know peers"; 2]
    );
    assert_eq!(faults("core/src/peers/mod.rs", "use super::sync;"), ["core/src/peers/mod.rs:1: peers must not know sync"]);
    assert_eq!(faults("core/src/sync/a/b.rs", "use super::super::super::peers;"), ["core/src/sync/a/b.rs:1: sync must not know peers"]);
    assert_eq!(faults("core/src/sync/a/b.rs", "use super::super::peers;"), NONE, "crate::sync::peers is another module");
}

#[test]
fn each_outside_world_has_its_door() {
    assert_eq!(faults("src/net/mod.rs", "use iroh::Endpoint; use iroh_relay::RelayMap;"), NONE);
    assert_eq!(faults("src/node/mod.rs", "use iroh::Endpoint;"), ["src/node/mod.rs:1: node must not know iroh; its door is net"]);
    assert_eq!(faults("src/node/mod.rs", "fn f(e: ::iroh_base::Id) {}").len(), 1);
    assert_eq!(faults("src/node/mod.rs", "use wasm_bindgen_futures as w;").len(), 1);
    assert_eq!(faults("src/js/mod.rs", "use wasm_bindgen::prelude::*;"), NONE);
    assert_eq!(
        faults("core/src/store/mod.rs", "use tokio::sync;"),
        ["core/src/store/mod.rs:1: store must not know tokio; the core does no I/O"]
    );
}

#[test]
fn names_inside_longer_paths_are_not_crates() {
    assert_eq!(faults("src/node/mod.rs", "use crate::net::iroh; fn f() { x::<u8>::iroh(); self::iroh::f() }"), NONE);
}

#[test]
fn comments_and_literals_are_not_code() {
    let text = "//! iroh::Endpoint\n/* use iroh::a; /* nested */ */ /// crate::js::X\nfn f<'a>() { \"use iroh::b;\"; r#\"iroh::\"c\"\"#; '\"'; b'\\''; }\nuse iroh::d;";
    assert_eq!(faults("src/node/mod.rs", text), ["src/node/mod.rs:4: node must not know iroh; its door is net"]);
}

#[test]
fn the_target_is_asked_for_in_platform_only() {
    let condition = "#[cfg(target_arch = \"wasm32\")]\nfn f() {}";
    assert_eq!(faults("src/node/x.rs", condition), ["src/node/x.rs:1: asks for the target; that belongs to platform/"]);
    assert_eq!(faults("core/src/store/x.rs", "\nfn f() -> bool { cfg!(target_family = \"wasm\") }").len(), 1);
    assert_eq!(faults("src/platform/time.rs", condition), NONE);
    assert_eq!(faults("src/lib.rs", condition).len(), 1);
    for module in
        ["#[cfg(target_arch = \"wasm32\")]\npub mod js;", "#[cfg(not(target_arch = \"wasm32\"))]\n#[path = \"native.rs\"]\nmod face;"]
    {
        assert_eq!(faults("src/lib.rs", module), NONE, "{module}");
        assert_eq!(faults("src/backend/mod.rs", module), NONE, "{module}");
        assert_eq!(faults("src/net/endpoint.rs", module).len(), 1, "{module}");
    }
    assert_eq!(faults("core/src/store/x.rs", "#[cfg(test)]\nmod tests;\n#[cfg_attr(feature = \"sim\", allow(x))] fn f() {}"), NONE);
}

#[test]
fn a_test_file_asks_as_a_whole() {
    assert_eq!(faults("tests/browser/main.rs", "//! What it is.\n#![cfg(target_arch = \"wasm32\")]\nmod a;"), NONE);
    assert_eq!(faults("tests/browser/main.rs", "mod a;\n#[cfg(target_arch = \"wasm32\")]\nmod b;").len(), 1);
}
