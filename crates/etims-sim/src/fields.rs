//! Strict reading of the fields of a request: presence, type and length. Numbers are read as the
//! exact text that was sent, never as a float.

use std::collections::BTreeMap;

use jiff::civil::{Date, DateTime};
use rust_decimal::Decimal;
use serde_json::value::RawValue;

use crate::clock;
use crate::json_object::JsonObject;
use crate::refusal::{Refusal, RefusalKind};

/// One JSON object of a request.
pub(crate) struct Fields<'a> {
    map: BTreeMap<String, &'a RawValue>,
    /// Appended to every refusal of a field, e.g. ` on item: 1`.
    place: String,
}

impl<'a> Fields<'a> {
    pub(crate) fn of_body(body: &'a [u8]) -> Result<Self, Refusal> {
        if body.is_empty() {
            let text = "There is no request full text";
            return Err(Refusal::new(
                RefusalKind::Fields,
                "911",
                text,
                text.to_owned(),
            ));
        }
        let map = serde_json::from_slice(body)
            .map_err(|_| Refusal::broken_rule("Request body is not a JSON object".into()))?;
        Ok(Self {
            map,
            place: String::new(),
        })
    }

    /// The fields of the body, or none where it is not a JSON object.
    pub(crate) fn of_body_or_empty(body: &'a [u8]) -> Self {
        Self {
            map: serde_json::from_slice(body).unwrap_or_default(),
            place: String::new(),
        }
    }

    /// The whole object as it was sent.
    pub(crate) fn to_object(&self) -> JsonObject {
        self.map
            .iter()
            .map(|(name, raw)| (name.clone(), (*raw).to_owned()))
            .collect()
    }

