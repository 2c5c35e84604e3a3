//! What holds for every body, whatever it contains.

use proptest::prelude::*;
use risiti_domain::{AuthenticatedBy, Money, Phone};
use risiti_hostile::{CANARY, Json};
use risiti_providers::{
    BodyFormat, Channel, Envelope, Event, EventBody, Outcome, PaymentReport, Unreadable, parse,
    redact,
};

use crate::{account, forms, schoolbook};

/// Checks every guarantee, and returns what the body was read as for further checks.
pub(crate) fn check(
    channel: Channel,
    format: BodyFormat,
    body: &[u8],
) -> Result<Result<Event, Unreadable>, TestCaseError> {
    let mut read = None;
    let memory =
        allocation_counter::measure(|| read = Some(parse(channel, format, body, &account())));
    let read = read.expect("the closure was run");
    prop_assert!(
        memory.bytes_total <= allowed(body.len()),
        "{} for {} bytes",
        memory.bytes_total,
        body.len()
    );
    prop_assert_eq!(&read, &parse(channel, format, body, &account()));
    worker_reads_the_same(channel, format, body, &read)?;

    match &read {
        Ok(event) => {
            is_bounded(event)?;
            amounts_are_written(channel, format, body, event)?;
        }
        Err(why) => holds_no_value(why)?,
    }
    Ok(read)
}

/// The most memory that a body of this size may cost. It grows in proportion to the size.
pub(crate) fn allowed(bytes: usize) -> u64 {
    200 * bytes as u64 + 64 * 1024
}

/// From the redacted body and the headers, a worker reads the same event as ingress.
fn worker_reads_the_same(
    channel: Channel,
    format: BodyFormat,
    body: &[u8],
    read: &Result<Event, Unreadable>,
) -> Result<(), TestCaseError> {
    let kept = redact(channel, body);
    prop_assert_eq!(redact(channel, &kept), kept.as_ref());
    let envelope = Envelope {
        event_id: "01890a5d-ac96-774b-bcce-b302099a8057"
            .parse()
            .expect("an id"),
        merchant_id: "01890a5d-ac96-774b-bcce-b302099a8058"
            .parse()
            .expect("an id"),
        channel,
        format,
        kind: read.as_ref().ok().map(|event| event.kind.clone()),
        delivery_key: read.as_ref().ok().map(|event| event.delivery_key.clone()),
        authenticated_by: AuthenticatedBy::Path,
        credential: None,
        received_at: "2026-09-28T07:15:31.123456789Z".parse().expect("a time"),
        traceparent: None,
        account: account(),
        unreadable: read.as_ref().err().cloned(),
    };

    let headers = envelope.to_headers();
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    // An AMQP frame holds far more.
    prop_assert!(bytes < 8 * 1024);
    let arrived = Envelope::from_headers(&headers);
    prop_assert!(arrived.as_ref() == Ok(&envelope));
    let arrived = arrived.expect("it was just compared");
    let again = parse(arrived.channel, arrived.format, &kept, &arrived.account);
    prop_assert_eq!(&again, read);
    prop_assert_eq!(
        again.as_ref().ok().map(|event| &event.delivery_key),
        arrived.delivery_key.as_ref()
    );
    Ok(())
}

/// Every text and amount is within the bounds of protocol A8.
fn is_bounded(event: &Event) -> Result<(), TestCaseError> {
    let plain = |text: &str| !text.is_empty() && !text.contains(char::is_control);
    let identifier = |text: &str| plain(text) && text.chars().count() <= 128 && text.trim() == text;
    prop_assert!(identifier(&event.kind), "{:?}", event.kind);
    prop_assert!(plain(&event.delivery_key) && event.delivery_key.len() <= 2048);
    prop_assert_eq!(event.facts.digest(), event.facts.digest());
    if let Some(report) = event.body.payment() {
        let texts = [
            &report.money_key,
            &report.checkout_id,
            &report.reference,
            &report.receipt,
            &report.short_code,
        ];
        prop_assert!(
            texts.into_iter().flatten().all(|text| identifier(text)),
            "{report:?}"
        );
        prop_assert!(report.money_key.is_some() || report.checkout_id.is_some());
        prop_assert!(report.amount.is_none_or(is_money));
        prop_assert!(report.phone.as_ref().is_none_or(is_phone));
        prop_assert!(
            report
                .occurred_at
                .is_none_or(|at| (2000..2100).contains(&year(at)))
        );
        is_decided(report)?;
    }
    if let Some(report) = event.body.reversal() {
        prop_assert!(identifier(&report.of_money_key));
        prop_assert!(report.keys().all(|key| plain(key) && key.len() <= 2048));
        prop_assert!(
            report
                .amount
                .is_none_or(|amount| is_money(amount) && !amount.is_zero())
        );
    }
    if let EventBody::Other { .. } = &event.body {
        prop_assert!(event.facts.amount.is_none() && event.facts.receipt.is_none());
    }
    Ok(())
}

