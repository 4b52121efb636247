//! Versions are pinned in one place, Cargo.lock, and read from there.

use crate::process::Outcome;
use crate::workspace::root;

/// The version of `package` in Cargo.lock.
pub fn version_of(package: &str) -> Outcome<String> {
    let text = std::fs::read_to_string(root().join("Cargo.lock"))?;
    find_version(&text, package).map(str::to_owned).ok_or_else(|| format!("Cargo.lock names no version of {package}").into())
}

fn find_version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name);
    lines.nth(1)?.strip_prefix("version = \"")?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::find_version;

    const LOCK: &str =
        "[[package]]\nname = \"wasm-bindgen-macro\"\nversion = \"9.9.9\"\n\n[[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\n";

    #[test]
    fn the_version_is_that_of_the_exact_package() {
        assert_eq!(find_version(LOCK, "wasm-bindgen"), Some("0.2.130"));
        assert_eq!(find_version(LOCK, "wasm"), None);
    }
}
