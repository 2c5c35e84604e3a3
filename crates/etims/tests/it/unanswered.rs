//! Calls that end without an answer, or with an unusable one. Only a failed connection counts as
//! not sent (protocol D7).

use std::time::Duration;

use risiti_domain::Dialect;
use risiti_etims::{Answer, Client, ClientSettings, SendOutcome};
use tokio::net::TcpListener;

use crate::fake_host::{FakeHost, Reply};
use crate::fixture::{profile, test_settings};

/// Sends one sale to a server that does this with it. Also returns how many requests arrived.
async fn send_to(settings: ClientSettings, reply: fn() -> Reply) -> (SendOutcome, usize) {
    let server = FakeHost::start(move |_| async move { reply() }).await;
    let device = profile(Dialect::Legacy, &format!("http://{}", server.address));
    let outcome = Client::new(settings).unwrap().send(&device, b"{}", 1).await;
    (outcome, server.requests().len())
}

fn short_timeout() -> ClientSettings {
    ClientSettings {
        call_timeout: Duration::from_millis(300),
        ..test_settings()
    }
}

fn unknown(outcome: SendOutcome) -> Answer {
    assert!(outcome.leaves_number_unknown());
    match outcome {
        SendOutcome::Unknown(answer) => answer,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_refused_connection_sends_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let device = profile(Dialect::Legacy, &format!("http://{address}"));
    let outcome = Client::new(test_settings())
        .unwrap()
        .send(&device, b"{}", 1)
        .await;
    assert!(!outcome.leaves_number_unknown());
    let SendOutcome::NotSent(answer) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(
        answer.against_host && !answer.message.contains("http://"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_name_that_does_not_resolve_sends_nothing() {
    let device = profile(Dialect::Legacy, "http://no-such-host.invalid");
    let outcome = Client::new(test_settings())
        .unwrap()
        .send(&device, b"{}", 1)
        .await;
    assert!(matches!(outcome, SendOutcome::NotSent(_)), "{outcome:?}");
}

#[tokio::test]
async fn a_handshake_that_never_ends_sends_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let device = profile(
        Dialect::Legacy,
        &format!("https://{}", silent.local_addr().unwrap()),
    );
    let settings = ClientSettings {
        connect_timeout: Duration::from_millis(300),
        ..test_settings()
    };
    let outcome = Client::new(settings).unwrap().send(&device, b"{}", 1).await;
    assert!(matches!(outcome, SendOutcome::NotSent(_)), "{outcome:?}");
}

#[tokio::test]
async fn no_answer_in_time_is_unknown() {
    let (outcome, requests) = send_to(short_timeout(), || Reply::Stall(Vec::new())).await;
    assert!(unknown(outcome).against_host);
    assert_eq!(requests, 1);
}

#[tokio::test]
async fn an_answer_that_stops_half_way_is_unknown() {
    const HALF: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"resultCd\":\"000\",";
    let (outcome, requests) = send_to(short_timeout(), || Reply::Stall(HALF.to_vec())).await;
    assert!(unknown(outcome).against_host);
    assert_eq!(requests, 1);
}

#[tokio::test]
async fn a_dropped_connection_is_unknown() {
    let (outcome, requests) = send_to(test_settings(), || Reply::Drop).await;
    assert!(unknown(outcome).against_host);
    assert_eq!(requests, 1, "nothing may be sent again without a look-up");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (outcome, requests) = send_to(test_settings(), || {
        Reply::Answer(307, "location: /elsewhere\r\n", String::new())
    })
    .await;
    assert_eq!(unknown(outcome).http_status, Some(307));
    assert_eq!(requests, 1);
}

#[tokio::test]
async fn an_answer_longer_than_the_limit_is_unknown() {
    let settings = ClientSettings {
        answer_bytes_max: 1_000,
        ..test_settings()
    };
    let long = || {
        let filler = "x".repeat(1_000);
        Reply::Answer(
            200,
            "",
            format!(r#"{{"resultCd":"000","data":{{"curRcptNo":1}},"x":"{filler}"}}"#),
        )
    };
    let answer = unknown(send_to(settings, long).await.0);
    assert!(
        answer.message.contains("longer than 1000 bytes"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn an_endless_answer_is_unknown() {
    let settings = ClientSettings {
        answer_bytes_max: 1_000,
        ..test_settings()
    };
    let endless = || {
        let mut bytes = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        bytes.extend(
            b"64\r\n"
                .iter()
                .chain([b' '; 100].iter())
                .chain(b"\r\n")
                .copied()
                .cycle()
                .take(5_000),
        );
        Reply::Stall(bytes)
    };
    let answer = unknown(send_to(settings, endless).await.0);
    assert!(
        answer.message.contains("longer than 1000 bytes"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_page_or_nothing_under_200_is_unknown() {
    for body in ["<html>Welcome</html>", "", "[]", "null"] {
        let server =
            FakeHost::start(move |_| async move { Reply::Answer(200, "", body.to_owned()) }).await;
        let device = profile(Dialect::Legacy, &format!("http://{}", server.address));
        let outcome = Client::new(test_settings())
            .unwrap()
            .send(&device, b"{}", 1)
            .await;
        let answer = unknown(outcome);
        assert!(
            answer.against_host && !answer.message.contains("Welcome"),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn too_many_requests_ask_for_a_pause() {
    let busy = || Reply::Answer(429, "retry-after: 120\r\n", String::new());
    let (outcome, _) = send_to(test_settings(), busy).await;
    let SendOutcome::Retry(answer) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(answer.retry_after, Some(Duration::from_secs(120)));
    assert!(answer.against_host);
}

#[tokio::test]
async fn an_unusable_setting_halts_before_anything_is_sent() {
    let server = FakeHost::start(|_| async { Reply::Drop }).await;
    let mut device = profile(Dialect::Legacy, &format!("http://{}", server.address));
    device.cmc_key = None;
    let outcome = Client::new(test_settings())
        .unwrap()
        .send(&device, b"{}", 1)
        .await;
    assert!(matches!(outcome, SendOutcome::Halt { .. }), "{outcome:?}");
    assert_eq!(server.connections(), 0);
}
