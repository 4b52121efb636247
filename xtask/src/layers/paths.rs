//! The paths that a file writes out, from the root of its crate: `use` trees unfolded, `super` and `self` resolved.

/// A path that a file names, and where.
#[derive(Debug, PartialEq, Eq)]
pub struct Reference {
    /// Line, from 1.
    pub line: usize,
    /// The names, not empty: `crate` or a crate's name first.
    pub path: Vec<String>,
}

/// Every path of the file, in `use` trees and in expressions. `module` is the file's own path from the root of the crate.
pub fn references(code: &str, module: &[&str]) -> Vec<Reference> {
    let tokens = tokens(code);
    let mut references = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let starts_path = is_name(tokens[at].text) && (at == 0 || tokens[at - 1].text != "::" || !follows_name(&tokens, at - 1));
        let is_path = tokens.get(at + 1).is_some_and(|next| next.text == "::");
        let is_use = opens_with_use(&tokens, at);
        if starts_path && (is_path || is_use) {
            at = unfold(&tokens, at, &[], module, &mut references);
        } else {
            at += 1;
        }
    }
    references
}

struct Token<'a> {
    text: &'a str,
    line: usize,
}

fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (code, 1);
    while let Some(first) = rest.chars().next() {
        let length = if is_name_character(first) {
            rest.find(|character| !is_name_character(character)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        if first == '\n' {
            line += 1;
        }
        if !first.is_whitespace() {
            tokens.push(Token { text: &rest[..length], line });
        }
        rest = &rest[length..];
    }
    tokens
}

fn is_name_character(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Whether the `::` at `colons` goes on with a path, and does not start one from the root.
fn follows_name(tokens: &[Token<'_>], colons: usize) -> bool {
    colons > 0 && (is_name(tokens[colons - 1].text) || tokens[colons - 1].text == ">")
}

/// Whether the name at `at` follows `use`, `use ::` or `extern crate`.
fn opens_with_use(tokens: &[Token<'_>], at: usize) -> bool {
    let before = |distance: usize| at.checked_sub(distance).map_or("", |index| tokens[index].text);
    before(1) == "use" || (before(1) == "::" && before(2) == "use") || (before(1) == "crate" && before(2) == "extern")
}

/// Adds the path or tree of paths that starts at `at`, below `prefix`. Returns the index after it.
fn unfold(tokens: &[Token<'_>], mut at: usize, prefix: &[String], module: &[&str], found: &mut Vec<Reference>) -> usize {
    let mut path = prefix.to_vec();
    let line = tokens.get(at).map_or(0, |token| token.line);
    while let Some(token) = tokens.get(at) {
        match token.text {
            "{" => return unfold_group(tokens, at + 1, &path, module, found),
            name if is_name(name) => path.push(name.to_owned()),
            _ => break,
        }
        at += 1;
        if tokens.get(at).is_none_or(|next| next.text != "::") {
            break;
        }
        at += 1;
    }
    found.extend(resolve(&path, module).map(|path| Reference { line, path }));
    at
}

/// The branches of a `{…}` in a `use` tree.
fn unfold_group(tokens: &[Token<'_>], mut at: usize, prefix: &[String], module: &[&str], found: &mut Vec<Reference>) -> usize {
    while let Some(token) = tokens.get(at) {
        at = match token.text {
            "}" => return at + 1,
            name if is_name(name) && name != "as" => unfold(tokens, at, prefix, module, found),
            "{" => unfold_group(tokens, at + 1, prefix, module, found),
            _ => at + 1,
        };
    }
    at
}

/// The path from the root of the crate. A `super` in a module inside a file is taken for one of the file itself.
fn resolve(path: &[String], module: &[&str]) -> Option<Vec<String>> {
    let supers = path.iter().take_while(|name| *name == "super").count();
    let from_self = path.first().is_some_and(|name| name == "self");
    let resolved: Vec<String> = if supers > 0 || from_self {
        let above = &module[..module.len().saturating_sub(supers)];
        let below = path[supers..].iter().filter(|name| *name != "self").cloned();
        std::iter::once("crate".to_owned()).chain(above.iter().map(|name| (*name).to_owned())).chain(below).collect()
    } else {
        path.to_vec()
    };
    (!resolved.is_empty()).then_some(resolved)
}
