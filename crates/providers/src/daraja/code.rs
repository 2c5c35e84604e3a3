//! Result codes, which are numbers in some messages and strings in others, and the meaning of
//! STK's.

use std::borrow::Cow;

use crate::Unreadable;
use crate::event::Outcome;
use crate::json::Object;

/// The only code of success.
pub(super) const DONE: &str = "0";

/// The result code as text. A missing, null or blank code is unreadable and never 0. Elsewhere, a
/// body of nulls once counted as paid (`fbiego/MpesaSTK` issue 1).
pub(super) fn result_code<'a>(object: &Object<'a>) -> Result<Cow<'a, str>, Unreadable> {
    let code = object
        .text("ResultCode")?
        .ok_or_else(|| object.missing("ResultCode"))?;

    let is_code = code.len() <= 32
        && code
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    if is_code {
        Ok(code)
    } else {
        Err(Unreadable::new(
            object.path_of("ResultCode"),
            "is no result code",
        ))
    }
}

/// What a code other than 0 says about an STK push. Only the code decides, because the description
/// of one code differs by channel.
pub(super) fn stk_outcome(code: &str) -> Outcome {
    let meaning = match code {
        "1" => "the payer's balance is too low",
        "2" => "below the minimum per transaction",
        "3" => "above the maximum per transaction",
        "4" => "would exceed the payer's daily limit",
        "8" => "would exceed the receiver's maximum balance",
        "17" => "same amount from the same payer within two minutes",
        "26" => "M-Pesa was busy",
        "1001" => "the payer's line is locked or in another transaction",
        "1019" => "expired",
        "1025" => "the prompt could not be sent",
        "1031" | "1032" => "cancelled by the payer",
        "1036" => "the prompt was not acknowledged in time",
        "1037" => "the phone was not reachable or did not answer",
        "2001" => "wrong PIN, or invalid initiator credentials",
        "2028" => "transaction type or receiver does not fit the product; check the configuration",
        "8006" => "the security credential is locked",
        "SFC_IC0003" => "the receiver does not exist",
        "4999" => return Outcome::unknown("4999: still being processed"),
        // Integrators do not count it as a failure: they query the outcome before giving up.
        "9999" => {
            return Outcome::unknown(
                "9999: the prompt could not be sent, or its outcome is not known",
            );
        }
        _ => return Outcome::unknown(format!("{code}: a result code that is not documented")),
    };
    Outcome::Failed {
        reason: format!("{code}: {meaning}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn code_of(value: &str) -> Result<String, Unreadable> {
        let json = format!(r#"{{"ResultCode":{value}}}"#);
        json::read(json.as_bytes(), |root| {
            Ok(result_code(&root.object()?)?.into_owned())
        })
    }

    #[test]
    fn numbers_and_strings_read_as_the_same_code() {
        for (value, code) in [
            ("0", "0"),
            (r#""0""#, "0"),
            (r#"" 1032 ""#, "1032"),
            (r#""SFC_IC0003""#, "SFC_IC0003"),
        ] {
            assert_eq!(code_of(value), Ok(code.to_owned()));
        }
    }

    #[test]
    fn nothing_but_0_reads_as_success() {
        for value in [
            "null",
            r#""""#,
            r#"" ""#,
            "false",
            "[]",
            "[0]",
            "{}",
            r#""0:1""#,
            r#""0\u0000""#,
            "1e+5",
        ] {
            assert!(code_of(value).is_err(), "{value}");
        }
        for value in ["0.0", "-0", "0e1", r#""00""#, r#""O""#] {
            let code = code_of(value).unwrap();
            assert_ne!(code, DONE, "{value}");
            assert!(
                matches!(stk_outcome(&code), Outcome::Unknown { .. }),
                "{value}"
            );
        }
    }

    #[test]
    fn documented_codes_fail_and_others_are_unknown() {
        for code in [
            "1", "2", "3", "4", "8", "17", "26", "1001", "1019", "1025", "1031", "1032", "1036",
            "1037",
        ]
        .into_iter()
        .chain(["2001", "2028", "8006", "SFC_IC0003"])
        {
            let Outcome::Failed { reason } = stk_outcome(code) else {
                panic!("{code} is a failure")
            };
            assert!(reason.starts_with(&format!("{code}: ")));
        }
        for code in ["4999", "9999", "5", "01032", "sfc_ic0003"] {
            let Outcome::Unknown { reason } = stk_outcome(code) else {
                panic!("{code} is not known")
            };
            assert!(reason.starts_with(&format!("{code}: ")));
        }
    }
}
