//! The record of a storm, summed up: which messages were sent, and which were confirmed.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::record::{self, Line, Sent};
use crate::traffic::payment::ExpectedPayment;
use crate::traffic::stray_request::Stray;

#[derive(Default)]
pub(crate) struct StormRecord {
    pub(crate) payments: Vec<SentPayment>,
    pub(crate) strays: Vec<SentStray>,
    pub(crate) requests: RequestCounts,
}

pub(crate) struct SentPayment {
    pub(crate) expected: ExpectedPayment,
    /// One for each message of the payment.
    pub(crate) arrivals: Vec<Arrival>,
    /// Answers that no message of a payment may get.
    pub(crate) wrong_answers: Vec<u16>,
}

pub(crate) struct SentStray {
    pub(crate) stray: Stray,
    pub(crate) answers: Vec<Option<u16>>,
}

/// Whether a message arrived, as its sender knows it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Arrival {
    NotSent,
    /// It was sent and never answered 200, so it may have arrived.
    Unconfirmed,
    /// It was answered 200.
    Confirmed,
}

#[derive(Default, Serialize, Clone, Debug)]
pub(crate) struct RequestCounts {
    pub(crate) sent: u64,
    pub(crate) accepted: u64,
    /// Accepted requests that ingress answered as duplicates.
    pub(crate) duplicates: u64,
    pub(crate) unavailable: u64,
    pub(crate) unanswered: u64,
    /// Forged or malformed requests that were refused.
    pub(crate) refused: u64,
    pub(crate) slowest_ms: u64,
    /// Requests of a storm at a fixed rate that were not sent, because too many were in flight.
    pub(crate) skipped: u64,
    /// Requests of a storm at a fixed rate that left more than a tenth of a second late.
    pub(crate) late: u64,
}

const LATE_MS: u64 = 100;
/// The answer of an ingress that was frozen or starved, and found that the body took too long. It
/// confirms nothing.
pub(crate) const REQUEST_TIMEOUT: u16 = 408;

impl StormRecord {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let mut storm = Self::default();
        let mut payments = BTreeMap::new();
        let mut strays = BTreeMap::new();

        record::read(path, |line| match line {
            Line::Payment(expected) => {
                payments.insert(expected.number, storm.payments.len());
                let arrivals = vec![Arrival::NotSent; expected.messages.len()];
                storm.payments.push(SentPayment {
                    expected,
                    arrivals,
                    wrong_answers: Vec::new(),
                });
            }
            Line::Stray(stray) => {
                strays.insert(stray.number, storm.strays.len());
                storm.strays.push(SentStray {
                    stray,
                    answers: Vec::new(),
                });
            }
            Line::Sent(sent) => {
                storm.requests.add(&sent);
                if let Some(at) = payments.get(&sent.number) {
                    storm.payments[*at].add_answer(&sent);
                } else if let Some(at) = strays.get(&sent.number) {
                    storm.strays[*at].answers.push(sent.status);
                }
            }
            Line::Skipped(_) => storm.requests.skipped += 1,
        })?;
        Ok(storm)
    }

    /// How many messages must have left an event.
    pub(crate) fn confirmed(&self) -> usize {
        self.count(Arrival::Confirmed)
    }

    /// How many messages were sent and never confirmed. A gateway that sends once loses them.
    pub(crate) fn unconfirmed(&self) -> usize {
        self.count(Arrival::Unconfirmed)
    }

    fn count(&self, wanted: Arrival) -> usize {
        let arrivals = self.payments.iter().flat_map(|payment| &payment.arrivals);
        arrivals.filter(|arrival| **arrival == wanted).count()
    }
}

impl SentPayment {
    fn add_answer(&mut self, sent: &Sent) {
        let arrival = match sent.status {
            Some(200) => Arrival::Confirmed,
            None | Some(503 | REQUEST_TIMEOUT) => Arrival::Unconfirmed,
            Some(other) => {
                self.wrong_answers.push(other);
                Arrival::Unconfirmed
            }
        };
        if let Some(known) = self.arrivals.get_mut(sent.message) {
            *known = arrival.max(*known);
        }
    }
}

impl RequestCounts {
    fn add(&mut self, sent: &Sent) {
        self.sent += 1;
        match sent.status {
            Some(200) => self.accepted += 1,
            Some(503 | REQUEST_TIMEOUT) => self.unavailable += 1,
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
    use std::io::Write as _;

    use tempfile::NamedTempFile;

    use super::*;
    use crate::fleet::tests::sample;
    use crate::record::Skipped;
    use crate::record::tests::sent;
    use crate::traffic::generator::PaymentGenerator;

    fn write_lines(lines: &[Line]) -> NamedTempFile {
        let mut file = NamedTempFile::new().unwrap();
        for line in lines {
            writeln!(file, "{}", serde_json::to_string(line).unwrap()).unwrap();
        }
        file
    }

    #[test]
    fn one_answer_200_confirms_a_message() {
        let fleet = sample();
        let generator = PaymentGenerator {
            fleet: &fleet,
            seed: 1,
            now: "2026-11-23T12:00:00Z".parse().unwrap(),
        };
        let mut lines: Vec<Line> = (0..4)
            .map(|number| Line::Payment(generator.payment(number).expected))
            .collect();
        let answer = |number, status, duplicate| Line::Sent(sent(number, status, duplicate));
        lines.extend([
            answer(0, None, false),
            answer(0, Some(200), false),
            answer(0, Some(503), false),
            answer(1, None, false),
            answer(0, Some(200), true),
            answer(1, Some(404), false),
            answer(2, Some(REQUEST_TIMEOUT), false),
        ]);

        let storm = StormRecord::read(write_lines(&lines).path()).unwrap();
        let first = |at: usize| storm.payments[at].arrivals[0];
        assert_eq!(first(0), Arrival::Confirmed);
        assert_eq!(first(1), Arrival::Unconfirmed);
        assert_eq!(first(2), Arrival::Unconfirmed);
        assert_eq!(first(3), Arrival::NotSent);
        assert_eq!(storm.payments[1].wrong_answers, [404]);
        assert!(storm.payments[2].wrong_answers.is_empty());
        assert_eq!((storm.confirmed(), storm.unconfirmed()), (1, 2));
        assert_eq!(storm.requests.sent, 7);
        assert_eq!(storm.requests.duplicates, 1);
        assert_eq!(storm.requests.unanswered, 2);
    }

    #[test]
    fn late_and_skipped_requests_are_counted() {
        let due = Sent {
            due_ms: Some(1000),
            ..sent(0, Some(200), false)
        };
        let lines = [
            Line::Sent(Sent {
                at_ms: 1100,
                ..due.clone()
            }),
            Line::Sent(Sent { at_ms: 1101, ..due }),
            Line::Skipped(Skipped {
                number: 2,
                message: 0,
                copy: 1,
                at_ms: 9,
            }),
        ];

        let requests = StormRecord::read(write_lines(&lines).path())
            .unwrap()
            .requests;
        assert_eq!(requests.sent, 2);
        assert_eq!(requests.late, 1);
        assert_eq!(requests.skipped, 1);
    }
}
