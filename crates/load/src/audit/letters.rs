//! The dead letters, and what became of forged and malformed requests.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::book::{Book, FOUND_LATE};
use super::breach::{Breaches, Law};
use crate::admin;

/// One line of `risiti-replay list --json`.
#[derive(Deserialize, Debug)]
pub(crate) struct Letter {
    pub(crate) dead_letter_id: String,
    pub(crate) merchant: Option<String>,
    pub(crate) cause: String,
}

pub(crate) async fn list(replay: &Path) -> anyhow::Result<Vec<Letter>> {
    let printed = admin::run(replay, &["list", "--limit", "1000000"], &[]).await?;
    printed
        .into_iter()
        .map(|letter| Ok(serde_json::from_value(letter)?))
        .collect()
}

/// Refused as they should be; authentic ones kept once each. `letters` is none where nobody could be asked.
pub(crate) fn check(book: &Book, letters: Option<&[Letter]>, breaches: &mut Breaches) {
    // Of each merchant: kept for certain, and at most.
    let mut kept: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for told in &book.strays {
        let stray = &told.stray;
        for status in told.answers.iter().flatten() {
            // Our own trouble may come first.
            if *status != stray.status && ![503, FOUND_LATE].contains(status) {
                let what = format!("{} was answered {status}, not {}", stray.what, stray.status);
                breaches.wrong(Law::Refused, format!("request {}", stray.story), what);
            }
        }
        if stray.kept {
            let (least, most) = kept.entry(&stray.merchant).or_default();
            *least += usize::from(told.answers.contains(&Some(422)));
            *most += 1;
        }
    }
    let Some(letters) = letters else { return };
    for letter in letters.iter().filter(|letter| letter.cause == "poison") {
        breaches.wrong(
            Law::Kept,
            &letter.dead_letter_id,
            "is a message that could not be recorded",
        );
    }
    for (merchant, (least, most)) in kept {
        let unreadable = letters
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
}

#[cfg(test)]
mod tests {
    use super::super::book::StrayTold;
    use super::*;
    use crate::message::Provider;
    use crate::noise::Stray;

    fn stray(status: u16, answers: &[Option<u16>]) -> StrayTold {
        let stray = Stray {
            story: 9,
            merchant: "duka".to_owned(),
            provider: Provider::Daraja,
            what: "noise".to_owned(),
            status,
            kept: status == 422,
        };
        StrayTold {
            stray,
            answers: answers.to_vec(),
        }
    }

    fn breaches(strays: Vec<StrayTold>, letters: usize) -> Vec<String> {
        let letter = |at: usize| Letter {
            dead_letter_id: at.to_string(),
            merchant: Some("duka".to_owned()),
            cause: "unreadable".to_owned(),
        };
        let letters: Vec<Letter> = (0..letters).map(letter).collect();
        let mut breaches = Breaches::default();
        check(
            &Book {
                strays,
                ..Book::default()
            },
            Some(&letters),
            &mut breaches,
        );
        breaches.0.into_iter().map(|breach| breach.what).collect()
    }

    #[test]
    fn refusals_are_what_they_should_be() {
        assert!(breaches(vec![stray(401, &[Some(401), Some(503), None])], 0).is_empty());
        assert_eq!(
            breaches(vec![stray(401, &[Some(200)])], 0),
            ["noise was answered 200, not 401"]
        );
    }

    #[test]
    fn an_unreadable_body_is_kept_once() {
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
