//! The browsers that run tests: how each is installed, and how programs are run that drive it.

use std::path::PathBuf;
use std::process::Command;

use crate::process::{Outcome, program};
use crate::setup::{self, Browser};

/// An engine that tests run in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Chromium.
    Chromium,
    /// Firefox.
    Firefox,
    /// WebKitGTK.
    WebKit,
}

/// All of them.
const ALL: &[Engine] = &[Engine::Chromium, Engine::Firefox, Engine::WebKit];

/// Those that tests run in when none are named.
pub const DEFAULT: &[Engine] = &[Engine::Chromium];

/// The variables by which the test runner of wasm-bindgen finds a driver: that of the engine is set, and no other, since it takes the first.
const DRIVERS: &[&str] = &["GECKODRIVER", "SAFARIDRIVER", "CHROMEDRIVER"];

impl Engine {
    /// Its name, as `--engines` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Firefox => "firefox",
            Self::WebKit => "webkit",
        }
    }

    /// The engines in the value of `--engines`.
    pub fn list(value: &str) -> Outcome<Vec<Self>> {
        if value == "all" {
            return Ok(ALL.to_vec());
        }
        let named = |name: &str| ALL.iter().copied().find(|engine| engine.name() == name);
        let unknown = |name: &str| format!("--engines takes `all`, or some of chromium,firefox,webkit, not `{name}`").into();
        value.split(',').map(|name| named(name).ok_or_else(|| unknown(name))).collect()
    }

    /// Its browser and driver, installed if need be.
    pub fn browser(self) -> Outcome<Browser> {
        match self {
            Self::Chromium => setup::chromium(),
            Self::Firefox => setup::firefox(),
            Self::WebKit => setup::webkit(),
        }
    }

    /// A command that runs `name`, which drives this engine.
    pub fn command(self, name: impl Into<PathBuf>) -> Outcome<Command> {
        let Browser { browser, driver } = self.browser()?;
        let mut command = match self {
            Self::Chromium | Self::Firefox => program(name.into()),
            // It has no headless mode, and its sandbox does not start inside of another, nor for root.
            Self::WebKit => {
                let mut command = program("xvfb-run");
                command.arg("--auto-servernum").arg(name.into()).env("WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS", "1");
                command
            }
        };
        for name in DRIVERS {
            command.env_remove(name);
        }
        let variable = match self {
            Self::Chromium => "CHROMEDRIVER",
            Self::Firefox => "GECKODRIVER",
            Self::WebKit => "SAFARIDRIVER",
        };
        command.env(variable, &driver).env("OSIER_ENGINE", self.name()).env("OSIER_DRIVER", driver).env("OSIER_BROWSER", browser);
        Ok(command)
    }
}

#[cfg(test)]
mod tests {
    use super::Engine;

    #[test]
    fn engines_are_named_one_by_one_or_all() {
        let list = |value| Engine::list(value).map_err(|error| error.to_string());
        assert_eq!(list("webkit,chromium"), Ok(vec![Engine::WebKit, Engine::Chromium]));
        assert_eq!(list("all").map(|engines| engines.len()), Ok(3));
        assert_eq!(list("lynx"), Err("--engines takes `all`, or some of chromium,firefox,webkit, not `lynx`".to_owned()));
        assert!(list("").is_err());
    }
}
