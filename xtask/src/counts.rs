//! How many tests ran, read from what each test runner prints.

use std::ops::AddAssign;

/// Tests that passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed, and steps that could not run at all.
    pub failed: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl Counts {
    /// One passed or failed test.
    pub fn one(passed: bool) -> Self {
        Self { passed: u64::from(passed), failed: u64::from(!passed) }
    }

    /// Sums the lines `test result: ok. 3 passed; 0 failed; …` of libtest and wasm-bindgen-test.
    pub fn of_libtest(output: &str) -> Self {
        let mut counts = Self::default();
        for line in output.lines().filter(|line| line.trim_start().starts_with("test result:")) {
            counts += Self { passed: number_before(line, " passed"), failed: number_before(line, " failed") };
        }
        counts
    }

    /// Reads the closing lines `# pass 3` and `# fail 0` of Node's TAP reporter.
    pub fn of_tap(output: &str) -> Self {
        let number = |name: &str| output.lines().rev().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or(0);
        Self { passed: number("# pass "), failed: number("# fail ") + number("# cancelled ") }
    }

    /// The counts with at least one failure if the runner itself reported one: a crash, a compile error, an unhandled rejection.
    pub fn with_exit(self, success: bool) -> Self {
        if success { self } else { Self { failed: self.failed.max(1), ..self } }
    }

    /// Whether nothing ran.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

fn number_before(line: &str, word: &str) -> u64 {
    let before = line.split(word).next().unwrap_or_default();
    before.rsplit(' ').next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn libtest_results_are_summed() {
        let output = "\nrunning 2 tests\ntest a ... ok\ntest result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
                      test result: FAILED. 10 passed; 3 failed; 0 ignored; 0 measured; 5 filtered out; finished in 0.00s\n";
        assert_eq!(Counts::of_libtest(output), Counts { passed: 12, failed: 3 });
        assert!(Counts::of_libtest("no tests to run!").is_empty());
    }

    #[test]
    fn the_summary_of_tap_is_read() {
        let output = "TAP version 13\n# Subtest: # pass 9\nok 1 - x\n1..1\n# tests 4\n# pass 3\n# fail 0\n# cancelled 1\n# skipped 0\n";
        assert_eq!(Counts::of_tap(output), Counts { passed: 3, failed: 1 });
    }

    #[test]
    fn a_runner_that_failed_counts_even_without_a_failed_test() {
        assert_eq!(Counts { passed: 5, failed: 0 }.with_exit(false), Counts { passed: 5, failed: 1 });
        assert_eq!(Counts { passed: 5, failed: 2 }.with_exit(false), Counts { passed: 5, failed: 2 });
        assert_eq!(Counts { passed: 5, failed: 0 }.with_exit(true), Counts { passed: 5, failed: 0 });
    }
}
