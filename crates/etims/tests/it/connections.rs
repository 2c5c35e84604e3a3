//! One pool of connections for all calls, with the paths and headers of each dialect.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use risiti_domain::Dialect;
use risiti_etims::{Client, ClientSettings, SendOutcome};
use tokio::sync::Barrier;

use crate::fake_host::{FakeHost, Reply, Request};
use crate::fixture::{profile, test_settings};

const ACCEPTED: &str =
    r#"{"resultCd":"000","resultMsg":"It is succeeded","data":{"curRcptNo":"1"}}"#;

async fn accept(_: Request) -> Reply {
    Reply::Answer(200, "", ACCEPTED.to_owned())
}

#[tokio::test]
async fn connections_are_reused() {
    let server = FakeHost::start(accept).await;
    let client = Client::new(test_settings()).unwrap();
    let device = profile(Dialect::Legacy, &format!("http://{}", server.address));
    for number in 1..=20 {
        let outcome = client.send(&device, b"{}", number).await;
        assert!(matches!(outcome, SendOutcome::Ok(_)), "{outcome:?}");
    }
    assert_eq!((server.requests().len(), server.connections()), (20, 1));
}

#[tokio::test]
async fn connections_are_reused_over_tls() {
    let (server, authority) = FakeHost::start_tls(accept).await;
    let client = Client::new(ClientSettings {
        extra_root_pem: Some(authority),
        ..test_settings()
    })
    .unwrap();
    let device = profile(Dialect::Legacy, &format!("https://{}", server.address));
    for number in 1..=20 {
        let outcome = client.send(&device, b"{}", number).await;
        assert!(matches!(outcome, SendOutcome::Ok(_)), "{outcome:?}");
    }
    assert_eq!((server.requests().len(), server.connections()), (20, 1));
}

#[tokio::test]
async fn nothing_is_sent_to_an_untrusted_certificate() {
    let (server, _) = FakeHost::start_tls(accept).await;
    let device = profile(Dialect::Legacy, &format!("https://{}", server.address));
    let outcome = Client::new(test_settings())
        .unwrap()
        .send(&device, b"{}", 1)
        .await;
    assert!(
        matches!(&outcome, SendOutcome::NotSent(answer) if answer.against_host),
        "{outcome:?}"
    );
    assert!(server.requests().is_empty());
}

#[test]
fn a_broken_root_certificate_is_refused() {
    assert!(
        Client::new(ClientSettings {
            extra_root_pem: Some(b"PEM".to_vec()),
            ..test_settings()
        })
        .is_err()
    );
}

#[tokio::test]
async fn each_dialect_has_its_paths_and_headers() {
    let server = FakeHost::start(|request| async move {
        let token = r#"{"access_token":"the-token","expires_in":"3599"}"#;
        let body = if request.method == "GET" {
            token
        } else {
            ACCEPTED
        };
        Reply::Answer(200, "", body.to_owned())
    })
    .await;
    let client = Client::new(test_settings()).unwrap();
    for (dialect, base, path, headers) in [
        (
            Dialect::Legacy,
            "/etims-api",
            "/etims-api/saveTrnsSalesOsdc",
            &["tin", "bhfid", "cmckey"][..],
        ),
        (
            Dialect::Legacy,
            "/etims-api/",
            "/etims-api/saveTrnsSalesOsdc",
            &["tin", "bhfid", "cmckey"],
        ),
        (
            Dialect::Gateway,
            "/etims-oscu/api/v1",
            "/etims-oscu/api/v1/sendSalesTransaction",
            &["tin", "bhfid", "cmckey", "authorization", "apigee_app_id"],
        ),
        (Dialect::Vscu, "", "/trnsSales/saveSales", &[]),
    ] {
        let device = profile(dialect, &format!("http://{}{base}", server.address));
        client.send(&device, br#"{"totAmt":86.21}"#, 1).await;
        let request = server.requests().pop().unwrap();
        assert_eq!(
            (request.method.as_str(), request.target.as_str()),
            ("POST", path)
        );
        assert_eq!(request.body, br#"{"totAmt":86.21}"#);
        assert_eq!(request.headers["content-type"], "application/json");
        for name in ["tin", "bhfid", "cmckey", "authorization", "apigee_app_id"] {
            assert_eq!(
                request.headers.contains_key(name),
                headers.contains(&name),
                "{dialect} {name}"
            );
        }
    }
    let gateway = &server.requests()[3];
    assert_eq!(gateway.headers["authorization"], "Bearer the-token");
    assert_eq!(gateway.headers["tin"], "P000000001A");
    assert_eq!(gateway.headers["bhfid"], "00");
    assert_eq!(gateway.headers["cmckey"], "the-cmc-key");
}

/// The host answers only once two calls are in. With fewer places no call would end, and with more
/// the count would pass two.
#[tokio::test]
async fn calls_at_once_are_limited() {
    let at_once = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let pair = Arc::new(Barrier::new(2));
    let server = FakeHost::start({
        let most = Arc::clone(&most);
        move |_| {
            let (at_once, most, pair) =
                (Arc::clone(&at_once), Arc::clone(&most), Arc::clone(&pair));
            async move {
                most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                pair.wait().await;
                at_once.fetch_sub(1, Ordering::SeqCst);
                Reply::Answer(200, "", ACCEPTED.to_owned())
            }
        }
    })
    .await;
    let client = Client::new(ClientSettings {
        calls_max: 2,
        ..test_settings()
    })
    .unwrap();
    let device = profile(Dialect::Legacy, &format!("http://{}", server.address));
    let calls: Vec<_> = (1..=8)
        .map(|number| {
            let (client, device) = (client.clone(), device.clone());
            tokio::spawn(async move { client.send(&device, b"{}", number).await })
        })
        .collect();
    for call in calls {
        assert!(matches!(call.await.unwrap(), SendOutcome::Ok(_)));
    }
    assert_eq!(most.load(Ordering::SeqCst), 2);
}
