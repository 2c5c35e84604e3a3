//! How long requests were troubled by each fault.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::fault_log::{LogEntry, LogEvent};
use crate::storm_record::Request;

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub(crate) struct Recovery {
    pub(crate) fault: Fault,
    /// How many requests failed or were delayed.
    pub(crate) troubled: u64,
    /// From the moment the first of these was sent to the moment the last was over.
    pub(crate) recovery_ms: u64,
}

/// A fault, and from when to when the log says it lasted.
struct FaultSpan {
    fault: Fault,
    began: Timestamp,
    ended: Timestamp,
}

/// The troubled requests of one fault.
struct Trouble {
    requests: u64,
    first_sent: Timestamp,
    last_over: Timestamp,
}

/// Assigns every troubled request to the faults that lasted while it was in flight, or else to the
/// fault that ended last before it. A request that met two faults counts for both.
pub(crate) fn recoveries(log: &[LogEntry], requests: &[Request]) -> Vec<Recovery> {
    let spans = fault_spans(log);
    let mut troubles: Vec<Option<Trouble>> = spans.iter().map(|_| None).collect();

    for request in requests.iter().filter(|request| request.is_troubled()) {
        let sent = request.at;
        let over = request.ended();
        for index in faults_met(&spans, sent, over) {
            let trouble = troubles[index].get_or_insert(Trouble {
                requests: 0,
                first_sent: sent,
                last_over: over,
            });
            trouble.requests += 1;
            trouble.first_sent = trouble.first_sent.min(sent);
            trouble.last_over = trouble.last_over.max(over);
        }
    }

    spans
        .iter()
        .zip(troubles)
        .map(|(span, trouble)| Recovery {
            fault: span.fault,
            troubled: trouble.as_ref().map_or(0, |trouble| trouble.requests),
            recovery_ms: trouble.as_ref().map_or(0, Trouble::lasted_ms),
        })
        .collect()
}

fn fault_spans(log: &[LogEntry]) -> Vec<FaultSpan> {
    let mut spans = Vec::new();
    for entry in log {
        if let LogEvent::Begun { fault } = entry.event {
            let end = log
                .iter()
                .find(|entry| entry.event == LogEvent::Ended { fault });
            spans.push(FaultSpan {
                fault,
                began: entry.at,
                ended: end.map_or(Timestamp::MAX, |entry| entry.at),
            });
        }
    }
    spans
}

/// The indices of the faults that a request counts for.
fn faults_met(spans: &[FaultSpan], sent: Timestamp, over: Timestamp) -> Vec<usize> {
    let met: Vec<usize> = (0..spans.len())
        .filter(|index| spans[*index].began <= over && sent <= spans[*index].ended)
        .collect();
    if !met.is_empty() {
        return met;
    }

    let before = (0..spans.len()).filter(|index| spans[*index].ended < sent);
    before
        .max_by_key(|index| spans[*index].ended)
        .into_iter()
        .collect()
}

impl Trouble {
    fn lasted_ms(&self) -> u64 {
        let lasted = self.last_over.duration_since(self.first_sent);
        u64::try_from(lasted.as_millis()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programme::programme;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    fn request(at_ms: i64, ms: u64, status: Option<u16>) -> Request {
        Request {
            to: 0,
            status,
            at: at(at_ms),
            ms,
            authentic: status != Some(401),
            answered_well: status == Some(200),
        }
    }

    #[test]
    fn recovery_spans_the_troubled_requests() {
        let faults = programme(1, 60);
        let entry = |ms, event| LogEntry { at: at(ms), event };
        let log = [
            entry(1000, LogEvent::Begun { fault: faults[0] }),
            entry(3000, LogEvent::Ended { fault: faults[0] }),
            entry(9000, LogEvent::Begun { fault: faults[1] }),
            entry(9500, LogEvent::Ended { fault: faults[1] }),
        ];
        let requests = [
            request(900, 10, Some(200)),
            request(950, 1200, Some(200)),
            request(2000, 5, Some(503)),
            request(5000, 2500, None),
            request(8000, 900, Some(200)),
        ];

        let found = recoveries(&log, &requests);
        assert_eq!((found[0].troubled, found[0].recovery_ms), (3, 6550));
        assert_eq!((found[1].troubled, found[1].recovery_ms), (0, 0));
    }
}
