//! HTTP framing, right and wrong: nothing is accepted that was not whole, nothing is answered with a 500, and
//! two readings of one request are never possible.

use std::collections::{BTreeSet, VecDeque};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use risiti_hostile::{Body, config, damage_bytes};

use crate::raw::{lives_on, say, taken};
use crate::script::{Case, Script};
use crate::stage::{Ingress, Stage};

/// Whatever is answered with 200 is in the queue, byte for byte and once; nothing else is, but what could not
/// be read.
async fn holds(stage: &Stage, ingress: &Ingress, case: &Case) {
    let answers = say(ingress.address, &[&case.says]).await;
    let name = case.name;
    assert!(
        case.answers.contains(&&answers.statuses()[..]),
        "{name}: {answers:?}"
    );
    let (readable, unreadable): (Vec<_>, Vec<_>) = taken(stage)
        .await
        .into_iter()
        .partition(|(_, readable)| *readable);
    assert_eq!(readable.len(), answers.accepted(), "{name}: {answers:?}");
    for ((body, _), expected) in readable.iter().zip(&case.bodies) {
        assert_eq!(String::from_utf8_lossy(body), *expected, "{name}");
    }
    assert!(readable.len() <= case.takes, "{name}");
    assert!(
        unreadable.len()
            <= answers
                .statuses()
                .iter()
                .filter(|status| **status == 422)
                .count(),
        "{name}"
    );
}

#[tokio::test]
async fn framing_by_the_book_and_not() {
    let stage = Stage::set().await;
    let ingress = stage
        .ingress_with(|program| program.env("RISITI_BODY_TIMEOUT", "1s"))
        .await;
    let mut script = Script::new(stage.stk());
    for case in &script.cases {
        holds(&stage, &ingress, case).await;
    }
    // Torn anywhere: as if in one piece.
    let body = script.body();
    let whole = script.whole(&body, "connection: close\r\n");
    let bytes: Vec<&[u8]> = whole.as_bytes().chunks(1).collect();
    assert_eq!(say(ingress.address, &bytes).await.accepted(), 1);
    assert_eq!(taken(&stage).await, [(body.into_bytes(), true)]);
    lives_on(&stage, &ingress).await;
}

/// Pipelined requests with a few bytes wrong anywhere, torn anywhere.
fn damaged(wholes: Vec<String>) -> impl Strategy<Value = (Body, Vec<Index>)> {
    (
        damage_bytes(wholes.concat().into_bytes()),
        proptest::collection::vec(any::<Index>(), 0..4),
    )
}

/// Byte for byte, in this order; a chunk may have been cut in two by the damage.
fn is_within(body: &[u8], says: &[u8]) -> bool {
    let mut rest = says.iter();
    body.iter().all(|byte| rest.any(|said| said == byte))
}

#[tokio::test]
async fn framing_damaged_anywhere() {
    let stage = Stage::set().await;
    let ingress = stage
        .ingress_with(|program| program.env("RISITI_BODY_TIMEOUT", "1s"))
        .await;
    let mut script = Script::new(stage.stk());
    let settings = config("http-framing");
    let cases = settings.cases;
    let mut runner = TestRunner::new(settings);
    let (mut lately, mut queued) = (VecDeque::new(), BTreeSet::new());
    for n in 0..cases {
        let wholes = (0..=n % 3).map(|at| {
            let body = script.body();
            let last = if at == n % 3 {
                "connection: close\r\n"
            } else {
                ""
            };
            if n % 2 == 0 {
                script.whole(&body, last)
            } else {
                let head = script.head(&format!("transfer-encoding: chunked\r\n{last}"));
                format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
            }
        });
        let (Body(says), torn) = damaged(wholes.collect())
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let mut ends: Vec<usize> = torn.iter().map(|at| at.index(says.len() + 1)).collect();
        ends.extend([0, says.len()]);
        ends.sort_unstable();
        let pieces: Vec<&[u8]> = ends.windows(2).map(|two| &says[two[0]..two[1]]).collect();
        let answers = say(ingress.address, &pieces).await;
        let said = Body(says.clone());
        assert!(
            answers.statuses().iter().all(|status| *status < 500),
            "{answers:?} to {said:?}"
        );
        let taken: Vec<_> = taken(&stage)
            .await
            .into_iter()
            .filter(|(_, readable)| *readable)
            .collect();
        // A connection that ends in garbage may lose an answer, and a webhook on its way is queued nevertheless.
        assert!(taken.len() >= answers.accepted(), "{answers:?} to {said:?}");
        lately.push_front(says);
        lately.truncate(20);
        for (body, _) in taken {
            assert!(
                lately.iter().any(|says| is_within(&body, says)),
                "{:?} of {said:?}",
                Body(body)
            );
            assert!(queued.insert(body), "queued twice: {said:?}");
        }
    }
    lives_on(&stage, &ingress).await;
}
