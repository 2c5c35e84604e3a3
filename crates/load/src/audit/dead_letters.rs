//! Checks the dead letters, and the answers to forged and malformed requests.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::breach::{Breaches, Law};
use super::storm_record::{REQUEST_TIMEOUT, StormRecord};
use crate::admin;

/// One line of `risiti-replay list --json`.
#[derive(Deserialize, Debug)]
pub(crate) struct DeadLetter {
    pub(crate) dead_letter_id: String,
    pub(crate) merchant: Option<String>,
    pub(crate) cause: String,
}

pub(crate) async fn list(replay: &Path) -> anyhow::Result<Vec<DeadLetter>> {
    let printed = admin::run(replay, &["list", "--limit", "1000000"], &[]).await?;
    printed
        .into_iter()
        .map(|line| Ok(serde_json::from_value(line)?))
        .collect()
}

/// How many unreadable webhooks of a merchant must be kept, and how many may be.
#[derive(Default)]
struct KeptBounds {
    least: usize,
    most: usize,
}

/// `dead_letters` is none where `risiti-replay` was not given. Only the answers are checked then.
pub(crate) fn check(
    storm: &StormRecord,
    dead_letters: Option<&[DeadLetter]>,
    breaches: &mut Breaches,
) {
    let mut kept: BTreeMap<&str, KeptBounds> = BTreeMap::new();
    for sent in &storm.strays {
        let stray = &sent.stray;
        for status in sent.answers.iter().flatten() {
            // An ingress in trouble may answer these before it looks at the request.
            if *status != stray.status && ![503, REQUEST_TIMEOUT].contains(status) {
                let what = format!("{} was answered {status}, not {}", stray.what, stray.status);
                breaches.wrong(Law::Refused, format!("request {}", stray.number), what);
            }
        }
        if stray.kept {
            let bounds = kept.entry(&stray.merchant).or_default();
            bounds.least += usize::from(sent.answers.contains(&Some(422)));
            bounds.most += 1;
        }
    }

    let Some(dead_letters) = dead_letters else {
        return;
    };
    for letter in dead_letters {
        if letter.cause == "poison" {
            let what = "is a message that could not be recorded";
            breaches.wrong(Law::Kept, &letter.dead_letter_id, what);
        }
    }
    for (merchant, bounds) in kept {
        check_unreadable(merchant, &bounds, dead_letters, breaches);
    }
}

fn check_unreadable(
    merchant: &str,
    bounds: &KeptBounds,
    dead_letters: &[DeadLetter],
    breaches: &mut Breaches,
) {
    let KeptBounds { least, most } = *bounds;
    let unreadable = dead_letters
        .iter()
        .filter(|letter| {
            letter.cause == "unreadable" && letter.merchant.as_deref() == Some(merchant)
        })
        .count();

    if unreadable < least {
        let what = format!("{unreadable} unreadable webhooks are kept of {least}");
        breaches.lost(Law::Refused, merchant, what);
    } else if unreadable > most {
        let what = format!("{unreadable} dead letters for {most} unreadable webhooks");
        breaches.doubled(Law::Refused, merchant, what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::storm_record::SentStray;
    use crate::traffic::message::Provider;
    use crate::traffic::stray_request::Stray;

    fn stray(status: u16, answers: &[Option<u16>]) -> SentStray {
        let stray = Stray {
            number: 9,
            merchant: "duka".to_owned(),
            provider: Provider::Daraja,
            what: "a stray".to_owned(),
            status,
            kept: status == 422,
        };
        SentStray {
            stray,
            answers: answers.to_vec(),
        }
    }

    fn breaches(strays: Vec<SentStray>, dead_letters: usize) -> Vec<String> {
        let dead_letters: Vec<DeadLetter> = (0..dead_letters)
            .map(|at| DeadLetter {
                dead_letter_id: at.to_string(),
                merchant: Some("duka".to_owned()),
                cause: "unreadable".to_owned(),
            })
            .collect();
        let storm = StormRecord {
            strays,
            ..StormRecord::default()
        };
        let mut breaches = Breaches::default();
        check(&storm, Some(&dead_letters), &mut breaches);
        breaches.0.into_iter().map(|breach| breach.what).collect()
    }

    #[test]
    fn wrong_answer_to_a_forged_request_is_a_breach() {
        assert!(breaches(vec![stray(401, &[Some(401), Some(503), None])], 0).is_empty());
        assert_eq!(
            breaches(vec![stray(401, &[Some(200)])], 0),
            ["a stray was answered 200, not 401"]
        );
    }

    #[test]
    fn unreadable_body_is_kept_once() {
        let twice = || vec![stray(422, &[Some(422), Some(422)]), stray(422, &[None])];
        assert_eq!(
            breaches(twice(), 0),
            ["0 unreadable webhooks are kept of 1"]
        );
        assert!(breaches(twice(), 1).is_empty());
        assert!(breaches(twice(), 2).is_empty());
        assert_eq!(
            breaches(twice(), 3),
            ["3 dead letters for 2 unreadable webhooks"]
        );
    }
}
