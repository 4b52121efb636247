#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
//! `osier export` and `osier import`: what goes out comes back.

use std::{
    io::Write as _,
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

fn hex(namespace: &NamespaceId) -> String {
    namespace.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
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
    // It can be exported again, though there are no rights to it.
    let unnamed = osier(&["export", "--data", &folder.at("other"), "-"], None);
    assert!(!unnamed.status.success() && said(&unnamed).contains("--space"), "{unnamed:?}");
    let onward = osier(&["export", "--data", &folder.at("other"), "--space", &hex(&namespace), "-"], None);
    assert!(onward.stdout == piped.stdout);
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
    for (name, why) in [("00".repeat(32), "is not here"), ("5".to_owned(), "64 hexadecimal digits")] {
        let wrong = osier(&["export", "--data", &folder.at("data"), "--space", &name, &file], None);
        assert!(!wrong.status.success() && said(&wrong).contains(why), "{wrong:?}");
    }
    assert!(!Path::new(&file).exists());
    let words = ["export", "--data", &folder.at("data"), "--space", &hex(&first), &file];
    assert!(osier(&words, None).status.success());
    let there = osier(&words, None);
    assert!(!there.status.success() && said(&there).contains("exists"), "{there:?}");

    let mut bytes = std::fs::read(&file).unwrap();
    bytes.truncate(bytes.len() - 1);
    std::fs::write(&file, bytes).unwrap();
    let cut = osier(&["import", "--data", &folder.at("other"), &file], None);
    assert!(!cut.status.success() && said(&cut).contains("cut short"), "{cut:?}");
}

/// Bytes of a payload that nobody has verified yet may be on the disk when the process is killed. They are nothing to whoever opens it next.
#[tokio::test]
async fn durable_an_import_that_is_killed_leaves_nothing_unproven() {
    let folder = Folder::new("killed-import");
    let node = open(folder.at("data")).await;
    let namespace = space(&node, &["a", "some/larger/file"]).await;
    node.shutdown().await;
    let before = contents(folder.at("data"), &namespace).await;
    let drop = osier(&["export", "--data", &folder.at("data"), "-"], None).stdout;

    let other = folder.at("other");
    let mut program =
        Command::new(env!("CARGO_BIN_EXE_osier")).args(["import", "--data", &other, "-"]).stdin(Stdio::piped()).spawn().unwrap();
    // What the program has taken in when this has been written is almost all of its 5 MB, but for some pieces of 256 KiB on their way.
    program.stdin.as_mut().unwrap().write_all(&drop[..drop.len() - 10]).unwrap();
    program.kill().unwrap();
    program.wait().unwrap();
    let written: u64 = std::fs::read_dir(&other).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert!(written > 2_000_000, "the kill came before anything was staged: {written}");

    let node = open(other.clone()).await;
    let held = node.storage().await.unwrap();
    assert_eq!((held.entries, held.payload_bytes), (2, 300_000));
    let mut entries = node.entries(namespace.clone(), Area::full(), EntriesOptions::default());
    while let Some(entry) = entries.next().await {
        let entry = entry.unwrap();
        let expected = if entry.payload_length == 300_000 { 300_000 } else { 0 };
        assert_eq!((entry.available, node.payload(entry.key(), 0, None).await.is_ok()), (expected, expected > 0));
    }
    node.shutdown().await;

    let file = folder.at("backup.drop");
    std::fs::write(&file, drop).unwrap();
    let read = osier(&["import", "--data", &other, &file], None);
    assert!(said(&read).starts_with("0 entries are new, 2 were skipped, "), "{read:?}");
    assert_eq!(contents(other, &namespace).await, before);
}
