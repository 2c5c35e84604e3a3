//! Durations and sizes as people write them in settings.

use std::time::Duration;

/// Reads `250ms`, `2s`, `15m` or `24h`: a whole number and one unit.
///
/// # Errors
/// A sentence fragment that tells what is accepted.
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
    // A century is longer than any wait, and far from where adding to an instant overflows.
    if millis > 100 * 366 * 24 * 3_600_000 {
        return Err("too long".into());
    }
    Ok(Duration::from_millis(millis))
}

/// Reads a size in bytes: `262144`, `256KiB`, `64MiB` or `1GiB`.
///
/// # Errors
/// A sentence fragment that tells what is accepted.
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
    fn durations_take_a_number_and_a_unit() {
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
    fn durations_refuse_what_could_be_misread() {
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
    fn sizes_take_bytes_and_binary_units() {
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
    fn sizes_refuse_decimal_units_and_overflow() {
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
}
