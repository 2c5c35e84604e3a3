//! Bad answers at scale (`make fuzz`).
//!
//! Whatever comes back is classified. Nothing counts as a receipt that another reading of the same
//! bytes does not prove.

use std::path::Path;

use proptest::prelude::*;
use proptest::sample::select;
use risiti_domain::Dialect;
use risiti_hostile::{Body, CANARY, Json, any_bytes, config, corpus, damage, damage_bytes};

use crate::answer::Answer;
use crate::http::HttpAnswer;
use crate::outcome::{LookUpOutcome, SendOutcome};
use crate::profile::sample;
use crate::receipt::Receipt;
use crate::{code_list, initialise, look_up, sale, text};

/// The number that is sent or looked up.
const ASKED: i64 = 1;

/// Every answer in the facts, wrapped or not, of every dialect. KRA's member names show which they
/// are.
fn known_answers() -> Vec<Json> {
    let mut found = Vec::new();
    for (_, file) in corpus(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/facts")) {
        let file = Json::read(std::str::from_utf8(&file).unwrap());
        file.each(&mut |value| {
            let Json::Members(members) = value else {
                return;
            };
            let has = |name: &str| {
                members
                    .iter()
                    .any(|(member, _)| member.trim_matches('"').trim() == name)
            };
            if has("resultCd") || has("responseHeader") || has("fault") {
                found.push(value.clone());
            }
        });
    }
    assert!(found.len() > 20, "{}", found.len());
    found
}

/// A status and a body.
fn answers() -> impl Strategy<Value = (u16, Body)> {
    const STATUSES: &[u16] = &[
        100, 201, 204, 301, 304, 307, 400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503,
        504,
    ];
    let known = known_answers();
    let whole: Vec<Vec<u8>> = known
        .iter()
        .map(|answer| answer.to_string().into_bytes())
        .collect();
    let body = prop_oneof![
        6 => select(known).prop_flat_map(damage).prop_map(|body| Body(body.to_string().into_bytes())),
        3 => select(whole).prop_flat_map(damage_bytes),
        1 => any_bytes(200),
    ];
    (
        prop_oneof![4 => Just(200), 1 => select(STATUSES), 1 => 0u16..700],
        body,
    )
}

/// The member of that name. An exact name wins over one with blanks around it, and several have to
/// agree.
fn member<'a>(of: &'a Json, name: &str) -> Option<&'a Json> {
    let Json::Members(members) = of else {
        return None;
    };
    let named: Vec<(String, &Json)> = members
        .iter()
        .map(|(name, value)| Some((serde_json::from_str::<String>(name).ok()?, value)))
        .collect::<Option<_>>()?;
    let mut same: Vec<&Json> = named
        .iter()
        .filter(|(member, _)| member == name)
        .map(|(_, value)| *value)
        .collect();
    if same.is_empty() {
        same = named
            .iter()
            .filter(|(member, _)| member.trim() == name)
            .map(|(_, value)| *value)
            .collect();
    }
    same.windows(2)
        .all(|two| two[0] == two[1])
        .then(|| same.first().copied())
        .flatten()
}

fn text_of(of: &Json, name: &str) -> Option<String> {
    member(of, name)?
        .text()
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
}

/// Reads a whole number by its digits.
fn whole_number(text: &str) -> Option<i64> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i64 = exponent.parse().ok()?;
    let minus = mantissa.starts_with('-');
    let unsigned = mantissa.trim_start_matches(['-', '+']);
    let (before, after) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let mut digits = format!("{before}{after}");
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) || exponent.abs() > 60 {
        return None;
    }
    let mut power = exponent - i64::try_from(after.len()).ok()?;
    while power < 0 {
        if digits.pop().is_some_and(|last| last != '0') {
            return None;
        }
        power += 1;
    }
    digits.extend((0..power).map(|_| '0'));
    let number: i64 = if digits.is_empty() {
        0
    } else {
        digits.parse().ok()?
    };
    Some(if minus { -number } else { number })
}

