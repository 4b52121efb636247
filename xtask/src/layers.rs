//! `cargo xtask layers`: the rules of ARCHITECTURE.md that the compiler does not check.
//!
//! Dependencies point downwards only, each outside world has one door, and the target is asked for in few places. The
//! check reads tokens, not types: it sees every path that is written out, in `use` trees and in expressions.

mod paths;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use crate::process::Outcome;
use crate::workspace::root;
use paths::Reference;

/// Modules of one crate, and those of its siblings that each may not name. What is not listed may be named.
const SIBLINGS: &[(&str, &str, &[&str])] = &[
    ("src", "node", &["js"]),
    ("src", "net", &["js", "node", "backend"]),
    ("src", "backend", &["js", "node", "net"]),
    ("src", "platform", &["js", "node", "net", "backend"]),
    ("core/src", "sync", &["peers"]),
    ("core/src", "peers", &["sync"]),
    ("core/src", "store", &["sync", "peers", "wallet", "drops"]),
    ("core/src", "drops", &["sync", "peers", "wallet"]),
    ("core/src", "willow", &["store", "payload", "wallet", "sync", "peers", "drops"]),
];

/// Crates with a door: (folder the rule is for, beginning of the crate's name, modules that may name it).
const DOORS: &[(&str, &str, &[&str])] = &[
    ("src", "iroh", &["net"]),
    ("src", "wasm_bindgen", &["js", "platform", "backend"]),
    ("src", "js_sys", &["js", "platform", "backend"]),
    ("src", "web_sys", &["js", "platform", "backend"]),
    ("src", "serde_wasm_bindgen", &["js"]),
    ("src", "wasm_streams", &["js"]),
    ("core/src", "iroh", &[]),
    ("core/src", "tokio", &[]),
    ("core/src", "n0_future", &[]),
    ("core/src", "wasm_bindgen", &[]),
    ("core/src", "js_sys", &[]),
];

/// `cargo xtask layers`.
pub fn command(arguments: &[String]) -> Outcome {
    if let Some(argument) = arguments.first() {
        return Err(format!("layers takes no arguments, not `{argument}`").into());
    }
    let mut faults = Vec::new();
    let mut checked = 0;
    for folder in ["src", "core/src", "tests"] {
        for file in rust_files(&root().join(folder))? {
            let relative = file.strip_prefix(root())?.to_string_lossy().replace('\\', "/");
            faults.extend(faults_in(&relative, &fs::read_to_string(&file)?));
            checked += 1;
        }
    }
    for fault in &faults {
        eprintln!("{fault}");
    }
    match faults.len() {
        0 => {
            println!("layers: {checked} files keep the rules");
            Ok(())
        }
        count => Err(format!("{count} breaches of the layers").into()),
    }
}

/// What is wrong with one file, each with its line: `file` is its path from the root of the repository.
fn faults_in(file: &str, text: &str) -> Vec<String> {
    let code = source::without_comments(text);
    let mut faults = Vec::new();
    if let Some((folder, module)) = place(file) {
        for reference in paths::references(&code, &module) {
            let why = fault_of(folder, module[0], &reference);
            faults.extend(why.map(|why| format!("{file}:{}: {why}", reference.line)));
        }
    }
    for line in source::wasm_conditions(&code) {
        if !condition_allowed(file, &code, line) {
            faults.push(format!("{file}:{line}: asks for the target; that belongs to platform/"));
        }
    }
    faults
}

/// The source folder of a file and the path of its module: `("src", ["net", "frame"])` for `src/net/frame.rs`. `None` for the
/// root of a crate, which may name everything, and for other files.
fn place(file: &str) -> Option<(&'static str, Vec<&str>)> {
    let (folder, rest) = ["src", "core/src"].iter().find_map(|folder| Some((*folder, file.strip_prefix(folder)?.strip_prefix('/')?)))?;
    let mut module: Vec<&str> = rest.strip_suffix(".rs")?.split('/').collect();
    if module.last() == Some(&"mod") {
        module.pop();
    }
    (module != ["lib"]).then_some((folder, module))
}

/// Why a module may not make this reference, if so.
fn fault_of(folder: &str, module: &str, reference: &Reference) -> Option<String> {
    let (first, second) = (reference.path.first()?.as_str(), reference.path.get(1).map(String::as_str));
    if first == "crate" {
        let target = second?;
        let forbidden = SIBLINGS.iter().any(|(of, from, to)| (*of, *from) == (folder, module) && to.contains(&target));
        return forbidden.then(|| format!("{module} must not know {target}"));
    }
    let closed = |(of, name, doors): &&(&str, &str, &[&str])| *of == folder && names_crate(first, name) && !doors.contains(&module);
    DOORS.iter().find(closed).map(|(_, name, doors)| format!("{module} must not know {name}; {}", describe_doors(doors)))
}

fn describe_doors(doors: &[&str]) -> String {
    if doors.is_empty() { "the core does no I/O".to_owned() } else { format!("its door is {}", doors.join(", ")) }
}

/// Whether `name` is the crate or one of its family: `iroh`, `iroh_relay`.
fn names_crate(name: &str, family: &str) -> bool {
    name.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

/// Whether the target may be asked for on this line of this file.
fn condition_allowed(file: &str, code: &str, line: usize) -> bool {
    let guards_module = || {
        let items = code.lines().skip(line - 1).flat_map(|text| text.rsplit(']').take(1)).map(str::trim);
        items.filter(|item| !item.is_empty()).take(1).any(source::declares_module)
    };
    match file {
        "src/lib.rs" | "src/backend/mod.rs" | "src/net/mod.rs" => guards_module(),
        _ if file.starts_with("src/platform/") => true,
        _ if file.starts_with("tests/") => code.lines().nth(line - 1).is_some_and(|text| text.starts_with("#![cfg(")),
        _ => false,
    }
}

fn rust_files(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let mut files = Vec::new();
    if !folder.is_dir() {
        return Ok(files);
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests;
