//! Parsers for durations and sizes as people write them in settings.

use std::time::Duration;

use jiff::Timestamp;

/// Reads a whole number with one unit, such as `250ms`, `2s`, `15m` or `24h`.
///
/// # Errors
/// A sentence fragment that says what is accepted.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    const ACCEPTED: &str = "expected a whole number with a unit: 250ms, 2s, 15m or 24h";
    let (number, unit) = split(text).ok_or(ACCEPTED)?;
    let millis_per_unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(ACCEPTED.into()),
    };
    let millis = number.checked_mul(millis_per_unit).ok_or("too long")?;
    // No wait is as long as a century, and adding a century to an instant does not overflow.
    if millis > 100 * 366 * 24 * 3_600_000 {
        return Err("too long".into());
    }
    Ok(Duration::from_millis(millis))
}

/// Reads an age or a moment as the moment that it means. `2h` is two hours ago. A moment is in
/// RFC 3339.
///
/// # Errors
/// A sentence fragment that says what is accepted.
pub fn parse_since(text: &str) -> Result<Timestamp, String> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let age = parse_duration(text).map_err(|_| {
        "expected an age (250ms, 2s, 15m, 24h) or a moment (2026-01-31T08:00:00Z)".to_owned()
    })?;
    Timestamp::now()
        .checked_sub(age)
        .map_err(|_| "reaches too far back".to_owned())
}

/// Reads a size in bytes: `262144`, `256KiB`, `64MiB` or `1GiB`.
///
/// # Errors
/// A sentence fragment that says what is accepted.
pub fn parse_size(text: &str) -> Result<u64, String> {
    const ACCEPTED: &str = "expected bytes, or a whole number with KiB, MiB or GiB";
    let (number, unit) = split(text).ok_or(ACCEPTED)?;
    let shift = match unit {
        "" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err(ACCEPTED.into()),
    };
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| "too large".into())
}

/// Splits a leading whole number from what follows it.
fn split(text: &str) -> Option<(u64, &str)> {
    let unit_at = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(unit_at);
    Some((digits.parse().ok()?, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        for (text, millis) in [
            ("250ms", 250),
            ("2s", 2_000),
            ("15m", 900_000),
            ("24h", 86_400_000),
            ("0s", 0),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(millis)),
                "{text}"
            );
        }
    }

    #[test]
    fn ambiguous_durations_are_refused() {
        for text in [
            "",
            "5",
            "s",
            "1.5s",
            "-1s",
            "2 s",
            "2S",
            "1d",
            "1m30s",
            "18446744073709551615h",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_bytes_or_binary_units() {
        for (text, bytes) in [
            ("0", 0),
            ("262144", 262_144),
            ("1KiB", 1024),
            ("3MiB", 3 << 20),
            ("1GiB", 1 << 30),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn decimal_units_and_overflowing_sizes_are_refused() {
        for text in [
            "",
            "1KB",
            "1kib",
            "1 KiB",
            "-1",
            "1.5GiB",
            "18446744073709551615GiB",
        ] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn since_takes_an_age_or_a_moment() {
        assert_eq!(
            parse_since("2026-01-31T08:00:00Z").unwrap().to_string(),
            "2026-01-31T08:00:00Z"
        );
        assert_eq!(
            parse_since("2026-01-31T11:00:00+03:00")
                .unwrap()
                .to_string(),
            "2026-01-31T08:00:00Z"
        );
        let hour_ago = parse_since("1h").unwrap();
        assert!(hour_ago < Timestamp::now());
        assert!(parse_since("yesterday").is_err());
    }
}
