//! Times as providers write them. Text that is not a time reads as `None` and never blocks a
//! payment.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// 2000-01-01. None of the providers existed before.
const EARLIEST: Timestamp = Timestamp::constant(946_684_800, 0);
/// 2100-01-01. A later time means that a clock is wrong or that the digits are not a date.
const LATEST: Timestamp = Timestamp::constant(4_102_444_800, 0);

/// Reads Daraja's `yyyyMMddHHmmss`, which is East African time without saying so.
pub(crate) fn nairobi(text: &str) -> Option<Timestamp> {
    if text.len() != 14 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let two = |at: usize| text.get(at..at + 2)?.parse::<i8>().ok();
    let year = text.get(..4)?.parse().ok()?;
    let civil = DateTime::new(year, two(4)?, two(6)?, two(8)?, two(10)?, two(12)?, 0).ok()?;
    Offset::constant(3)
        .to_timestamp(civil)
        .ok()
        .filter(is_plausible)
}

/// Reads ISO 8601 with a zone, as Paystack and Gumroad write it.
pub(crate) fn iso(text: &str) -> Option<Timestamp> {
    text.parse().ok().filter(is_plausible)
}

fn is_plausible(at: &Timestamp) -> bool {
    (EARLIEST..LATEST).contains(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_zone() {
        assert_eq!(
            nairobi("20260928101529").unwrap().to_string(),
            "2026-09-28T07:15:29Z"
        );
        assert_eq!(
            nairobi("20260101003000").unwrap().to_string(),
            "2025-12-31T21:30:00Z"
        );
        assert_eq!(
            iso("2026-09-28T07:15:31.000Z").unwrap().to_string(),
            "2026-09-28T07:15:31Z"
        );
        assert_eq!(
            iso("2026-09-28T10:15:31+03:00").unwrap().to_string(),
            "2026-09-28T07:15:31Z"
        );
    }

    #[test]
    fn text_that_is_not_a_time_reads_as_none() {
        for text in [
            "",
            "2026092810152",
            "20261328101529",
            "20260230000000",
            "00000101000000",
            "99991231235959",
        ] {
            assert_eq!(nairobi(text), None, "{text:?}");
        }
        for text in [
            "",
            "2026-09-28",
            "2026-09-28T07:15:31",
            "0001-01-01T00:00:00Z",
            "9999-01-01T00:00:00Z",
        ] {
            assert_eq!(iso(text), None, "{text:?}");
        }
    }
}
