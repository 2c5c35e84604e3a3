//! Bodies of real shape with something wrong in them, and bytes without any shape.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;
use risiti_hostile::{Body, Json, any_bytes, config, damage, damage_bytes};
use risiti_providers::{BodyFormat, Channel, parse};

use crate::guarantees::check;
use crate::{account, corpus, forms, package};

/// Every fixture with the channel it would come in on. Gumroad's forms are turned into JSON.
pub(crate) fn shapes() -> Vec<(Channel, Json)> {
    let shape = |(name, body): (String, Vec<u8>)| {
        let text = String::from_utf8(body).unwrap();
        let file = name.rsplit('/').next().unwrap().to_owned();
        if name.contains("/gumroad/") {
            let fields = forms::pairs(text.trim().as_bytes());
            let members = fields
                .into_iter()
                .map(|(name, value)| (Json::quoted(&name).to_string(), Json::quoted(&value)));
            return (Channel::Gumroad, Json::Members(members.collect()));
        }
        let channel = match file.as_str() {
            _ if name.contains("/paystack/") => Channel::Paystack,
            "queue_timeout_echo.json" => Channel::DarajaTimeout,
            "c2b_validation.json" => Channel::DarajaC2bValidation,
            file if file.starts_with("c2b_") => Channel::DarajaC2bConfirmation,
            file if file.contains("_result") => Channel::DarajaResult,
            _ => Channel::DarajaStk,
        };
        (channel, Json::read(&text))
    };
    risiti_hostile::corpus(&package("fixtures"))
        .into_iter()
        .map(shape)
        .collect()
}

#[test]
fn corpus_keeps_the_guarantees() {
    for (name, channel, format, body) in corpus() {
        if let Err(broken) = check(channel, format, &body) {
            panic!("{name}: {broken}");
        }
    }
}

/// Only the inputs with `paid_` in their name report a payment.
#[test]
fn corpus_is_not_paid_by_accident() {
    for (name, channel, format, body) in corpus() {
        let read = parse(channel, format, &body, &account());
        let paid = read.is_ok_and(|event| event.facts.outcome == "succeeded");
        assert_eq!(paid, name.contains("paid_"), "{name}");
    }
}

#[test]
fn json_with_damaged_structure_keeps_the_guarantees() {
    let shapes = shapes();
    assert!(shapes.len() > 50);
    let strategy = select(shapes).prop_flat_map(|(channel, whole)| (Just(channel), damage(whole)));
    let property = |(channel, body): (Channel, Json)| {
        check(channel, BodyFormat::Json, body.to_string().as_bytes()).map(drop)
    };
    run("webhook-json", strategy, property);
}

#[test]
fn damaged_bytes_keep_the_guarantees() {
    let mut whole: Vec<(Channel, BodyFormat, Vec<u8>)> = shapes()
        .into_iter()
        .map(|(channel, body)| (channel, BodyFormat::Json, body.to_string().into_bytes()))
        .collect();
    whole.extend(
        forms::fixtures()
            .into_iter()
            .map(|form| (Channel::Gumroad, BodyFormat::Form, form)),
    );
    let damaged = select(whole)
        .prop_flat_map(|(channel, format, body)| (Just(channel), Just(format), damage_bytes(body)));
    let any = (
        select(Channel::ALL),
        select(vec![BodyFormat::Json, BodyFormat::Form]),
        any_bytes(400),
    );
    let property = |(channel, format, body): (Channel, BodyFormat, Body)| {
        check(channel, format, &body.0).map(drop)
    };
    run(
        "webhook-bytes",
        prop_oneof![3 => damaged, 1 => any],
        property,
    );
}

/// Does what `proptest!` does, but with a strategy that is made at run time. Failures are kept
/// beside this folder's `main.rs`.
pub(crate) fn run<S: Strategy>(
    target: &str,
    strategy: S,
    property: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let mut settings = config(target);
    settings.source_file = Some(file!());
    settings.test_name = Some(Box::leak(target.to_owned().into_boxed_str()));
    if let Err(broken) = TestRunner::new(settings).run(&strategy, property) {
        panic!("{target}: {broken}");
    }
}