fn is_decided(report: &PaymentReport) -> Result<(), TestCaseError> {
    match &report.outcome {
        Outcome::Succeeded => {
            prop_assert!(report.money_key.is_some());
            prop_assert!(report.amount.is_some_and(|amount| !amount.is_zero()));
        }
        Outcome::Failed { reason }
        | Outcome::Unknown { reason }
        | Outcome::Unconfirmed { reason } => {
            prop_assert!(
                !reason.is_empty()
                    && reason.len() <= 200
                    && reason.is_ascii()
                    && !reason.contains('\0')
            );
        }
    }
    Ok(())
}

fn is_money(money: Money) -> bool {
    let amount = money.amount();
    let text = amount.to_string();
    let (whole, cents) = text.split_once('.').unwrap_or((&text, ""));
    !amount.is_sign_negative() && whole.len() <= 12 && cents.len() == 2
}

fn is_phone(phone: &Phone) -> bool {
    let text = phone.as_str();
    let whole = |digits: &str| digits.len() == 12 && digits.starts_with("254");
    text.len() <= 128
        && text.is_ascii()
        && !text.contains(char::is_control)
        && phone.full().is_none_or(whole)
}

fn year(at: jiff::Timestamp) -> i16 {
    at.to_zoned(jiff::tz::TimeZone::UTC).year()
}

/// The amount is that of some number in the body, so it is neither invented nor changed by a float.
/// The arithmetic of this check shares nothing with the parser's.
fn amounts_are_written(
    channel: Channel,
    format: BodyFormat,
    body: &[u8],
    event: &Event,
) -> Result<(), TestCaseError> {
    let Some(amount) = event.facts.amount else {
        return Ok(());
    };
    let mut written = Vec::new();
    if channel == Channel::Gumroad && format == BodyFormat::Form {
        written.extend(forms::pairs(body).into_iter().map(|(_, text)| text));
    } else {
        let json = as_json(body);
        prop_assert!(json.is_some(), "an amount in a body that is not JSON");
        json.unwrap_or(Json::List(Vec::new()))
            .each(&mut |value| written.extend(value.text()));
    }
    let places = if matches!(channel, Channel::Paystack | Channel::Gumroad) {
        2
    } else {
        0
    };
    let shown = amount.amount().to_string();
    let found = written
        .iter()
        .any(|text| schoolbook::amount(text, places).as_ref() == Ok(&shown));
    prop_assert!(found, "{shown} is not in the body");
    Ok(())
}

/// The body as JSON. Bytes that JSON does not allow in a string may stand in the strings.
fn as_json(body: &[u8]) -> Option<Json> {
    let text = String::from_utf8_lossy(body);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let without_controls: String = text
        .chars()
        .map(|c| if c < ' ' { ' ' } else { c })
        .collect();
    Json::try_read(text).or_else(|| Json::try_read(&without_controls))
}

/// An error names a field as the provider writes it and repeats nothing of its value.
fn holds_no_value(why: &Unreadable) -> Result<(), TestCaseError> {
    let said = why.to_string();
    prop_assert!(
        why.field
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._".contains(&b)),
        "{said}"
    );
    prop_assert!(!why.field.is_empty() && said.len() <= 160 && said.is_ascii());
    prop_assert!(!said.contains(CANARY), "{said}");
    let digits = said
        .split(|c: char| !c.is_ascii_digit())
        .map(str::len)
        .max();
    prop_assert!(digits.is_none_or(|run| run <= 3), "{said}");
    Ok(())
}
