//! `cargo xtask serve`: the site on loopback.

use crate::build;
use crate::process::Outcome;
use crate::server::{Mount, Server};
use crate::workspace::{root, site};

/// `cargo xtask serve [--port N]`.
pub fn command(arguments: &[String]) -> Outcome {
    let port = port(arguments)?.unwrap_or(8080);
    build::site()?;
    let server = Server::start(port, site_mounts())?;
    println!("{}", server.url());
    loop {
        std::thread::park();
    }
}

/// The site alone.
pub fn site_mounts() -> Vec<Mount> {
    vec![Mount { path: "/", folder: site() }]
}

/// The site with the pages that tests drive.
pub fn test_mounts() -> Vec<Mount> {
    vec![Mount { path: "/e2e/", folder: root().join("tests/e2e/pages") }, Mount { path: "/", folder: site() }]
}

/// The value of `--port`, and nothing else.
pub fn port(arguments: &[String]) -> Outcome<Option<u16>> {
    match arguments {
        [] => Ok(None),
        [flag, number] if flag == "--port" => {
            number.parse().map(Some).map_err(|_| format!("--port takes a number up to 65535, not `{number}`").into())
        }
        _ => Err(format!("unknown arguments: {} (there is only --port N)", arguments.join(" ")).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::port;

    fn parsed(words: &[&str]) -> Result<Option<u16>, String> {
        port(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_port_is_the_only_option() {
        assert_eq!(parsed(&[]), Ok(None));
        assert_eq!(parsed(&["--port", "0"]), Ok(Some(0)));
        assert_eq!(parsed(&["--port", "70000"]), Err("--port takes a number up to 65535, not `70000`".to_owned()));
        assert!(parsed(&["--port"]).is_err() && parsed(&["--host", "1"]).is_err());
    }
}
