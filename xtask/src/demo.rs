//! `cargo xtask demo`: everything that a person needs to try Osier, or the same unattended with a comparison at the end.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Outcome, program, run};
use crate::relay::Relay;
use crate::serve::{port, site_mounts, test_mounts};
use crate::server::Server;
use crate::workspace::{cargo, extension, native_program, root, site};
use crate::{build, setup};

/// `cargo xtask demo [--port N]` and `cargo xtask demo --headless`.
pub fn command(arguments: &[String]) -> Outcome {
    match arguments {
        [flag] if flag == "--headless" => headless(),
        _ => interactive(port(arguments)?),
    }
}

/// The demo's ports unless another is asked for: a browser keeps data for one address, so the address has to stay.
const SITE_PORT: u16 = 8753;
const RELAY_PORT: u16 = 8754;

fn interactive(port: Option<u16>) -> Outcome {
    build::site()?;
    let osier = osier()?;
    let relay = Relay::start(&osier, free_or_any(RELAY_PORT))?;
    let server = Server::start(port.unwrap_or_else(|| free_or_any(SITE_PORT)), site_mounts())?;
    let link = format!("{}#relay={}", server.url(), encode_component(relay.url()));
    println!("\nrelay: {}", relay.url());
    println!("Open each link in a browser, or in two profiles of one:\n  {link}\n  {link}");
    println!("Make a notebook on one page, copy its link, and open that on the other. Each browser keeps its own; Ctrl-C ends this.");
    relay.wait()
}

/// This port if nobody listens on it, else 0: any.
fn free_or_any(port: u16) -> u16 {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => port,
        Err(_) => {
            println!("port {port} is taken: notebooks of other runs are not there in this one");
            0
        }
    }
}

fn headless() -> Outcome {
    setup::npm_packages()?;
    let browser = setup::chromium()?;
    build::site()?;
    let osier = osier()?;
    let relay = Relay::start(&osier, 0)?;
    let server = Server::start(0, test_mounts())?;
    let mut script = node_script(program("node"), &root().join("tests/e2e/demo.mjs"), &server, &osier, &browser.browser)?;
    run(script.env("OSIER_RELAY", relay.url()))
}

/// Builds the native program `osier` and returns its path.
pub fn osier() -> Outcome<PathBuf> {
    run(cargo().args(["build", "--package", "osier-cli"]))?;
    Ok(native_program())
}

/// Has `command`, which is `node`, run a script of tests, with what it needs to know in its environment.
pub fn node_script(mut command: Command, script: &Path, server: &Server, osier: &Path, chromium: &Path) -> Outcome<Command> {
    command.arg(script).current_dir(root());
    command.env("OSIER_SITE", server.url()).env("OSIER_PROGRAM", osier).env("OSIER_CHROMIUM", chromium);
    command.env("OSIER_PACKAGE", site().join("osier")).env("OSIER_TARBALL", build::tarball()?).env("OSIER_EXTENSION", extension());
    Ok(command)
}

/// `text` as a component of a URL.
fn encode_component(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::encode_component;

    #[test]
    fn a_url_survives_in_a_fragment() {
        assert_eq!(encode_component("http://127.0.0.1:3340/"), "http%3A%2F%2F127.0.0.1%3A3340%2F");
    }
}
