//! Running other programs: to the end, for their output, or beside us.

use std::error::Error;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// The result of a step. An error is one sentence for the person at the terminal.
pub type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// A command that runs `program` as from a shell. `cargo run` tells us about our own package in the environment; a build
/// script of a dependency that looks at these variables would see a change, and cargo would build everything above it again.
pub fn program(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs `command` to its end, its output on ours.
pub fn run(command: &mut Command) -> Outcome {
    let status = command.status().map_err(|error| cannot_start(command, &error))?;
    if status.success() { Ok(()) } else { Err(format!("{} failed ({status})", describe(command)).into()) }
}

/// Runs `command` to its end and returns what it wrote to stdout.
pub fn capture(command: &mut Command) -> Outcome<String> {
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| cannot_start(command, &error))?;
    if !output.status.success() {
        return Err(format!("{} failed ({})", describe(command), output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Runs `command` to its end with its stdout shown and returned, and whether it succeeded.
pub fn run_and_read(command: &mut Command) -> Outcome<(String, bool)> {
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|error| cannot_start(command, &error))?;
    let text = child.stdout.take().map(|stdout| shown(stdout, std::io::stdout())).transpose()?;
    Ok((text.unwrap_or_default(), child.wait()?.success()))
}

/// Runs `command` to its end with its stderr shown and returned, and whether it succeeded.
pub fn run_and_read_errors(command: &mut Command) -> Outcome<(String, bool)> {
    let mut child = command.stderr(Stdio::piped()).spawn().map_err(|error| cannot_start(command, &error))?;
    let text = child.stderr.take().map(|stderr| shown(stderr, std::io::stderr())).transpose()?;
    Ok((text.unwrap_or_default(), child.wait()?.success()))
}

/// What comes from `stream`, to its end; each line is written to `screen` as it comes.
fn shown(stream: impl Read, mut screen: impl Write) -> Outcome<String> {
    let mut text = String::new();
    for line in BufReader::new(stream).split(b'\n') {
        let mut line = line?;
        line.push(b'\n');
        screen.write_all(&line)?;
        text.push_str(&String::from_utf8_lossy(&line));
    }
    Ok(text)
}

/// A program that runs beside us and is ended with this value.
pub struct Background {
    child: Child,
    name: String,
    stdout: BufReader<ChildStdout>,
}

impl Background {
    /// Starts `command` with pipes for its stdin and stdout.
    pub fn start(command: &mut Command) -> Outcome<Self> {
        let name = describe(command);
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| cannot_start(command, &error))?;
        let Some(stdout) = child.stdout.take() else { return Err(format!("{name} has no stdout").into()) };
        Ok(Self { child, name, stdout: BufReader::new(stdout) })
    }

    /// The next line it writes to stdout. An error if it ends instead.
    pub fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        if self.stdout.read_line(&mut line)? == 0 {
            return Err(format!("{} ended early ({})", self.name, self.child.wait()?).into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// Waits until it ends by itself, which is a failure.
    pub fn wait(mut self) -> Outcome {
        loop {
            self.line()?;
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // It may have ended already: then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first of `names` that is a program on `PATH`.
pub fn find_program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file()))
}

/// `PATH` with `folder` in front.
pub fn path_with(folder: &Path) -> Outcome<std::ffi::OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    Ok(std::env::join_paths(std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path)))?)
}

fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args()).map(OsStr::to_string_lossy);
    let mut text = String::from("`");
    for (index, word) in words.enumerate() {
        if index > 0 {
            text.push(' ');
        }
        text.push_str(&word);
    }
    text.push('`');
    text
}

fn cannot_start(command: &Command, error: &std::io::Error) -> String {
    format!("cannot start {}: {error}", describe(command))
}
