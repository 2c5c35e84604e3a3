//! Reading KRA's code lists.

use risiti_domain::TaxType;
use rust_decimal::Decimal;

use crate::answer::Answer;
use crate::classify::{self, Class};
use crate::envelope::Envelope;
use crate::fields::Fields;
use crate::http::HttpAnswer;
use crate::outcome::CallError;
use crate::profile::DeviceProfile;
use crate::tax::TaxRates;
use crate::text;

/// More entries than any list of KRA has.
const ENTRIES_MAX: usize = 2_000;
const TEXT_CHARS_MAX: usize = 200;

/// KRA's code lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodeList {
    pub classes: Vec<CodeClass>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeClass {
    /// `cdCls`, e.g. `04` for tax types.
    pub code: String,
    pub name: String,
    pub values: Vec<CodeValue>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeValue {
    pub code: String,
    pub name: String,
    /// `userDfnCd1`, which is the rate for tax types.
    pub extra: Option<String>,
}

pub(crate) fn read(profile: &DeviceProfile, http: &HttpAnswer) -> Result<CodeList, CallError> {
    let envelope = Envelope::read(http.status, &http.body);
    if let Some(envelope) = envelope.as_ref().filter(|_| http.status < 500) {
        if envelope.found_nothing() {
            return Ok(CodeList::default());
        }
        if envelope.succeeded() {
            let classes = envelope.data.as_ref().and_then(|data| data.list("clsList"));
            return match classes {
                Some(classes) => Ok(CodeList {
                    classes: classes.iter().take(ENTRIES_MAX).map(class).collect(),
                }),
                None => {
                    let unknown = Class::Unknown {
                        against_host: false,
                    };
                    let answer = Answer::judged(&profile.secrets(), http, Some(envelope), unknown);
                    Err(CallError::NoAnswer(
                        answer.with_message("answered, but without a list of codes"),
                    ))
                }
            };
        }
    }

    let class = classify::of_answer(profile, http, envelope.as_ref(), 0);
    let answer = Answer::judged(&profile.secrets(), http, envelope.as_ref(), class);
    Err(CallError::of_class(class, answer))
}

fn class(fields: &Fields<'_>) -> CodeClass {
    let values = fields.list("dtlList").unwrap_or_default();
    CodeClass {
        code: text_of(fields, "cdCls").unwrap_or_default(),
        name: text_of(fields, "cdClsNm").unwrap_or_default(),
        values: values.iter().take(ENTRIES_MAX).map(value).collect(),
    }
}

fn value(fields: &Fields<'_>) -> CodeValue {
    CodeValue {
        code: text_of(fields, "cd").unwrap_or_default(),
        name: text_of(fields, "cdNm").unwrap_or_default(),
        extra: text_of(fields, "userDfnCd1"),
    }
}

fn text_of(fields: &Fields<'_>, key: &str) -> Option<String> {
    fields
        .text(key)
        .map(|text| text::clip(&text, TEXT_CHARS_MAX))
}

impl CodeList {
    /// The tax rates that KRA publishes (code class 04), if each of the five is there once, as a
    /// percentage from 0 to 100.
    pub fn tax_rates(&self) -> Option<TaxRates> {
        let class = self.classes.iter().find(|class| class.code == "04")?;
        TaxType::ALL
            .iter()
            .try_fold(TaxRates::default(), |rates, tax_type| {
                let mut values = class
                    .values
                    .iter()
                    .filter(|value| value.code == tax_type.as_str());
                let value = values.next().filter(|_| values.next().is_none())?;
                Some(rates.with(*tax_type, percent(value.extra.as_ref()?)?))
            })
    }
}

fn percent(text: &str) -> Option<Decimal> {
    let percent = Decimal::from_str_exact(text.trim_end_matches('%').trim()).ok()?;
    (Decimal::ZERO..=Decimal::ONE_HUNDRED)
        .contains(&percent)
        .then_some(percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(percents: &[(&str, &str)]) -> Option<TaxRates> {
        let values = percents.iter().map(|(code, extra)| CodeValue {
            code: (*code).to_owned(),
            name: String::new(),
            extra: Some((*extra).to_owned()),
        });
        let class = CodeClass {
            code: "04".to_owned(),
            name: String::new(),
            values: values.collect(),
        };
        CodeList {
            classes: vec![class],
        }
        .tax_rates()
    }

    #[test]
    fn rates_are_read_as_decimals_with_or_without_a_sign() {
        let read = rates(&[
            ("A", "0"),
            ("B", "16"),
            ("C", "0%"),
            ("D", "0"),
            ("E", "7.5 %"),
        ]);
        let rates = read.unwrap();
        assert_eq!(rates.rate(TaxType::B), Decimal::from(16));
        assert_eq!(rates.rate(TaxType::E), Decimal::new(75, 1));
    }

    #[test]
    fn a_list_that_leaves_a_rate_open_gives_none() {
        let rest = [("A", "0"), ("B", "16"), ("C", "0"), ("D", "0")];
        let with = |more: &[(&str, &str)]| rates(&[&rest[..], more].concat());
        assert!(with(&[("E", "8")]).is_some());
        assert_eq!(with(&[]), None, "one is missing");
        assert_eq!(with(&[("E", "8"), ("E", "0")]), None, "one is there twice");
        for bad in ["", "-1", "101", "eight", "8,5", "1e1"] {
            assert_eq!(with(&[("E", bad)]), None, "{bad}");
        }
    }
}
