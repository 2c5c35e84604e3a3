//! KRA's times. They are Nairobi's, without a zone. Kenya keeps UTC+3 all year.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

const NAIROBI: Offset = Offset::constant(3);

/// Writes `yyyyMMddHHmmss`.
pub(crate) fn to_second(at: Timestamp) -> String {
    NAIROBI.to_datetime(at).strftime("%Y%m%d%H%M%S").to_string()
}

/// Writes `yyyyMMdd`.
pub(crate) fn to_day(at: Timestamp) -> String {
    NAIROBI.to_datetime(at).strftime("%Y%m%d").to_string()
}

/// Reads `yyyyMMddHHmmss`, and `yyyy-MM-dd HH:mm:ss` with or without a fraction, which look-ups
/// use.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let civil = if text.len() == 14 && text.bytes().all(|b| b.is_ascii_digit()) {
        DateTime::strptime("%Y%m%d%H%M%S", text).ok()?
    } else {
        let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
        DateTime::strptime("%Y-%m-%d %H:%M:%S", whole).ok()?
    };
    NAIROBI.to_timestamp(civil).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_day_begins_three_hours_before_utc() {
        let at: Timestamp = "2026-03-05T21:00:01.999Z".parse().unwrap();
        assert_eq!(to_second(at), "20260306000001");
        assert_eq!(to_day(at), "20260306");
    }

    #[test]
    fn every_spelling_of_a_time_is_read() {
        let expected: Timestamp = "2026-03-05T11:15:02Z".parse().unwrap();
        for text in [
            "20260305141502",
            "2026-03-05 14:15:02",
            "2026-03-05 14:15:02.0",
            " 20260305141502 ",
        ] {
            assert_eq!(parse(text), Some(expected), "{text:?}");
        }
        for text in [
            "",
            "20260305",
            "20261305141502",
            "2026-03-05",
            "yesterday",
            "2026030514150２",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_parsed(text in any::<String>()) {
            let _ = parse(&text);
        }
    }
}