/// Reads the body as a tree, and returns its code and the data that belongs to the code.
fn code_and_data(body: &[u8]) -> Option<(String, Option<Json>)> {
    let top = Json::try_read(std::str::from_utf8(body).ok()?)?;
    let result = match text_of(&top, "resultCd") {
        Some(_) => &top,
        None => member(&top, "responseBody")?,
    };
    Some((
        text_of(result, "resultCd")?,
        member(result, "data").cloned(),
    ))
}

fn says_success(code: &str) -> bool {
    matches!(code, "000" | "00" | "0" | "0000")
}

fn receipt_number(of: &Json) -> Option<i64> {
    let number = |name| text_of(of, name).as_deref().and_then(whole_number);
    number("curRcptNo")
        .or_else(|| number("rcptNo"))
        .filter(|number| *number > 0)
}

fn receipt_is_proven(receipt: &Receipt, by: &Json) -> Result<(), TestCaseError> {
    prop_assert_eq!(Some(receipt.receipt_no), receipt_number(by));
    let texts = [
        &receipt.signature,
        &receipt.internal_data,
        &receipt.control_unit_id,
    ];
    for text in texts.into_iter().flatten() {
        prop_assert!(
            !text.contains(char::is_control) && text.chars().count() <= 64 && !text.is_empty()
        );
    }
    Ok(())
}

fn may_be_stored(answer: &Answer) -> Result<(), TestCaseError> {
    let shown = format!("{answer} {answer:?}");
    prop_assert!(
        !shown.contains("254708374149") && !shown.contains("the-cmc-key"),
        "{shown}"
    );
    prop_assert!(
        answer.message.chars().count() <= 300 && !answer.message.contains(char::is_control)
    );
    prop_assert!(
        answer
            .code
            .as_ref()
            .is_none_or(|code| code.chars().count() <= 16 && !code.contains(char::is_control))
    );
    Ok(())
}

proptest! {
    #![proptest_config(config("sale-answers"))]

    #[test]
    fn any_answer_to_a_sale_is_classified((status, body) in answers(), dialect in select(Dialect::ALL)) {
        let http = HttpAnswer { status, retry_after: None, body: body.0 };
        let profile = sample(dialect);
        let outcome = sale::read(&profile, &http, ASKED);
        prop_assert_eq!(&outcome, &sale::read(&profile, &http, ASKED));
        if let Some(answer) = outcome.answer() {
            may_be_stored(answer)?;
        }
        let proof = code_and_data(&http.body);
        match outcome {
            SendOutcome::Ok(receipt) => {
                prop_assert!((200..300).contains(&http.status), "under {}", http.status);
                let Some((code, Some(data))) = proof else { return Err(TestCaseError::fail("no data")) };
                prop_assert!(says_success(&code), "{code}");
                receipt_is_proven(&receipt, &data)?;
            }
            // A refusal gives the number back unless a look-up comes first (protocol D10).
            SendOutcome::Refused { look_up_first, .. } => {
                prop_assert!(!proof.is_some_and(|(code, _)| says_success(&code)));
                prop_assert!(look_up_first || http.status < 500);
            }
            SendOutcome::NotSent(_) => prop_assert!(false, "an answer proves that something was sent"),
            _ => {}
        }
        // The other readers accept any answer too.
        let _ = code_list::read(&profile, &http).map(|list| list.tax_rates());
        if let Ok(done) = initialise::read(&profile, &http) {
            prop_assert!(code_and_data(&http.body).is_some_and(|(code, _)| says_success(&code)));
            prop_assert!(done.cmc_key.is_some() || dialect == Dialect::Vscu);
        }
    }
}

