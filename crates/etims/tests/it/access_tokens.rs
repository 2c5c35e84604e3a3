//! The gateway's access token. It is fetched once, replaced when it ends, and never changes what is
//! sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use risiti_domain::Dialect;
use risiti_etims::{CallError, Client, DeviceProfile, HaltReason, SendOutcome};

use crate::fake_host::{FakeHost, Reply, Request};
use crate::fixture::{facts, profile, test_settings};

const BODY: &[u8] = br#"{"invcNo":1,"totAmt":86.21}"#;

fn device(server: &FakeHost) -> DeviceProfile {
    profile(
        Dialect::Gateway,
        &format!("http://{}/etims-oscu/api/v1", server.address),
    )
}

fn token(number: usize, life: &str) -> Reply {
    Reply::Answer(
        200,
        "",
        format!(r#"{{"access_token":"token-{number}","expires_in":{life}}}"#),
    )
}

fn accepted() -> Reply {
    let case = &facts("04_sales_response_variants.json")["gateway_wrapped"]["body"];
    Reply::Answer(200, "", case.to_string())
}

fn token_refused() -> Reply {
    let case = &facts("06_error_responses.json")["gateway_token_invalid"]["body"];
    Reply::Answer(401, "", case.to_string())
}

fn is_fetch(request: &Request) -> bool {
    request.target.starts_with("/v1/token/generate")
}

/// A gateway that numbers its tokens from 1 and answers sales in this way.
async fn gateway(life: &'static str, sale: fn(&str) -> Reply) -> FakeHost {
    let fetched = Arc::new(AtomicUsize::new(0));
    FakeHost::start(move |request| {
        let fetched = Arc::clone(&fetched);
        async move {
            if is_fetch(&request) {
                return token(fetched.fetch_add(1, Ordering::SeqCst) + 1, life);
            }
            sale(&request.headers["authorization"])
        }
    })
    .await
}

fn fetches(server: &FakeHost) -> Vec<Request> {
    server.requests().into_iter().filter(is_fetch).collect()
}

fn sales(server: &FakeHost) -> Vec<Request> {
    server
        .requests()
        .into_iter()
        .filter(|request| !is_fetch(request))
        .collect()
}

#[tokio::test]
async fn one_fetch_serves_all_waiting_calls() {
    for life in ["3599", "\"3599\""] {
        let server = gateway(life, |_| accepted()).await;
        let client = Client::new(test_settings()).unwrap();
        let calls: Vec<_> = (1..=20)
            .map(|number| {
                let (client, device) = (client.clone(), device(&server));
                tokio::spawn(async move { client.send(&device, BODY, number).await })
            })
            .collect();
        for call in calls {
            assert!(matches!(call.await.unwrap(), SendOutcome::Ok(_)));
        }
        let fetches = fetches(&server);
        assert_eq!(fetches.len(), 1);
        assert_eq!(fetches[0].method, "GET");
        assert_eq!(
            fetches[0].target,
            "/v1/token/generate?grant_type=client_credentials"
        );
        assert_eq!(
            fetches[0].headers["authorization"],
            "Basic Y29uc3VtZXIta2V5OmNvbnN1bWVyLXNlY3JldA=="
        );
    }
}

#[tokio::test]
async fn a_token_at_its_end_is_not_used() {
    let server = gateway("0", |_| accepted()).await;
    let client = Client::new(test_settings()).unwrap();
    client.send(&device(&server), BODY, 1).await;
    client.send(&device(&server), BODY, 2).await;
    assert_eq!(fetches(&server).len(), 2);
}

#[tokio::test]
async fn an_expired_token_is_replaced_and_the_bytes_sent_again() {
    let refuse_first = |token: &str| {
        if token == "Bearer token-1" {
            token_refused()
        } else {
            accepted()
        }
    };
    let server = gateway("3599", refuse_first).await;
    let client = Client::new(test_settings()).unwrap();
    let outcome = client.send(&device(&server), BODY, 1).await;
    assert!(matches!(outcome, SendOutcome::Ok(_)), "{outcome:?}");
    let sent: Vec<_> = sales(&server)
        .into_iter()
        .map(|sale| (sale.target, sale.body))
        .collect();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0], sent[1]);
    assert_eq!(sent[0].1, BODY);
    client.send(&device(&server), BODY, 2).await;
    assert_eq!(fetches(&server).len(), 2, "the new token is remembered");
}

