//! Parsers for the values of flags. The database's constraints demand the same.

use std::convert::Infallible;

use risiti_domain::{BuyerName, Dialect, Environment, KraPin, Provider, TaxType};
use risiti_service::parse_range;
use rust_decimal::Decimal;
use secrecy::SecretString;
use url::Url;

/// Accepts any text. A secret is checked later, because a parser's error would quote it.
pub(crate) fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(text.into())
}

pub(crate) fn slug(text: &str) -> Result<String, String> {
    let legal = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    if (1..=63).contains(&text.len()) && !text.starts_with('-') && text.bytes().all(legal) {
        Ok(text.to_owned())
    } else {
        Err("expected 1 to 63 of a-z 0-9 and hyphens, not starting with one".to_owned())
    }
}

pub(crate) fn name(text: &str) -> Result<String, String> {
    printable(text, 200)
}

pub(crate) fn short_text(text: &str) -> Result<String, String> {
    printable(text, 100)
}

pub(crate) fn buyer_name(text: &str) -> Result<BuyerName, String> {
    BuyerName::parse(text).ok_or_else(|| "expected a name".to_owned())
}

/// The error does not repeat the PIN.
pub(crate) fn kra_pin(text: &str) -> Result<KraPin, String> {
    KraPin::parse(text).ok_or_else(|| "expected A or P, nine digits and a letter".to_owned())
}

pub(crate) fn reason(text: &str) -> Result<String, String> {
    printable(text, 1000)
}

pub(crate) fn item_code(text: &str) -> Result<String, String> {
    printable(text, 20)
}

pub(crate) fn item_class(text: &str) -> Result<String, String> {
    printable(text, 10)
}

pub(crate) fn sdc_id(text: &str) -> Result<String, String> {
    printable(text, 18)
}

fn printable(text: &str, chars_max: usize) -> Result<String, String> {
    let text = text.trim();
    let chars = text.chars().count();
    if (1..=chars_max).contains(&chars) && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err(format!("expected 1 to {chars_max} printable characters"))
    }
}

/// Reads an amount as the database keeps it: up to twelve digits and two decimals.
pub(crate) fn amount_max(text: &str) -> Result<Decimal, String> {
    let amount = Decimal::from_str_exact(text).ok();
    amount
        .filter(|amount| *amount > Decimal::ZERO && *amount < Decimal::new(1_000_000_000_000, 0))
        .filter(|amount| amount.normalize().scale() <= 2)
        .ok_or_else(|| "expected an amount above zero, such as 250000".to_owned())
}

pub(crate) fn short_code(text: &str) -> Result<String, String> {
    if (5..=10).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) {
        Ok(text.to_owned())
    } else {
        Err("expected 5 to 10 digits".to_owned())
    }
}

pub(crate) fn cidr(text: &str) -> Result<String, String> {
    Ok(parse_range(text)?.to_string())
}

pub(crate) fn pin(text: &str) -> Result<String, String> {
    let text = text.trim().to_ascii_uppercase();
    match text.as_bytes() {
        [first, digits @ .., last]
            if digits.len() == 9
                && first.is_ascii_alphabetic()
                && last.is_ascii_alphabetic()
                && digits.iter().all(u8::is_ascii_digit) =>
        {
            Ok(text)
        }
        _ => Err("expected a letter, nine digits and a letter, such as P051234567X".to_owned()),
    }
}

pub(crate) fn branch(text: &str) -> Result<String, String> {
    if text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit()) {
        Ok(text.to_owned())
    } else {
        Err("expected two digits, such as 00".to_owned())
    }
}

/// Reads an address that paths are appended to.
pub(crate) fn base_url(text: &str) -> Result<Url, String> {
    let url = token_url(text)?;
    if url.query().is_some() {
        return Err("expected an address without a query".to_owned());
    }
    Ok(url)
}

