//! Rust source as far as the layers check needs it: without comments and literals, and where it asks for the target.

/// The source with comments, strings and character literals blanked out, every line where it was. Inside attributes strings stay,
/// for `target_arch = "wasm32"`.
pub fn without_comments(text: &str) -> String {
    let mut scanner = Scanner { rest: text, out: String::with_capacity(text.len()) };
    while scanner.step() {}
    scanner.out
}

struct Scanner<'a> {
    rest: &'a str,
    out: String,
}

impl Scanner<'_> {
    /// Takes one thing from the source. False at its end.
    fn step(&mut self) -> bool {
        let Some(first) = self.rest.chars().next() else { return false };
        if self.rest.starts_with("//") {
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.blank(end);
        } else if self.rest.starts_with("/*") {
            self.blank(block_comment(self.rest));
        } else if let Some(end) = raw_string(self.rest).filter(|_| !self.inside_word()) {
            self.blank(end);
        } else if first == '"' {
            self.string();
        } else if let Some(end) = character(self.rest) {
            self.blank(end);
        } else {
            self.out.push(first);
            self.rest = &self.rest[first.len_utf8()..];
        }
        true
    }

    /// A string literal stays if it is the value of a `name = "value"`, as in a condition, which no path can hide in.
    fn string(&mut self) {
        let end = quoted(self.rest, '"');
        if self.out.trim_end().ends_with('=') {
            self.out.push_str(&self.rest[..end]);
            self.rest = &self.rest[end..];
        } else {
            self.blank(end);
        }
    }

    fn inside_word(&self) -> bool {
        self.out.ends_with(|last: char| last.is_alphanumeric() || last == '_')
    }

    /// Replaces the next `length` bytes by white space of the same lines.
    fn blank(&mut self, length: usize) {
        let (gone, rest) = self.rest.split_at(length);
        self.out.push(' ');
        self.out.extend(gone.chars().filter(|character| *character == '\n'));
        self.rest = rest;
    }
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of a raw string at the start of `text`.
fn raw_string(text: &str) -> Option<usize> {
    let body = text.strip_prefix('b').unwrap_or(text).strip_prefix('r')?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    let content = body[hashes..].strip_prefix('"')?;
    let closing = format!("\"{}", "#".repeat(hashes));
    let end = content.find(&closing).map_or(content.len(), |at| at + closing.len());
    Some(text.len() - content.len() + end)
}

/// The length of a literal that starts and ends with `quote`.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return at + quote.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// The length of a character literal at the start of `text`; `None` for a lifetime.
fn character(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('\'')?;
    let first = inner.chars().next()?;
    let is_literal = first == '\\' || inner[first.len_utf8()..].starts_with('\'');
    is_literal.then(|| quoted(text, '\''))
}

/// The lines (from 1) on which a condition on the target stands: `cfg`, `cfg!` or `cfg_attr` that names wasm or a target.
pub fn wasm_conditions(code: &str) -> Vec<usize> {
    let mut lines = Vec::new();
    for (start, _) in code.match_indices("cfg") {
        let before = code[..start].chars().next_back();
        let after = code[start..].trim_start_matches("cfg").trim_start_matches("_attr").trim_start_matches('!');
        if before.is_some_and(|character| character.is_alphanumeric() || character == '_') || !after.starts_with('(') {
            continue;
        }
        let condition = parenthesised(after);
        if ["wasm", "target_arch", "target_family", "target_os"].iter().any(|name| condition.contains(name)) {
            lines.push(code[..start].matches('\n').count() + 1);
        }
    }
    lines
}

fn parenthesised(text: &str) -> &str {
    let mut depth = 0_usize;
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[..=at];
        }
    }
    text
}

/// Whether an item is a module in a file of its own: `pub mod js;`, `pub(crate) mod web;`.
pub fn declares_module(item: &str) -> bool {
    let words: Vec<&str> = item.trim_end_matches(';').split_whitespace().collect();
    item.ends_with(';') && matches!(words.as_slice(), ["mod", _] | ["pub" | "pub(crate)" | "pub(super)", "mod", _])
}
