#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
//! `osier export` and `osier import`: what goes out comes back.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use osier::{
    Node, NodeOptions,
    node::{Area, EntriesOptions, Lock, NamespaceId, NamespaceKind, SetRequest, StorageOptions},
};

/// A directory that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("osier-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn at(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn osier(words: &[&str], input: Option<&Path>) -> Output {
    let input = input.map_or_else(Stdio::null, |file| std::fs::File::open(file).unwrap().into());
    Command::new(env!("CARGO_BIN_EXE_osier")).args(words).stdin(input).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

async fn open(place: String) -> Node {
    let storage = StorageOptions::Durable { place, lock: Lock::Fail };
    Node::open(NodeOptions { storage, ..NodeOptions::default() }).await.unwrap()
}

async fn space(node: &Node, names: &[&str]) -> NamespaceId {
    let user = node.create_user().await.unwrap();
    let namespace = node.create_namespace(NamespaceKind::Owned, user.clone()).await.unwrap();
    for name in names {
        let path = osier::node::Path::from_slices(&name.split('/').map(str::as_bytes).collect::<Vec<_>>()).unwrap();
        let request = SetRequest { user: user.clone(), path, payload: name.repeat(300_000).into_bytes(), timestamp: None };
        node.set(namespace.clone(), request).await.unwrap();
    }
    namespace
}

async fn contents(place: String, namespace: &NamespaceId) -> Vec<(String, Vec<u8>)> {
    let node = open(place).await;
    let (mut entries, mut found) = (node.entries(namespace.clone(), Area::full(), EntriesOptions::default()), Vec::new());
    while let Some(entry) = entries.next().await {
        let entry = entry.unwrap();
        found.push((entry.path.to_string(), node.payload(entry.key(), 0, None).await.unwrap()));
    }
    node.shutdown().await;
    found
}

#[tokio::test]
async fn durable_a_backup_comes_back() {
    let folder = Folder::new("backup");
    let node = open(folder.at("data")).await;
    let namespace = space(&node, &["a", "notes/b", "notes/c"]).await;
    node.shutdown().await;
    let before = contents(folder.at("data"), &namespace).await;
    assert_eq!(before.len(), 3);

    let file = folder.at("backup.drop");
    let written = osier(&["export", "--data", &folder.at("data"), &file], None);
    assert!(written.status.success() && written.stdout.is_empty(), "{written:?}");
    assert!(said(&written).starts_with("3 entries, "), "{written:?}");
    // The same to standard output, and what is below a path.
    let piped = osier(&["export", "--data", &folder.at("data"), "-"], None);
    assert!(piped.stdout == std::fs::read(&file).unwrap());
    let part = osier(&["export", "--data", &folder.at("data"), "--path", "notes", "-"], None);
    assert!(said(&part).starts_with("2 entries, "), "{}", said(&part));

    let read = osier(&["import", "--data", &folder.at("other"), &file], None);
    assert!(said(&read).starts_with("3 entries are new, 0 were skipped, "), "{read:?}");
    assert_eq!(contents(folder.at("other"), &namespace).await, before);
    let again = osier(&["import", "--data", &folder.at("other"), "-"], Some(Path::new(&file)));
    assert!(again.status.success() && said(&again).starts_with("0 entries are new, 3 were skipped, "), "{again:?}");
}

#[tokio::test]
async fn durable_a_backup_that_fails_says_so_and_leaves_nothing_that_looks_like_one() {
    let folder = Folder::new("no-backup");
    let file = folder.at("backup.drop");
    let missing = osier(&["export", "--data", &folder.at("nowhere"), &file], None);
    assert!(!missing.status.success() && said(&missing).contains("no such directory"));

    let node = open(folder.at("data")).await;
    let first = space(&node, &["a"]).await;
    let held = osier(&["export", "--data", &folder.at("data"), &file], None);
    assert!(!held.status.success() && said(&held).contains("open elsewhere"), "{held:?}");
    space(&node, &["b"]).await;
    node.shutdown().await;
    let several = osier(&["export", "--data", &folder.at("data"), &file], None);
    assert!(!several.status.success() && said(&several).contains("several"), "{several:?}");
    assert!(!Path::new(&file).exists());

    let name: String = first.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let words = ["export", "--data", &folder.at("data"), "--space", &name, &file];
    assert!(osier(&words, None).status.success());
    let there = osier(&words, None);
    assert!(!there.status.success() && said(&there).contains("exists"), "{there:?}");

    let mut bytes = std::fs::read(&file).unwrap();
    bytes.truncate(bytes.len() - 1);
    std::fs::write(&file, bytes).unwrap();
    let cut = osier(&["import", "--data", &folder.at("other"), &file], None);
    assert!(!cut.status.success() && said(&cut).contains("cut short"), "{cut:?}");
}
