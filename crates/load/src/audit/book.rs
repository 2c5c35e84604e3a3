//! The record of a storm, added up: what was told, and how surely.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::noise::Stray;
use crate::record::{self, Line, Sent};
use crate::story::Expected;

#[derive(Default)]
pub(crate) struct Book {
    pub(crate) stories: Vec<Told>,
    pub(crate) strays: Vec<StrayTold>,
    pub(crate) requests: Requests,
}

pub(crate) struct Told {
    pub(crate) expected: Expected,
    /// Of each message.
    pub(crate) arrivals: Vec<Arrival>,
    /// Answers that no message of a payment may get.
    pub(crate) wrong_answers: Vec<u16>,
}

pub(crate) struct StrayTold {
    pub(crate) stray: Stray,
    pub(crate) answers: Vec<Option<u16>>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Arrival {
    Never,
    /// Sent, and nobody said that it arrived.
    Perhaps,
    /// Answered 200.
    Certain,
}

#[derive(Default, Serialize, Clone, Debug)]
pub(crate) struct Requests {
    pub(crate) sent: u64,
    pub(crate) accepted: u64,
    /// Of these, answered as duplicates at once.
    pub(crate) duplicates: u64,
    pub(crate) unavailable: u64,
    pub(crate) unanswered: u64,
    /// Forged or malformed, and refused.
    pub(crate) refused: u64,
    pub(crate) slowest_ms: u64,
    /// Of a storm by the clock: due and not sent, as too many were in flight.
    pub(crate) skipped: u64,
    /// Of a storm by the clock: sent more than a tenth of a second after they were due.
    pub(crate) late: u64,
}

const LATE_MS: u64 = 100;
/// An ingress that was frozen or starved finds that the body took too long, and says so; nothing was confirmed.
pub(crate) const FOUND_LATE: u16 = 408;

impl Book {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let mut book = Self::default();
        let (mut stories, mut strays) = (BTreeMap::new(), BTreeMap::new());
        record::read(path, |line| match line {
            Line::Payment(expected) => {
                stories.insert(expected.story, book.stories.len());
                let arrivals = vec![Arrival::Never; expected.messages.len()];
                book.stories.push(Told {
                    expected,
                    arrivals,
                    wrong_answers: Vec::new(),
                });
            }
            Line::Stray(stray) => {
                strays.insert(stray.story, book.strays.len());
                book.strays.push(StrayTold {
                    stray,
                    answers: Vec::new(),
                });
            }
            Line::Sent(sent) => {
                book.requests.add(&sent);
                if let Some(at) = stories.get(&sent.story) {
                    book.stories[*at].answered(&sent);
                } else if let Some(at) = strays.get(&sent.story) {
                    book.strays[*at].answers.push(sent.status);
                }
            }
            Line::Skipped(_) => book.requests.skipped += 1,
        })?;
        Ok(book)
    }

    /// Messages that must have left an event behind.
    pub(crate) fn certain(&self) -> usize {
        let arrivals = self.stories.iter().flat_map(|told| &told.arrivals);
        arrivals
            .filter(|arrival| **arrival == Arrival::Certain)
            .count()
    }

    /// Messages that were sent and never confirmed: as a gateway that calls once loses them.
    pub(crate) fn unconfirmed(&self) -> usize {
        let arrivals = self.stories.iter().flat_map(|told| &told.arrivals);
        arrivals
            .filter(|arrival| **arrival == Arrival::Perhaps)
            .count()
    }
}

impl Told {
    fn answered(&mut self, sent: &Sent) {
        let arrival = match sent.status {
            Some(200) => Arrival::Certain,
            None | Some(503 | FOUND_LATE) => Arrival::Perhaps,
            Some(other) => {
                self.wrong_answers.push(other);
                Arrival::Perhaps
            }
        };
        if let Some(known) = self.arrivals.get_mut(sent.message) {
            *known = arrival.max(*known);
        }
    }
}

impl Requests {
    fn add(&mut self, sent: &Sent) {
        self.sent += 1;
        match sent.status {
            Some(200) => self.accepted += 1,
            Some(503 | FOUND_LATE) => self.unavailable += 1,
            Some(_) => self.refused += 1,
            None => self.unanswered += 1,
        }
        self.duplicates += u64::from(sent.duplicate);
        self.late += u64::from(sent.due_ms.is_some_and(|due| sent.at_ms > due + LATE_MS));
        self.slowest_ms = self.slowest_ms.max(sent.ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::tests::sample;
    use crate::record::Skipped;
    use crate::record::tests::sent;
    use crate::story::Teller;
    use std::io::Write as _;

    #[test]
    fn one_good_answer_makes_a_message_certain() {
        let fleet = sample();
        let teller = Teller {
            fleet: &fleet,
            seed: 1,
            now: "2026-11-23T12:00:00Z".parse().unwrap(),
        };
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut line =
            |line: &Line| writeln!(file, "{}", serde_json::to_string(line).unwrap()).unwrap();
        for story in 0..4 {
            line(&Line::Payment(teller.story(story).expected));
        }
        let sent = |story, status, duplicate| Line::Sent(sent(story, status, duplicate));
        for answer in [
            sent(0, None, false),
            sent(0, Some(200), false),
            sent(0, Some(503), false),
        ] {
            line(&answer);
        }
        for answer in [
            sent(1, None, false),
            sent(0, Some(200), true),
            sent(1, Some(404), false),
        ] {
            line(&answer);
        }
        line(&sent(2, Some(FOUND_LATE), false));
        let book = Book::read(file.path()).unwrap();
        let first = |at: usize| book.stories[at].arrivals[0];
        assert_eq!(first(3), Arrival::Never);
        assert_eq!(
            [first(0), first(1), first(2)],
            [Arrival::Certain, Arrival::Perhaps, Arrival::Perhaps]
        );
        assert_eq!(book.stories[1].wrong_answers, [404]);
        assert!(book.stories[2].wrong_answers.is_empty());
        assert_eq!((book.certain(), book.unconfirmed()), (1, 2));
        assert_eq!(
            (
                book.requests.sent,
                book.requests.duplicates,
                book.requests.unanswered
            ),
            (7, 1, 2)
        );
    }
    #[test]
    fn what_was_due_and_did_not_leave_is_counted_apart() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let due = Sent {
            due_ms: Some(1000),
            ..sent(0, Some(200), false)
        };
        for line in [
            Line::Sent(Sent {
                at_ms: 1100,
                ..due.clone()
            }),
            Line::Sent(Sent { at_ms: 1101, ..due }),
            Line::Skipped(Skipped {
                story: 2,
                message: 0,
                copy: 1,
                at_ms: 9,
            }),
        ] {
            writeln!(file, "{}", serde_json::to_string(&line).unwrap()).unwrap();
        }
        let requests = Book::read(file.path()).unwrap().requests;
        assert_eq!((requests.sent, requests.late, requests.skipped), (2, 1, 1));
    }
}
