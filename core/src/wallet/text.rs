//! Tickets and secrets as text: a word, a version, base64url of the content and a checksum.
//!
//! `word ‖ version ‖ "-" ‖ base64url(content ‖ first 4 bytes of BLAKE3(word ‖ version ‖ content))`, without padding. It
//! survives being part of a URL. Knows nothing of what the content means.

use std::fmt;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const CHECKSUM: usize = 4;

/// What is wrong with a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TextError {
    /// It does not start with the word.
    OtherWord,
    /// It is of this version.
    UnsupportedVersion(u32),
    /// A character that is no base64url, or a length that no base64url has, or too long.
    Malformed,
    /// It was changed or cut.
    Checksum,
}

/// The text for `content`.
pub fn encode(word: &str, version: u32, content: &[u8]) -> String {
    let mut bytes = content.to_vec();
    bytes.extend_from_slice(&checksum(word, version, content));
    let mut text = format!("{word}{version}-");
    text.reserve(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..=group.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * place) & 63) as usize]));
        }
    }
    text
}

/// The content of a text; white space around it does not matter. Allocates less than the text is long.
pub fn decode(word: &str, version: u32, text: &str, max_len: usize) -> Result<Vec<u8>, TextError> {
    let text = text.trim();
    let rest = text.strip_prefix(word).ok_or(TextError::OtherWord)?;
    let (found, body) = rest.split_once('-').ok_or(TextError::Malformed)?;
    if found.is_empty() || !found.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(TextError::OtherWord);
    }
    match found.parse() {
        Ok(found) if found == version => {}
        other => return Err(TextError::UnsupportedVersion(other.unwrap_or(u32::MAX))),
    }
    if body.len() > max_len {
        return Err(TextError::Malformed);
    }
    let mut bytes = decode_base64(body.as_bytes()).ok_or(TextError::Malformed)?;
    let content = bytes.len().checked_sub(CHECKSUM).ok_or(TextError::Checksum)?;
    let sum = bytes.split_off(content);
    if sum == checksum(word, version, &bytes) { Ok(bytes) } else { Err(TextError::Checksum) }
}

fn checksum(word: &str, version: u32, content: &[u8]) -> [u8; CHECKSUM] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(word.as_bytes()).update(&version.to_be_bytes()).update(content);
    let [a, b, c, d, ..] = *hasher.finalize().as_bytes();
    [a, b, c, d]
}

/// Canonic base64url: unused bits are zero.
fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 3);
    for group in text.chunks(4) {
        let mut bits = 0;
        for digit in group {
            bits = bits << 6 | value(*digit)?;
        }
        let [_, all @ ..] = (bits << (6 * (4 - group.len()))).to_be_bytes();
        let (used, unused) = all.split_at(group.len() - 1);
        if used.is_empty() || unused.iter().any(|byte| *byte != 0) {
            return None;
        }
        bytes.extend_from_slice(used);
    }
    Some(bytes)
}

fn value(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

/// 32 bytes as 64 hexadecimal digits.
pub struct Hex<'a>(pub &'a [u8; 32]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
