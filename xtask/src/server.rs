//! A static file server on loopback: enough HTTP for a browser to load a site, and nothing that is not below its folders.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::process::Outcome;

/// A folder that is served below a path.
#[derive(Clone)]
pub struct Mount {
    /// Where it appears, with slashes at both ends.
    pub path: &'static str,
    /// What is served.
    pub folder: PathBuf,
}

/// A server that runs until the process ends.
pub struct Server {
    address: SocketAddr,
}

/// The longest request head that is read.
const MAX_HEAD: u64 = 16 * 1024;

impl Server {
    /// Listens on `port` of loopback, 0 for any. The first mount whose path matches a request answers it.
    pub fn start(port: u16, mounts: Vec<Mount>) -> Outcome<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| format!("cannot listen on port {port}: {error}"))?;
        let address = listener.local_addr()?;
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mounts = mounts.clone();
                // A browser that hangs up in the middle is its own business.
                thread::spawn(move || answer(&stream, &mounts).ok());
            }
        });
        Ok(Self { address })
    }

    /// The URL of the root, with a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

/// A response: status line, type of the content, content.
struct Response {
    status: &'static str,
    content_type: &'static str,
    body: Vec<u8>,
}

impl Response {
    fn error(status: &'static str) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: format!("{status}\n").into_bytes() }
    }
}

fn answer(stream: &TcpStream, mounts: &[Mount]) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut head = BufReader::new(stream.take(MAX_HEAD)).lines();
    let request = head.next().unwrap_or_else(|| Ok(String::new()))?;
    while head.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let (response, with_body) = respond(&request, mounts);
    write_response(stream, &response, with_body)
}

/// The response to a request line, and whether its body is sent.
fn respond(request: &str, mounts: &[Mount]) -> (Response, bool) {
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if method != "GET" && method != "HEAD" {
        return (Response::error("405 Method Not Allowed"), true);
    }
    let response = match locate(path, mounts) {
        Some(file) => match fs::read(&file) {
            Ok(body) => Response { status: "200 OK", content_type: content_type(&file), body },
            Err(_) => Response::error("404 Not Found"),
        },
        None => Response::error("404 Not Found"),
    };
    (response, method == "GET")
}

fn write_response(mut stream: &TcpStream, response: &Response, with_body: bool) -> std::io::Result<()> {
    let Response { status, content_type, body } = response;
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    if with_body { stream.write_all(body) } else { Ok(()) }
}

/// The file that a request path means. `None` for what leads out of the folders.
fn locate(path: &str, mounts: &[Mount]) -> Option<PathBuf> {
    let path = path.split(['?', '#']).next()?;
    let mount = mounts.iter().find(|mount| path.starts_with(mount.path))?;
    let mut file = mount.folder.clone();
    for segment in path[mount.path.len()..].split('/') {
        let segment = percent_decode(segment)?;
        match segment.as_str() {
            "" => {}
            "." | ".." => return None,
            name if name.contains(['/', '\\', '\0']) => return None,
            name => file.push(name),
        }
    }
    if file.is_dir() {
        file.push("index.html");
    }
    Some(file)
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

/// The type by the file's extension. Browsers compile wasm while it arrives only under its own type.
fn content_type(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()).unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "ts" | "md" | "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests;