#[tokio::test]
async fn an_apigee_fault_under_500_is_an_expired_token() {
    let fault = |token: &str| {
        if token != "Bearer token-1" {
            return accepted();
        }
        let body = r#"{"fault":{"faultstring":"Access Token expired","detail":{}}}"#;
        Reply::Answer(500, "", body.to_owned())
    };
    let server = gateway("3599", fault).await;
    let outcome = Client::new(test_settings())
        .unwrap()
        .send(&device(&server), BODY, 1)
        .await;
    assert!(matches!(outcome, SendOutcome::Ok(_)), "{outcome:?}");
}

#[tokio::test]
async fn a_fresh_token_that_ends_at_once_is_replaced() {
    let refuse_three = |token: &str| {
        if token == "Bearer token-4" {
            accepted()
        } else {
            token_refused()
        }
    };
    let server = gateway("3599", refuse_three).await;
    let outcome = Client::new(test_settings())
        .unwrap()
        .send(&device(&server), BODY, 1)
        .await;
    assert!(matches!(outcome, SendOutcome::Ok(_)), "{outcome:?}");
    let bodies: Vec<_> = sales(&server).into_iter().map(|sale| sale.body).collect();
    assert_eq!(bodies, [BODY; 4]);
}

#[tokio::test]
async fn fresh_tokens_refused_repeatedly_halt() {
    let server = gateway("3599", |_| token_refused()).await;
    let outcome = Client::new(test_settings())
        .unwrap()
        .send(&device(&server), BODY, 1)
        .await;
    assert!(outcome.leaves_number_unknown());
    assert!(
        matches!(
            outcome,
            SendOutcome::Halt {
                reason: HaltReason::Credentials,
                ..
            }
        ),
        "{outcome:?}"
    );
    assert_eq!((fetches(&server).len(), sales(&server).len()), (4, 4));
}

/// The sale went out under the first token. Whatever happens to the second fetch, it is not "not
/// sent".
#[tokio::test]
async fn a_failed_refetch_leaves_the_number_unknown() {
    let fetched = Arc::new(AtomicUsize::new(0));
    let server = FakeHost::start(move |request| {
        let fetched = Arc::clone(&fetched);
        async move {
            match (is_fetch(&request), fetched.load(Ordering::SeqCst)) {
                (true, 0) => token(fetched.fetch_add(1, Ordering::SeqCst), "3599"),
                (true, _) => Reply::Drop,
                (false, _) => token_refused(),
            }
        }
    })
    .await;
    let outcome = Client::new(test_settings())
        .unwrap()
        .send(&device(&server), BODY, 1)
        .await;
    assert!(matches!(outcome, SendOutcome::Unknown(_)), "{outcome:?}");
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let cases: [(fn() -> Reply, bool); 7] = [
        (|| Reply::Drop, false),
        (|| Reply::Answer(503, "", String::new()), false),
        (|| Reply::Answer(200, "", String::new()), false),
        (
            || {
                Reply::Answer(
                    200,
                    "",
                    r#"{"access_token":"two\nlines","expires_in":1}"#.to_owned(),
                )
            },
            false,
        ),
        (
            || {
                Reply::Answer(
                    401,
                    "",
                    r#"{"fault":{"faultstring":"Invalid client"}}"#.to_owned(),
                )
            },
            true,
        ),
        (
            || Reply::Answer(400, "", r#"{"error":"invalid_client"}"#.to_owned()),
            true,
        ),
        (|| Reply::Answer(404, "", String::new()), true),
    ];
    for (case, (reply, halts)) in cases.into_iter().enumerate() {
        let server = FakeHost::start(move |_| async move { reply() }).await;
        let client = Client::new(test_settings()).unwrap();
        let outcome = client.send(&device(&server), BODY, 1).await;
        match &outcome {
            SendOutcome::NotSent(answer) => {
                assert!(!halts && answer.message.starts_with("no token"), "{case}")
            }
            SendOutcome::Halt { .. } => assert!(halts, "{case}"),
            other => panic!("{case}: {other:?}"),
        }
        let check = client.check_token(&device(&server)).await.unwrap_err();
        assert_eq!(
            matches!(check, CallError::Halt { .. }),
            halts,
            "{case}: {check:?}"
        );
        assert!(sales(&server).is_empty(), "{case}");
    }
}

#[tokio::test]
async fn a_failed_fetch_is_shared_by_all_waiting_calls() {
    let server = FakeHost::start(|_| async { Reply::Answer(503, "", String::new()) }).await;
    let client = Client::new(test_settings()).unwrap();
    let device = device(&server);
    // All calls are polled once, so that all wait, before the first can be answered.
    let outcomes = join_all((1..=20).map(|number| client.send(&device, BODY, number))).await;
    assert!(
        outcomes
            .iter()
            .all(|outcome| matches!(outcome, SendOutcome::NotSent(_))),
        "{outcomes:?}"
    );
    assert_eq!(server.requests().len(), 1);
}
