//! Parsers of the values on the command line.

use std::time::Duration;

use rust_decimal::Decimal;

/// A rate, as the shortest time between two dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) interval: Duration,
}

/// Parses a rate such as `50/s`, `30/m` or `500/h`.
pub(crate) fn rate(text: &str) -> Result<Rate, String> {
    let expected =
        || "expected a number from 1 to 10000 per second, minute or hour, as in 50/s, 30/m, 500/h";
    let (count, unit) = text.trim().split_once('/').ok_or_else(expected)?;
    let count: u32 = count.trim().parse().map_err(|_| expected())?;
    let seconds = match unit.trim() {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err(expected().to_owned()),
    };
    if !(1..=10_000).contains(&count) {
        return Err(expected().to_owned());
    }
    Ok(Rate {
        interval: Duration::from_secs(seconds) / count,
    })
}

/// Parses an amount above zero with at most two decimals.
pub(crate) fn amount(text: &str) -> Result<Decimal, String> {
    let amount: Decimal = text
        .trim()
        .parse()
        .map_err(|_| "expected an amount, as in 15.00".to_owned())?;
    if amount <= Decimal::ZERO || amount.normalize().scale() > 2 {
        return Err("expected an amount above zero with at most two decimals".to_owned());
    }
    Ok(amount)
}

/// Parses a text that is stored as operator or reason.
pub(crate) fn short_text(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > 300 || text.chars().any(char::is_control) {
        return Err("expected 1 to 300 characters on one line".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_is_the_pause_between_two_items() {
        assert_eq!(rate("50/s").unwrap().interval, Duration::from_millis(20));
        assert_eq!(rate("30/m").unwrap().interval, Duration::from_secs(2));
        assert_eq!(rate("1/h").unwrap().interval, Duration::from_secs(3_600));
        for bad in ["50", "0/s", "-1/s", "50/d", "1.5/s", "10001/s", "/s", ""] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn amount_is_above_zero_and_exact_to_the_cent() {
        assert_eq!(amount("15.50").unwrap().to_string(), "15.50");
        for bad in ["0", "-1", "1.005", "ten", "", "1e3x"] {
            assert!(amount(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn reason_is_one_line_and_not_empty() {
        assert_eq!(
            short_text(" item code mended ").unwrap(),
            "item code mended"
        );
        assert!(short_text("  ").is_err() && short_text("a\nb").is_err());
        assert!(short_text(&"x".repeat(301)).is_err());
    }
}