proptest! {
    #![proptest_config(config("look-up-answers"))]

    #[test]
    fn any_answer_to_a_look_up_is_classified((status, body) in answers(), dialect in select(vec![Dialect::Legacy, Dialect::Gateway])) {
        let http = HttpAnswer { status, retry_after: None, body: body.0 };
        let outcome = look_up::read(&sample(dialect), &http, ASKED);
        let proof = code_and_data(&http.body);
        let sales = |data: &Option<Json>| match member(data.as_ref()?, "salesList")? {
            Json::List(sales) => Some(sales.clone()),
            _ => None,
        };
        match outcome {
            LookUpOutcome::Found(found) => {
                let Some((code, data)) = proof else { return Err(TestCaseError::fail("no code")) };
                prop_assert!(says_success(&code) && http.status < 500);
                let sales = sales(&data).unwrap_or_default();
                let numbered = |sale: &&Json| text_of(sale, "invcNo").as_deref().and_then(whole_number) == Some(ASKED);
                let of_it: Vec<&Json> = sales.iter().filter(numbered).collect();
                let sale = match (&of_it[..], &sales[..]) {
                    ([sale], _) => *sale,
                    ([], [only]) if text_of(only, "invcNo").is_none() => only,
                    _ => return Err(TestCaseError::fail("not one sale of that number")),
                };
                prop_assert_eq!(found.invoice_no, ASKED);
                let remark = text_of(sale, "remark").map(|remark| text::clip(&remark, 400));
                prop_assert_eq!(&found.remark, &remark);
                let Some(receipt) = member(sale, "receipt") else { return Err(TestCaseError::fail("no receipt")) };
                receipt_is_proven(&found.receipt, receipt)?;
            }
            // After this the number may be used again, or given back (protocol D8, D10).
            LookUpOutcome::Absent(answer) => {
                may_be_stored(&answer)?;
                let Some((code, data)) = proof else { return Err(TestCaseError::fail("no code")) };
                let nothing = says_success(&code) && sales(&data).is_some_and(|sales| sales.is_empty());
                prop_assert!(http.status < 500 && (matches!(&*code, "001" | "01" | "1") || nothing));
            }
            LookUpOutcome::NoAnswer(answer) | LookUpOutcome::Halt { answer, .. } => may_be_stored(&answer)?,
            LookUpOutcome::Unsupported => prop_assert!(false, "both dialects can be asked"),
        }
    }

    /// Wherever KRA's text is cut, a phone or a key is hidden whole or is not there.
    #[test]
    fn no_part_of_a_secret_is_shown(before in "[m-z ]{0,320}", key in "[A-Z0-9]{23}7", after in "[m-z ]{0,40}") {
        let shown = text::message_without(&[CANARY], &format!("{before} 254708374149 {CANARY} {key} {after}"));
        for secret in ["254708374149", CANARY, key.as_str()] {
            let half = &secret[..secret.len() / 2];
            prop_assert!(!shown.contains(half), "{half} in {shown}");
        }
    }
}

#[test]
fn the_other_reading_knows_whole_numbers() {
    for (text, expected) in [
        ("1", Some(1)),
        ("1.0", Some(1)),
        ("1e3", Some(1000)),
        ("10e-1", Some(1)),
        ("-0", Some(0)),
        ("-5", Some(-5)),
        ("1.5", None),
        ("0.99999999999999999999999999999", None),
        ("1_000", None),
        ("x", None),
        ("", None),
    ] {
        assert_eq!(whole_number(text), expected, "{text:?}");
    }
}

/// The corpus is written by hand. None of its answers accepts a sale.
#[test]
fn nothing_in_the_corpus_is_a_receipt() {
    for (name, body) in corpus(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")) {
        for dialect in Dialect::ALL {
            let http = HttpAnswer {
                status: 200,
                retry_after: None,
                body: body.clone(),
            };
            let outcome = sale::read(&sample(*dialect), &http, ASKED);
            assert!(
                !matches!(outcome, SendOutcome::Ok(_)),
                "{name}: {outcome:?}"
            );
            let found = look_up::read(&sample(*dialect), &http, ASKED);
            assert!(
                !matches!(found, LookUpOutcome::Found(_)),
                "{name}: {found:?}"
            );
        }
    }
}
