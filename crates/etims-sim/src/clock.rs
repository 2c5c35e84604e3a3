//! KRA's clock, which is Nairobi time (UTC+3 the year round), in the formats of the API.

use jiff::civil::{Date, DateTime};
use jiff::tz::{TimeZone, offset};
use jiff::{Timestamp, Zoned};

pub(crate) fn now() -> DateTime {
    nairobi(Timestamp::now()).datetime()
}

fn nairobi(at: Timestamp) -> Zoned {
    at.to_zoned(TimeZone::fixed(offset(3)))
}

/// `yyyyMMddHHmmss`.
pub(crate) fn compact(at: DateTime) -> String {
    at.strftime("%Y%m%d%H%M%S").to_string()
}

/// `YYYY-MM-DD HH:MM:SS`, the format of look-ups.
pub(crate) fn spaced(at: DateTime) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

pub(crate) fn parse_compact(text: &str) -> Option<DateTime> {
    let well_formed = text.len() == 14 && text.bytes().all(|byte| byte.is_ascii_digit());
    well_formed
        .then(|| DateTime::strptime("%Y%m%d%H%M%S", text).ok())
        .flatten()
}

pub(crate) fn parse_day(text: &str) -> Option<Date> {
    let well_formed = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit());
    well_formed
        .then(|| Date::strptime("%Y%m%d", text).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nairobi_is_three_hours_ahead() {
        let at: Timestamp = "2026-03-05T22:15:00Z".parse().unwrap();
        assert_eq!(compact(nairobi(at).datetime()), "20260306011500");
        assert_eq!(spaced(nairobi(at).datetime()), "2026-03-06 01:15:00");
    }

    #[test]
    fn times_with_missing_or_extra_characters_do_not_parse() {
        assert_eq!(
            parse_compact("20260305141500").map(spaced).as_deref(),
            Some("2026-03-05 14:15:00")
        );
        for wrong in [
            "",
            "2026030514150",
            "20261305141500",
            "20260305246000",
            "2026-03-05 141",
            "+0260305141500",
        ] {
            assert_eq!(parse_compact(wrong), None, "{wrong:?}");
        }
        assert!(parse_day("20260228").is_some());
        assert_eq!(parse_day("20260230"), None);
        assert_eq!(parse_day("2026022"), None);
    }
}