    /// The field as JSON text. Null counts as absent.
    pub(crate) fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.map
            .get(name)
            .copied()
            .filter(|raw| raw.get() != "null")
    }

    pub(crate) fn object(&self, name: &str) -> Result<Fields<'a>, Refusal> {
        let raw = self.raw(name).ok_or_else(|| self.missing(name))?;
        let map =
            serde_json::from_str(raw.get()).map_err(|_| self.invalid(name, "must be an object"))?;
        Ok(Fields {
            map,
            place: format!(" in {name}"),
        })
    }

    pub(crate) fn list(&self, name: &str) -> Result<Vec<Fields<'a>>, Refusal> {
        let raw = self.raw(name).ok_or_else(|| self.missing(name))?;
        let maps: Vec<BTreeMap<String, &'a RawValue>> = serde_json::from_str(raw.get())
            .map_err(|_| self.invalid(name, "must be a list of objects"))?;
        if maps.is_empty() {
            return Err(self.missing(name));
        }
        let lines = maps.into_iter().zip(1..).map(|(map, line_number)| Fields {
            map,
            place: format!(" on item: {line_number}"),
        });
        Ok(lines.collect())
    }

    /// A string of at most `max` characters. A blank one counts as absent.
    pub(crate) fn optional_text(&self, name: &str, max: usize) -> Result<Option<String>, Refusal> {
        let Some(raw) = self.raw(name) else {
            return Ok(None);
        };
        let text: String =
            serde_json::from_str(raw.get()).map_err(|_| self.invalid(name, "must be a string"))?;
        if text.chars().count() > max {
            return Err(self.invalid(name, &format!("longer than {max}")));
        }
        Ok(Some(text).filter(|text| !text.trim().is_empty()))
    }

    pub(crate) fn text(&self, name: &str, max: usize) -> Result<String, Refusal> {
        self.optional_text(name, max)?
            .ok_or_else(|| self.missing(name))
    }

    /// A string, or an unquoted number as in the sample of KRA's specification.
    pub(crate) fn text_or_number(&self, name: &str, max: usize) -> Result<String, Refusal> {
        match self.raw(name) {
            Some(raw) if !raw.get().starts_with(['"', '{', '[']) => Ok(raw.get().to_owned()),
            _ => self.text(name, max),
        }
    }

    /// One of `allowed`, in the same case.
    pub(crate) fn code(&self, name: &str, allowed: &[&str]) -> Result<String, Refusal> {
        let code = self.text(name, 5)?;
        if allowed.contains(&code.as_str()) {
            Ok(code)
        } else {
            Err(self.invalid(name, "not in the code list"))
        }
    }

    pub(crate) fn optional_code(&self, name: &str, allowed: &[&str]) -> Result<(), Refusal> {
        if self.raw(name).is_some() {
            self.code(name, allowed).map(drop)
        } else {
            Ok(())
        }
    }

    /// A JSON number that is not negative, with at most `digits` digits of which `scale` are
    /// decimals.
    pub(crate) fn amount(&self, name: &str, digits: u32, scale: u32) -> Result<Decimal, Refusal> {
        let raw = self.raw(name).ok_or_else(|| self.missing(name))?.get();
        let number = Decimal::from_str_exact(raw)
            .map_err(|_| self.invalid(name, "must be a plain number"))?;
        if number.is_sign_negative() && !number.is_zero() {
            return Err(self.invalid(name, "must not be negative"));
        }
        if number.normalize().scale() > scale
            || number.trunc().to_string().len() > (digits - scale) as usize
        {
            return Err(self.invalid(name, &format!("must fit {digits},{scale}")));
        }
        Ok(number)
    }

    pub(crate) fn optional_amount(
        &self,
        name: &str,
        digits: u32,
        scale: u32,
    ) -> Result<Option<Decimal>, Refusal> {
        match self.raw(name) {
            Some(_) => self.amount(name, digits, scale).map(Some),
            None => Ok(None),
        }
    }

    /// A KRA PIN, which is a letter, nine digits and a letter.
    pub(crate) fn optional_pin(&self, name: &str) -> Result<Option<String>, Refusal> {
        let Some(pin) = self.optional_text(name, 11)? else {
            return Ok(None);
        };
        let well_formed = pin.bytes().enumerate().all(|(at, byte)| match at {
            0 | 10 => byte.is_ascii_uppercase(),
            _ => byte.is_ascii_digit(),
        });
        if well_formed && pin.len() == 11 {
            Ok(Some(pin))
        } else {
            Err(self.invalid(name, "is not a PIN"))
        }
    }

    /// Checks texts that may be absent, each with its greatest length.
    pub(crate) fn check_optional_texts(&self, texts: &[(&str, usize)]) -> Result<(), Refusal> {
        for (name, max) in texts {
            self.optional_text(name, *max)?;
        }
        Ok(())
    }

    /// A whole number, quoted or not. KRA was seen to take both.
    pub(crate) fn integer(&self, name: &str) -> Result<i64, Refusal> {
        let raw = self.raw(name).ok_or_else(|| self.missing(name))?.get();
        raw.trim_matches('"')
            .parse()
            .map_err(|_| self.invalid(name, "must be a whole number"))
    }

    /// A time as `yyyyMMddHHmmss` that is not after `now`.
    pub(crate) fn optional_time(
        &self,
        name: &str,
        now: DateTime,
    ) -> Result<Option<DateTime>, Refusal> {
        let Some(text) = self.optional_text(name, 14)? else {
            return Ok(None);
        };
        let at = clock::parse_compact(&text)
            .ok_or_else(|| self.invalid(name, "must be yyyyMMddHHmmss"))?;
        if at > now {
            Err(self.invalid(name, "must not be in the future"))
        } else {
            Ok(Some(at))
        }
    }

    pub(crate) fn time(&self, name: &str, now: DateTime) -> Result<DateTime, Refusal> {
        self.optional_time(name, now)?
            .ok_or_else(|| self.missing(name))
    }

    /// A day as `yyyyMMdd` that is not after `now`.
    pub(crate) fn day(&self, name: &str, now: DateTime) -> Result<Date, Refusal> {
        let day = clock::parse_day(&self.text(name, 8)?)
            .ok_or_else(|| self.invalid(name, "must be yyyyMMdd"))?;
        if day > now.date() {
            Err(self.invalid(name, "must not be in the future"))
        } else {
            Ok(day)
        }
    }

    pub(crate) fn missing(&self, name: &str) -> Refusal {
        Refusal::missing_field(name, &self.place)
    }

    pub(crate) fn invalid(&self, name: &str, problem: &str) -> Refusal {
        Refusal::invalid_field(name, &self.place, problem)
    }
}

#[cfg(test)]
mod tests;
