//! TLS to Postgres, where the connection string demands it: everything goes through it, and only to
//! a proven server.

use std::time::Duration;

use risiti_ledger::{DatabaseSettings, Ledger, watch_directory};
use risiti_testkit::{Authority, TestDatabase, TlsFront, eventually};
use tokio_util::sync::CancellationToken;

fn ledger(url: &str) -> Ledger {
    let settings = DatabaseSettings {
        url: url.into(),
        pool_size: 2,
        role: None,
        application_name: "risiti-test",
    };
    Ledger::open(settings).expect("a test's settings")
}

/// A URL of the front that demands TLS in this mode with this root.
fn url(front: &TlsFront, mode: &str, authority: &Authority) -> String {
    format!(
        "{}?sslmode={mode}&sslrootcert={}",
        front.url("postgres"),
        authority.root().display()
    )
}

fn chain(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(Some(error), |error| error.source());
    sources
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

#[tokio::test]
async fn pool_migrations_listener_and_lock_go_through_tls() {
    let database = TestDatabase::create().await;
    let authority = Authority::new();
    // The front closes a connection that does not ask for TLS first.
    let front = TlsFront::to(database.url(), &authority, "localhost").await;
    risiti_ledger::migrate(&url(&front, "verify-full", &authority).as_str().into())
        .await
        .unwrap();
    for mode in ["require", "verify-ca", "verify-full"] {
        ledger(&url(&front, mode, &authority))
            .check_schema()
            .await
            .unwrap();
    }
    let ledger = ledger(&url(&front, "require", &authority));
    assert!(ledger.lock_replay().await.unwrap().is_some());

    let cancel = CancellationToken::new();
    let mut views = watch_directory(ledger.clone(), Duration::from_secs(600), cancel.clone());
    views.wait_for(|view| view.is_fresh()).await.unwrap();
    ledger
        .create_merchant("acme", "Acme Ltd", None)
        .await
        .unwrap();
    let notified = views.wait_for(|view| {
        view.directory
            .as_ref()
            .is_some_and(|all| all.merchants().len() == 1)
    });
    tokio::time::timeout(Duration::from_secs(30), notified)
        .await
        .expect("notified, long before the timer")
        .unwrap();
    cancel.cancel();
}

#[tokio::test]
async fn a_server_that_cannot_prove_itself_gets_no_password() {
    let database = TestDatabase::create().await;
    let authority = Authority::new();
    let front = TlsFront::to(database.url(), &authority, "localhost").await;
    let elsewhere = TlsFront::to(database.url(), &authority, "elsewhere.test").await;
    let stranger = Authority::new();
    let no_roots = format!("{}?sslmode=require", front.url("postgres"));
    for (mode, url) in [
        ("another name", url(&elsewhere, "require", &authority)),
        ("another name", url(&elsewhere, "verify-ca", &authority)),
        ("another authority", url(&front, "require", &stranger)),
        ("the platform's roots", no_roots),
        (
            "no TLS there",
            format!("{}?sslmode=require", database.url()),
        ),
    ] {
        let error = ledger(&url).check_writable().await.expect_err(mode);
        assert!(
            error.is_transient(),
            "{mode}: a certificate may be renewed: {error:?}"
        );
        let text = chain(&error);
        assert!(text.contains("TLS"), "{mode}: {text}");
        let password = url::Url::parse(&url).unwrap();
        if let Some(password) = password.password() {
            assert!(
                !format!("{text} {error:?}").contains(password),
                "{mode}: {text}"
            );
        }
    }
}

#[tokio::test]
async fn silent_server_is_given_up_on() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!(
        "postgres://u:p@{}/d?sslmode=require",
        listener.local_addr().unwrap()
    );
    let ledger = ledger(&silent);
    for connecting in [
        eventually("the pool gives up", Duration::from_secs(60), async || {
            ledger.check_writable().await.err()
        })
        .await,
        eventually("migrations give up", Duration::from_secs(60), async || {
            risiti_ledger::migrate(&silent.as_str().into()).await.err()
        })
        .await,
    ] {
        assert!(connecting.is_transient(), "{connecting:?}");
    }
}
