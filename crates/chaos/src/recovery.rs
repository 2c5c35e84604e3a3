//! How long each fault was felt.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::diary::{Entry, Event};
use crate::programme::Fault;
use crate::record::Request;

/// What the gateways felt of one fault.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub(crate) struct Recovery {
    pub(crate) fault: Fault,
    /// Failed or delayed.
    pub(crate) troubled: u64,
    /// From the moment the first of these was sent to the moment the last was over.
    pub(crate) recovery_ms: u64,
}

/// Every troubled request counts for the faults that lasted when it was sent; where there was none, for the one
/// that ended last. Of faults at the same time each counts for both.
pub(crate) fn recoveries(diary: &[Entry], requests: &[Request]) -> Vec<Recovery> {
    let spans: Vec<(Fault, Timestamp, Timestamp)> = diary
        .iter()
        .filter_map(|entry| match entry.event {
            Event::Begun { fault } => Some((fault, entry.at, ended(fault, diary))),
            _ => None,
        })
        .collect();
    let mut felt: Vec<Option<(u64, Timestamp, Timestamp)>> = vec![None; spans.len()];
    for request in requests.iter().filter(|request| request.is_troubled()) {
        // A request that was under way when a fault began was hit as well.
        let (from, to) = (request.at, request.ended());
        let lasting =
            |(_, began, ended): &(Fault, Timestamp, Timestamp)| *began <= to && from <= *ended;
        let mut hit: Vec<usize> = (0..spans.len()).filter(|at| lasting(&spans[*at])).collect();
        if hit.is_empty() {
            let before = (0..spans.len()).filter(|at| spans[*at].2 < from);
            hit.extend(before.max_by_key(|at| spans[*at].2));
        }
        for at in hit {
            let (troubled, first, last) = felt[at].unwrap_or((0, from, to));
            felt[at] = Some((troubled + 1, first.min(from), last.max(to)));
        }
    }
    let recovery = |((fault, ..), felt): (&(Fault, Timestamp, Timestamp), &Option<_>)| {
        let (troubled, first, last) =
            felt.unwrap_or((0, Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH));
        let recovery_ms = u64::try_from(last.duration_since(first).as_millis()).unwrap_or(0);
        Recovery {
            fault: *fault,
            troubled,
            recovery_ms,
        }
    };
    spans.iter().zip(&felt).map(recovery).collect()
}

fn ended(fault: Fault, diary: &[Entry]) -> Timestamp {
    let end = diary
        .iter()
        .find(|entry| entry.event == Event::Ended { fault });
    end.map_or(Timestamp::MAX, |entry| entry.at)
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
            answered_well: status == Some(200),
        }
    }

    #[test]
    fn from_the_first_troubled_request_to_the_end_of_the_last() {
        let faults = programme(1, 60);
        let entry = |ms, event| Entry { at: at(ms), event };
        let diary = [
            entry(1000, Event::Begun { fault: faults[0] }),
            entry(3000, Event::Ended { fault: faults[0] }),
            entry(9000, Event::Begun { fault: faults[1] }),
            entry(9500, Event::Ended { fault: faults[1] }),
        ];
        let requests = [
            request(900, 10, Some(200)),
            request(950, 1200, Some(200)),
            request(2000, 5, Some(503)),
            request(5000, 2500, None),
            request(8000, 900, Some(200)),
        ];
        let felt = recoveries(&diary, &requests);
        assert_eq!((felt[0].troubled, felt[0].recovery_ms), (3, 6550));
        assert_eq!((felt[1].troubled, felt[1].recovery_ms), (0, 0));
    }
}
