#![allow(clippy::unwrap_used)]

use super::*;

fn mounts() -> Vec<Mount> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).to_owned();
    vec![Mount { path: "/code/", folder: folder.join("src") }, Mount { path: "/", folder }]
}

#[test]
fn the_first_matching_mount_answers() {
    let (root, code) = (locate("/Cargo.toml", &mounts()), locate("/code/server.rs?version=1", &mounts()));
    assert!(root.unwrap().ends_with("xtask/Cargo.toml"));
    assert!(code.unwrap().ends_with("xtask/src/server.rs"));
}

#[test]
fn nothing_outside_the_folders_is_served() {
    for path in
        ["/../Cargo.toml", "/code/%2e%2e/Cargo.toml", "/code/..%2fCargo.toml", "/%2fetc/passwd", "/a%00b", "/%zz", "/%2", "Cargo.toml", ""]
    {
        assert_eq!(locate(path, &mounts()), None, "{path}");
    }
}

#[test]
fn only_reading_is_allowed() {
    assert_eq!(respond("POST /Cargo.toml HTTP/1.1", &mounts()).0.status, "405 Method Not Allowed");
    assert_eq!(respond("GET /absent HTTP/1.1", &mounts()).0.status, "404 Not Found");
    let (response, with_body) = respond("HEAD /Cargo.toml HTTP/1.1", &mounts());
    assert_eq!((response.status, with_body), ("200 OK", false));
}

#[test]
fn a_request_over_the_wire_is_answered() {
    let server = Server::start(0, mounts()).unwrap();
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(b"GET /Cargo.toml HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with(&fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap()), "{answer}");
}

#[test]
fn wasm_has_its_own_type() {
    assert_eq!(content_type(Path::new("osier.wasm")), "application/wasm");
}
