//! The number that KRA expects next from a branch, as far as look-ups tell.
//!
//! KRA has no call for it. It takes a branch's numbers without gaps, so the number is the first that
//! look-ups show nothing under.

use std::time::Duration;

use risiti_domain::Dialect;
use risiti_etims::{Client, DeviceProfile, LookUpOutcome};
use tokio::time::timeout;

/// The longest wait for all look-ups together. A person waits for them.
const ASK_MAX: Duration = Duration::from_secs(15);
/// Numbers above are not asked for, which bounds the look-ups to about sixty.
const NUMBER_MAX: i64 = 1 << 30;

/// What KRA's look-ups say about the next number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Number(i64),
    /// Nobody could be asked, or the answers do not tell.
    Unknown(String),
}

/// Asks KRA for the number that follows what the branch has filed, from the number that was given.
pub(crate) async fn ask(client: &Client, profile: &DeviceProfile, given: i64) -> Expected {
    if profile.dialect == Dialect::Vscu {
        return Expected::Unknown("a VSCU cannot be asked".to_owned());
    }
    if profile.cmc_key.is_none() {
        return Expected::Unknown("KRA answers only with a cmcKey".to_owned());
    }
    let shows = async |number| shows(client, profile, number).await;
    match timeout(ASK_MAX, search(shows, given)).await {
        Ok(Ok(expected)) => expected,
        Ok(Err(why)) => Expected::Unknown(why),
        Err(_) => Expected::Unknown(format!(
            "KRA took longer than {} s to answer",
            ASK_MAX.as_secs()
        )),
    }
}

/// Whether KRA shows a sale under a number.
async fn shows(client: &Client, profile: &DeviceProfile, number: i64) -> Result<bool, String> {
    match client.look_up(profile, number).await {
        LookUpOutcome::Found(_) => Ok(true),
        LookUpOutcome::Absent(_) => Ok(false),
        LookUpOutcome::Unsupported => Err("it cannot be asked".to_owned()),
        LookUpOutcome::NoAnswer(answer) | LookUpOutcome::Halt { answer, .. } => {
            Err(answer.to_string())
        }
    }
}

/// Searches the first number under which nothing is shown: away from the given one in steps that
/// double, then between the last two.
async fn search(
    shows: impl AsyncFn(i64) -> Result<bool, String>,
    given: i64,
) -> Result<Expected, String> {
    let given = given.min(NUMBER_MAX);
    let (mut filed, mut free) = if shows(given).await? {
        let mut filed = given;
        let mut step = 1;
        loop {
            let number = filed + step;
            if number > NUMBER_MAX {
                return Ok(Expected::Unknown(format!("it is above {NUMBER_MAX}")));
            }
            if !shows(number).await? {
                break (filed, number);
            }
            filed = number;
            step *= 2;
        }
    } else {
        let mut free = given;
        let mut step = 1;
        loop {
            let number = free - step;
            if number < 1 {
                break (0, free);
            }
            if shows(number).await? {
                break (number, free);
            }
            free = number;
            step *= 2;
        }
    };
    while free - filed > 1 {
        let middle = filed + (free - filed) / 2;
        if shows(middle).await? {
            filed = middle;
        } else {
            free = middle;
        }
    }
    // Nobody knows for how long look-ups show a sale, so that no sale at all proves nothing about a
    // branch that is said to have filed before.
    if filed == 0 && given > 1 {
        return Ok(Expected::Unknown(
            "KRA shows no sale of this branch".to_owned(),
        ));
    }
    Ok(Expected::Number(free))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// The result for a branch that has filed so many numbers, and how many look-ups it took.
    async fn searched(filed: i64, given: i64) -> (Expected, u32) {
        let asked = Cell::new(0);
        let shows = async |number: i64| {
            asked.set(asked.get() + 1);
            Ok((1..=filed).contains(&number))
        };
        (search(shows, given).await.unwrap(), asked.get())
    }

    #[tokio::test]
    async fn number_is_found_from_any_given_one() {
        for filed in [1, 2, 7, 411, 412, 100_000] {
            for given in [1, 2, 3, 410, 411, 412, 413, 100_001, 2_000_000] {
                let (expected, _) = searched(filed, given).await;
                assert_eq!(
                    expected,
                    Expected::Number(filed + 1),
                    "{filed} filed, {given} given"
                );
            }
        }
    }

    #[tokio::test]
    async fn right_number_takes_two_look_ups_and_any_about_sixty() {
        assert_eq!(searched(411, 412).await, (Expected::Number(412), 2));
        assert_eq!(searched(0, 1).await, (Expected::Number(1), 1));
        let (_, asked) = searched(1, NUMBER_MAX).await;
        assert!(asked <= 62, "{asked}");
        let (expected, asked) = searched(i64::MAX, 1).await;
        assert!(
            matches!(expected, Expected::Unknown(_)) && asked <= 62,
            "{asked}"
        );
    }

    #[tokio::test]
    async fn branch_without_any_sale_is_unknown_above_one() {
        let (expected, _) = searched(0, 412).await;
        assert!(matches!(expected, Expected::Unknown(_)), "{expected:?}");
    }

    #[tokio::test]
    async fn silence_of_kra_ends_the_search() {
        let silent = async |_| Err("no answer".to_owned());
        assert_eq!(search(silent, 412).await, Err("no answer".to_owned()));
    }
}
