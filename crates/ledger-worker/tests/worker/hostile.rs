//! Any bytes under any headers, in the queues that this program reads. Each message ends as an
//! event or as a dead letter, nothing is lost, and the good ones among them are recorded.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use risiti_domain::MerchantId;
use risiti_hostile::{Body, Json, any_bytes, config, corpus, damage, damage_bytes};
use risiti_providers::{Channel, Envelope, parse};
use risiti_queue::{Message, Target};
use serde_json::Value;
use uuid::Uuid;

use crate::fixture::{Fixture, terminate_cleanly};

/// A good message is sent after each group of this many bad ones.
const GOOD_EVERY: usize = 10;

/// A channel, a body that may be meant for another channel, and members of the envelope and headers
/// to add or replace.
type Bad = (Channel, Body, Vec<(String, String)>);

/// Members of an envelope, as opposed to headers.
const MEMBERS: &[&str] = &[
    "event_id",
    "merchant_id",
    "channel",
    "format",
    "authenticated_by",
    "received_at",
    "traceparent",
    "gumroad_seller_id",
    "paystack_live",
];

fn bad() -> impl Strategy<Value = Bad> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../providers/fixtures");
    let whole: Vec<Vec<u8>> = corpus(&fixtures)
        .into_iter()
        .map(|(_, body)| body)
        .collect();
    let json: Vec<Json> = whole
        .iter()
        .filter_map(|body| Json::try_read(std::str::from_utf8(body).ok()?))
        .collect();
    let body = prop_oneof![
        4 => select(json).prop_flat_map(damage).prop_map(|body| Body(body.to_string().into_bytes())),
        2 => select(whole.clone()).prop_flat_map(damage_bytes),
        2 => select(whole).prop_map(Body),
        1 => any_bytes(300),
    ];
    let name = prop_oneof![
        4 => select(MEMBERS).prop_map(str::to_owned),
        1 => select(vec!["risiti-envelope", "risiti-replays", "risiti-dead-letter-id"])
            .prop_map(str::to_owned),
        1 => "[\\x00-~é]{1,12}",
    ];
    let value = prop_oneof![
        ".{0,30}",
        "[\\x00-~]{0,30}",
        select(vec![
            "",
            "\0",
            "gumroad",
            "form",
            "-009999-01-02T00:00:00Z",
            "9999-12-30T22:00:00Z",
            "00000000-0000-0000-0000-000000000000"
        ])
        .prop_map(str::to_owned),
        (300usize..3_000).prop_map(|n| "v".repeat(n)),
    ];
    let headers =
        prop_oneof![2 => Just(Vec::new()), 1 => proptest::collection::vec((name, value), 1..5)];
    (select(Channel::ALL), body, headers)
}

fn message(fixture: &Fixture, (channel, Body(body), changes): Bad) -> Message {
    let mut message = fixture.message(fixture.merchant, body);
    let mut envelope: Value = serde_json::from_str(&message.headers["risiti-envelope"]).unwrap();
    envelope["channel"] = channel.as_str().into();
    let mut headers = BTreeMap::new();
    for (name, value) in changes {
        if MEMBERS.contains(&name.as_str()) {
            envelope[name] = value.into();
        } else if !name.starts_with("x-") {
            headers.insert(name, value);
        }
    }

    message
        .headers
        .insert("risiti-envelope".to_owned(), envelope.to_string());
    message.headers.extend(headers);
    message
}

/// Whether the message's event is stored, or else its dead letter.
async fn is_kept(fixture: &Fixture, message: &Message) -> bool {
    let event = Envelope::from_headers(&message.headers)
        .ok()
        .and_then(|envelope| {
            let event = parse(
                envelope.channel,
                envelope.format,
                &message.body,
                &envelope.account,
            )
            .ok()?
            .delivered_as(envelope.event_id);
            Some((
                envelope.merchant_id.uuid(),
                envelope.channel.provider().to_string(),
                event.delivery_key,
            ))
        });
    let row = fixture
        .client
        .query_one(
            "SELECT EXISTS (SELECT FROM events WHERE merchant_id = $1 AND provider = $2 AND delivery_key = $3)
                 OR EXISTS (SELECT FROM dead_letters WHERE body = $4)",
            &[
                &event.as_ref().map(|(merchant, ..)| *merchant),
                &event.as_ref().map(|(_, provider, _)| provider),
                &event.as_ref().map(|(.., key)| key),
                &&message.body[..],
            ],
        )
        .await
        .unwrap();
    row.get(0)
}

#[tokio::test]
async fn any_message_ends_as_an_event_or_a_dead_letter() {
    let fixture = Fixture::new().await;
    let settings = config("amqp-messages");
    let cases = usize::try_from(settings.cases).unwrap();
    let mut runner = TestRunner::new(settings);
    let strategy = bad();
    let mut sent = Vec::new();
    for n in 0..cases {
        let bad = message(&fixture, strategy.new_tree(&mut runner).unwrap().current());
        let target = if n % 8 == 7 {
            Target::Suspects
        } else {
            Target::Payments
        };
        fixture.publish(target, bad.clone()).await;
        sent.push(bad);
        if n % GOOD_EVERY == 0 {
            fixture
                .publish(target, fixture.stk(&format!("GOOD{n:06}")))
                .await;
        }
    }
    for suffix in ["payments", "suspects"] {
        for (body, header_bytes) in [(&b""[..], 0), (b"\0", 300), (b"{}", 70_000)] {
            fixture
                .namespace
                .publish_strange(suffix, &[body, suffix.as_bytes()].concat(), header_bytes)
                .await;
            let headers = BTreeMap::new();
            let body = [body, b"strange", suffix.as_bytes()].concat().into();
            let strange = Message {
                id: Uuid::nil(),
                headers,
                body,
            };
            fixture.publish(Target::Payments, strange.clone()).await;
            sent.push(strange);
        }
    }
    let mut worker = fixture.worker();
    fixture.wait_for_depth(Target::Payments, 0).await;
    fixture.wait_for_depth(Target::Suspects, 0).await;
    let good = i64::try_from(cases.div_ceil(GOOD_EVERY)).unwrap();
    fixture
        .wait_for_number(
            "SELECT count(*) FROM payments WHERE state = 'success' AND money_key LIKE 'GOOD%'",
            good,
        )
        .await;
    fixture.wait_for_number("SELECT count(*) FROM dead_letters WHERE merchant_id IS NULL AND body LIKE '%payments'::bytea AND body NOT LIKE '%strange%'::bytea", 3).await;
    fixture
        .wait_for_number("SELECT count(*) FROM suspects WHERE closed_at IS NULL", 0)
        .await;
    for message in &sent {
        assert!(
            is_kept(&fixture, message).await,
            "{:?}: {:?}",
            Body(message.body.to_vec()),
            message.headers
        );
    }
    assert!(worker.try_exit().is_none(), "{}", worker.log());
    // A message of an unknown merchant is no event.
    let stranger = MerchantId::from_uuid(Uuid::nil());
    assert_eq!(
        fixture
            .query_number(&format!(
                "SELECT count(*) FROM events WHERE merchant_id = '{stranger}'"
            ))
            .await,
        0
    );
    let log = terminate_cleanly(worker).await;
    assert!(
        !log.contains("panicked") && !log.contains("254708374149"),
        "{log}"
    );
}