/// Reads the address of a program's private listener, which speaks plain HTTP.
pub(crate) fn ops_url(text: &str) -> Result<Url, String> {
    let url = base_url(text.trim())?;
    if url.scheme() != "http" {
        return Err("expected an address that starts with http://".to_owned());
    }
    Ok(url)
}

pub(crate) fn token_url(text: &str) -> Result<Url, String> {
    let url: Url = text
        .parse()
        .map_err(|_| "expected an address that starts with https:// or http://")?;
    if !matches!(url.scheme(), "https" | "http") || !url.has_host() {
        return Err("expected an address that starts with https:// or http://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("expected an address without a user name, a password or a fragment".to_owned());
    }
    Ok(url)
}

pub(crate) fn tax_rate(text: &str) -> Result<(TaxType, Decimal), String> {
    const EXPECTED: &str = "expected a tax type and its percentage from 0 to 100, such as E=8";
    let (tax_type, rate) = text.split_once('=').ok_or(EXPECTED)?;
    let rate: Decimal = rate.parse().map_err(|_| EXPECTED)?;
    if rate.is_sign_negative() || rate > Decimal::ONE_HUNDRED || rate.scale() > 2 {
        return Err(EXPECTED.to_owned());
    }
    Ok((tax_type.parse().map_err(|_| EXPECTED)?, rate))
}

/// Defines a parser for each enum whose values have fixed names.
macro_rules! one_of {
    ($($function:ident -> $type:ty;)+) => {
        $(pub(crate) fn $function(text: &str) -> Result<$type, String> {
            text.parse().map_err(|_| {
                let known: Vec<_> = <$type>::ALL.iter().map(|known| known.as_str()).collect();
                format!("expected one of {}", known.join(", "))
            })
        })+
    };
}

one_of! {
    provider -> Provider;
    environment -> Environment;
    dialect -> Dialect;
    tax_type -> TaxType;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slug_is_what_the_database_accepts() {
        for good in ["acme", "a", "2nd-shop", &"x".repeat(63)] {
            assert!(slug(good).is_ok(), "{good}");
        }
        for bad in ["", "Acme", "-a", "a b", "ä", "a_b", &"x".repeat(64)] {
            assert!(slug(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pin_is_a_letter_nine_digits_and_a_letter() {
        assert_eq!(pin("p051234567x").unwrap(), "P051234567X");
        for bad in [
            "",
            "P05123456X",
            "P0512345678X",
            "1051234567X",
            "P05123456AX",
            "PÄ1234567X",
        ] {
            assert!(pin(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn address_ranges_are_normalised() {
        assert_eq!(cidr("196.201.212.7/24").unwrap(), "196.201.212.0/24");
        assert_eq!(
            cidr("::ffff:196.201.212.0/120").unwrap(),
            "196.201.212.0/24"
        );
        assert!(cidr("196.201.212").is_err());
    }

    #[test]
    fn address_with_credentials_is_refused() {
        assert!(base_url("https://etims-api-sbx.kra.go.ke/etims-api").is_ok());
        for bad in [
            "etims-api.kra.go.ke",
            "ftp://h/",
            "https://u:p@h/",
            "https://h/?x=1",
            "https://h/#x",
        ] {
            assert!(base_url(bad).is_err(), "{bad}");
        }
        assert!(
            token_url("https://sbx.kra.go.ke/v1/token/generate?grant_type=client_credentials")
                .is_ok()
        );
    }

    #[test]
    fn tax_rate_is_a_type_and_a_percentage() {
        assert_eq!(tax_rate("E=8").unwrap(), (TaxType::E, Decimal::from(8)));
        for bad in ["E", "E=", "F=8", "E=-1", "E=101", "E=1.234", "E=8%"] {
            assert!(tax_rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn unknown_name_is_answered_with_the_known_ones() {
        assert_eq!(
            dialect("oscu").unwrap_err(),
            "expected one of legacy, gateway, vscu"
        );
    }
}
