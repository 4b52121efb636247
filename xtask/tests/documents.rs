//! The documents speak of what is there.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_owned()
}

fn document(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What stands between backquotes and is a path from the root of the repository.
fn named_paths(text: &str) -> Vec<&str> {
    const PLACES: [&str; 9] = ["core/", "src/", "pkg/", "www/", "cli/", "xtask/", "tests/", "patches/", "docs/"];
    text.split('`')
        .skip(1)
        .step_by(2)
        .filter(|code| PLACES.iter().any(|place| code.starts_with(place)) && !code.contains(['*', ' ', '…']))
        .collect()
}

/// Targets of links that stay in the repository.
fn links(text: &str) -> Vec<&str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', '#']).next())
        .filter(|link| !link.is_empty() && !link.contains("://"))
        .collect()
}

const DOCUMENTS: [&str; 5] = ["README.md", "ARCHITECTURE.md", "PROTOCOL.md", "CONTRIBUTING.md", "CHANGELOG.md"];

#[test]
fn every_path_that_a_document_names_exists() {
    let mut checked = 0;
    for name in DOCUMENTS {
        let text = document(name);
        // What a build makes is not there before it.
        for path in named_paths(&text).into_iter().chain(links(&text)).filter(|path| !path.starts_with("pkg/generated")) {
            assert!(root().join(path).exists(), "{name} names {path}");
            checked += 1;
        }
    }
    assert!(checked > 20, "only {checked} paths were found: the test looks in the wrong place");
}

#[test]
fn the_map_names_every_module_and_nothing_else() {
    let text = document("ARCHITECTURE.md");
    let map = text.split("```").nth(1).expect("the map comes first");
    let mut above = String::new();
    let mut named = Vec::new();
    for line in map.lines().filter(|line| !line.trim().is_empty()) {
        let name = line.split_whitespace().next().unwrap_or_default();
        if !name.ends_with('/') {
            continue;
        }
        let path = if line.starts_with(' ') { format!("{above}{name}") } else { name.to_owned() };
        if !line.starts_with(' ') {
            above = path.clone();
        }
        assert!(root().join(&path).is_dir(), "the map names {path}");
        named.push(path);
    }
    for (folder, prefix) in [("core/src", "core/src/"), ("src", "src/")] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir()) {
            let module = format!("{prefix}{}/", entry.file_name().to_string_lossy());
            assert!(named.contains(&module), "the map does not name {module}");
        }
    }
}
