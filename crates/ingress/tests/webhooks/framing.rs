//! HTTP framing, valid and not. Nothing is accepted that was not whole, nothing is answered with
//! 500, and no request can be read in two ways.

use std::collections::{BTreeSet, VecDeque};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use risiti_hostile::{Body, config, damage_bytes};

use crate::fixture::{Fixture, Ingress};
use crate::framing_cases::{CONNECTION_CLOSE, Case, FramingCases, Requests};
use crate::raw_http::{assert_unharmed, exchange, take_queued};

/// How many of the last exchanges a queued body may belong to.
const EXCHANGES_KEPT: usize = 20;

/// Sends the case. Each webhook that is answered 200 must be in the queue, byte for byte and once.
/// Apart from them, the queue holds only unreadable bodies.
async fn check(fixture: &Fixture, ingress: &Ingress, case: &Case) {
    let answers = exchange(ingress.address, &[&case.bytes]).await;
    let name = case.name;
    let statuses = answers.statuses();
    assert!(
        case.allowed.contains(&statuses.as_slice()),
        "{name}: {answers:?}"
    );

    let (readable, unreadable): (Vec<_>, Vec<_>) = take_queued(fixture)
        .await
        .into_iter()
        .partition(|(_, readable)| *readable);
    assert_eq!(readable.len(), answers.accepted(), "{name}: {answers:?}");
    for ((body, _), expected) in readable.iter().zip(&case.bodies) {
        assert_eq!(String::from_utf8_lossy(body), *expected, "{name}");
    }
    assert!(readable.len() <= case.accepted_max(), "{name}");
    let refused = statuses.iter().filter(|status| **status == 422).count();
    assert!(unreadable.len() <= refused, "{name}");
}

#[tokio::test]
async fn valid_framing_is_accepted_and_other_framing_refused() {
    let fixture = Fixture::start().await;
    let ingress = fixture.ingress().body_timeout("1s").ready().await;

    let mut cases = FramingCases::new(fixture.stk_path());
    for case in &cases.all {
        check(&fixture, &ingress, case).await;
    }

    // A valid request that arrives byte by byte is read like one that arrives in one piece.
    let body = cases.requests.new_body();
    let whole = cases.requests.request(&body, CONNECTION_CLOSE);
    let pieces: Vec<&[u8]> = whole.as_bytes().chunks(1).collect();
    let answers = exchange(ingress.address, &pieces).await;
    assert_eq!(answers.accepted(), 1);
    assert_eq!(take_queued(&fixture).await, [(body.into_bytes(), true)]);
    assert_unharmed(&fixture, &ingress).await;
}

/// Up to three pipelined requests, all with a length or all in chunks.
fn pipelined(requests: &mut Requests, number: u32) -> String {
    let last = number % 3;
    let written = (0..=last).map(|position| {
        let body = requests.new_body();
        let lines = if position == last {
            CONNECTION_CLOSE
        } else {
            ""
        };
        if number.is_multiple_of(2) {
            requests.request(&body, lines)
        } else {
            let head = requests.head(&format!("transfer-encoding: chunked\r\n{lines}"));
            format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
        }
    });
    written.collect()
}

/// The bytes with some damage anywhere, and up to three places where they are cut into pieces.
fn damaged(bytes: String) -> impl Strategy<Value = (Body, Vec<Index>)> {
    (
        damage_bytes(bytes.into_bytes()),
        proptest::collection::vec(any::<Index>(), 0..4),
    )
}

fn cut_into_pieces<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    ends.extend([0, bytes.len()]);
    ends.sort_unstable();
    ends.windows(2)
        .map(|pair| &bytes[pair[0]..pair[1]])
        .collect()
}

/// Whether the sent bytes hold the body, byte for byte and in order. The damage may have cut a
/// chunk in two, so other bytes may stand in between.
fn is_within(body: &[u8], sent: &[u8]) -> bool {
    let mut rest = sent.iter();
    body.iter()
        .all(|byte| rest.any(|candidate| candidate == byte))
}

#[tokio::test]
async fn framing_damaged_anywhere_queues_only_what_was_sent() {
    let fixture = Fixture::start().await;
    let ingress = fixture.ingress().body_timeout("1s").ready().await;

    let mut requests = Requests::new(fixture.stk_path());
    let settings = config("http-framing");
    let cases = settings.cases;
    let mut runner = TestRunner::new(settings);
    let mut recent = VecDeque::new();
    let mut queued = BTreeSet::new();
    for number in 0..cases {
        let (Body(sent), cuts) = damaged(pipelined(&mut requests, number))
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let answers = exchange(ingress.address, &cut_into_pieces(&sent, &cuts)).await;
        let shown = Body(sent.clone());
        assert!(
            answers.statuses().iter().all(|status| *status < 500),
            "{answers:?} to {shown:?}"
        );

        let readable: Vec<_> = take_queued(&fixture)
            .await
            .into_iter()
            .filter(|(_, readable)| *readable)
            .collect();
        // A connection that ends in garbage may lose an answer although its webhook is queued.
        assert!(
            readable.len() >= answers.accepted(),
            "{answers:?} to {shown:?}"
        );

        recent.push_front(sent);
        recent.truncate(EXCHANGES_KEPT);
        for (body, _) in readable {
            assert!(
                recent.iter().any(|sent| is_within(&body, sent)),
                "{:?} of {shown:?}",
                Body(body)
            );
            assert!(queued.insert(body), "queued twice: {shown:?}");
        }
    }
    assert_unharmed(&fixture, &ingress).await;
}
