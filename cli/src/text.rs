//! How paths and keys look at the terminal and in JSON.

use std::fmt::Write as _;

use osier::node::{EntryInfo, NamespaceId, Path};
use serde_json::{Value, json};

use crate::failure::{Failure, Outcome};

/// Lowercase hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // writing to a String cannot fail
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |[high, low]: &[u8; 2]| u8::try_from(digit(*high)? * 16 + digit(*low)?).ok();
    rest.is_empty().then(|| pairs.iter().map(byte).collect())?
}

/// A space, in hex.
pub(crate) fn space_from_text(text: &str) -> Outcome<NamespaceId> {
    let bytes: Option<[u8; 32]> = unhex(text).and_then(|bytes| bytes.try_into().ok());
    let wrong = || Failure::new(format!("--space: expected 64 hexadecimal digits, got {text:?}"));
    bytes.map(|bytes| NamespaceId::from_bytes(&bytes)).ok_or_else(wrong)
}

/// Components as an array: text where it is UTF-8, else `{"hex": "…"}`.
pub(crate) fn path_to_json(path: &Path) -> Value {
    let component = |bytes: &[u8]| std::str::from_utf8(bytes).map_or_else(|_| json!({ "hex": hex(bytes) }), |text| json!(text));
    path.components().map(|part| component(part.as_bytes())).collect()
}

/// The way back.
pub(crate) fn path_from_json(value: &Value) -> Outcome<Path> {
    let wrong = || Failure::new("path: expected an array of strings and {\"hex\": …} objects");
    let component = |part: &Value| match part {
        Value::String(text) => Some(text.clone().into_bytes()),
        Value::Object(object) => object.get("hex").and_then(Value::as_str).and_then(unhex),
        _ => None,
    };
    let parts = value.as_array().ok_or_else(wrong)?.iter().map(component).collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
    path_of(&parts)
}

/// `notes/today` as a path. Slashes part components; empty components are left out.
pub(crate) fn path_from_text(text: &str) -> Outcome<Path> {
    path_of(&text.split('/').filter(|part| !part.is_empty()).map(|part| part.as_bytes().to_vec()).collect::<Vec<_>>())
}

fn path_of(parts: &[Vec<u8>]) -> Outcome<Path> {
    let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    Path::from_slices(&slices).map_err(|error| Failure::new(format!("path: {error}")))
}

/// A path for people; bytes that are no text are shown as hex.
pub(crate) fn path_to_text(path: &Path) -> String {
    let component = |bytes: &[u8]| std::str::from_utf8(bytes).map_or_else(|_| format!("0x{}", hex(bytes)), str::to_owned);
    path.components().map(|part| component(part.as_bytes())).collect::<Vec<_>>().join("/")
}

/// An entry as JSON. The timestamp is text: it does not fit a JavaScript number.
pub(crate) fn entry_to_json(entry: &EntryInfo) -> Value {
    json!({
        "subspace": hex(entry.subspace.as_bytes()),
        "path": path_to_json(&entry.path),
        "timestamp": entry.timestamp.to_string(),
        "payload_length": entry.payload_length,
        "payload_digest": hex(&entry.payload_digest),
        "available": entry.available,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_survive_json_also_where_they_are_no_text() {
        let path = Path::from_slices(&[b"notes".as_slice(), b"", b"\xff\x00", "é".as_bytes()]).unwrap();
        let json = path_to_json(&path);
        assert_eq!(json, json!(["notes", "", { "hex": "ff00" }, "é"]));
        assert_eq!(path_from_json(&json).unwrap(), path);
        assert_eq!(path_to_text(&path), "notes//0xff00/é");
    }

    #[test]
    fn what_is_no_path_is_refused_in_words() {
        for bad in [json!("notes"), json!([1]), json!([{ "hex": "f" }]), json!([{ "hex": "zz" }]), json!([{}]), json!(["x".repeat(4097)])] {
            assert!(path_from_json(&bad).unwrap_err().to_string().starts_with("path: "), "{bad}");
        }
    }

    #[test]
    fn slashes_part_components() {
        assert_eq!(path_from_text("/notes//today/").unwrap(), Path::from_slices(&[b"notes".as_slice(), b"today"]).unwrap());
        assert_eq!(path_from_text("").unwrap(), Path::new());
    }
}
