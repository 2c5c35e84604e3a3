//! What is tested with bad input, and how many cases it gets.

use proptest::test_runner::{Config, FileFailurePersistence};

/// One property over one kind of input.
#[derive(Debug)]
pub struct Target {
    pub name: &'static str,
    /// The number of cases in an ordinary run.
    pub in_ci: u32,
    /// The share of the cases in a long run. It is small where a case takes an exchange over a
    /// socket.
    pub per_thousand: u32,
}

const fn target(name: &'static str, in_ci: u32, per_thousand: u32) -> Target {
    Target {
        name,
        in_ci,
        per_thousand,
    }
}

pub const TARGETS: &[Target] = &[
    target("webhook-json", 2_000, 396),
    target("webhook-form", 1_000, 120),
    target("webhook-bytes", 1_000, 60),
    target("amounts", 2_000, 100),
    target("redaction", 1_000, 60),
    target("signature", 500, 40),
    target("envelope", 1_000, 40),
    target("sale-answers", 2_000, 120),
    target("look-up-answers", 1_000, 60),
    target("amqp-messages", 400, 2),
    target("http-framing", 150, 2),
];

/// The variable with the number of cases in a long run, over all targets.
const CASES: &str = "FUZZ_CASES";

impl Target {
    /// This target's part of all cases, which is at least one.
    fn share(&self, total: u64) -> u32 {
        u32::try_from(total * u64::from(self.per_thousand) / 1_000)
            .unwrap_or(u32::MAX)
            .max(1)
    }
}

/// The settings of the target with this name. It gets CI's number of cases, or its share of
/// `FUZZ_CASES` if that is set.
///
/// # Panics
/// If there is no such target, or the variable is not a number.
pub fn config(name: &str) -> Config {
    let target = TARGETS
        .iter()
        .find(|target| target.name == name)
        .unwrap_or_else(|| panic!("{name} is not in the list of targets"));
    let cases = match std::env::var(CASES) {
        Ok(total) => target.share(
            total
                .parse()
                .unwrap_or_else(|_| panic!("{CASES} is not a number: {total:?}")),
        ),
        Err(_) => target.in_ci,
    };
    eprintln!("{name}: {cases} cases");
    Config {
        cases,
        // The file goes beside the test's source, also if that is one file of several in a folder.
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource(
            "proptest-regressions",
        ))),
        max_shrink_iters: 20_000,
        ..Config::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_all_cases() {
        assert_eq!(
            TARGETS
                .iter()
                .map(|target| target.per_thousand)
                .sum::<u32>(),
            1_000
        );
        let cases: u32 = TARGETS.iter().map(|target| target.share(1_000_000)).sum();
        assert_eq!(cases, 1_000_000);
        assert!(TARGETS.iter().all(|target| target.share(10) >= 1));
    }

    #[test]
    fn ci_runs_at_least_ten_thousand_cases() {
        assert!(TARGETS.iter().map(|target| target.in_ci).sum::<u32>() >= 10_000);
    }

    #[test]
    #[should_panic(expected = "not in the list")]
    fn unlisted_target_panics() {
        config("nothing");
    }
}
