//! The directory as ingress follows it: every change arrives, and a lost database is noticed.

use std::time::Duration;

use risiti_ledger::{
    DatabaseSettings, DirectoryView, KeyCheck, Ledger, NewAccount, Vault, watch_directory,
};
use risiti_testkit::{Link, TestDatabase, eventually};
use secrecy::ExposeSecret as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const BOUND: Duration = Duration::from_secs(30);
/// Longer than any test, so that whatever arrives does so by notification.
const NEVER: Duration = Duration::from_secs(3600);

fn open(url: &str, role: Option<&'static str>) -> Ledger {
    let settings = DatabaseSettings {
        url: url.into(),
        pool_size: 2,
        role,
        application_name: "test",
    };
    Ledger::open(settings).expect("a test's settings")
}

fn ledger(url: &str) -> Ledger {
    open(url, Some("risiti_ingress"))
}

fn admin(url: &str) -> Ledger {
    open(url, None)
}

fn vault(byte: char) -> Vault {
    let key = format!("{}=", byte.to_string().repeat(43));
    Vault::new(&key.into(), None).expect("a key")
}

async fn migrated() -> TestDatabase {
    let database = TestDatabase::create().await;
    risiti_ledger::migrate(&database.url().into())
        .await
        .expect("the schema");
    database
}

async fn seen(
    view: &mut watch::Receiver<DirectoryView>,
    what: &str,
    condition: impl FnMut(&DirectoryView) -> bool,
) -> DirectoryView {
    let found = tokio::time::timeout(BOUND, view.wait_for(condition)).await;
    found
        .unwrap_or_else(|_| panic!("never saw {what}"))
        .expect("the watcher lives")
        .clone()
}

fn has(view: &DirectoryView, slug: &str) -> bool {
    view.directory
        .as_ref()
        .is_some_and(|directory| directory.by_slug(slug).is_some())
}

#[tokio::test]
async fn changes_arrive_by_notification() {
    let database = migrated().await;
    let admin = admin(database.url());
    let mut view = watch_directory(ledger(database.url()), NEVER, CancellationToken::new());
    seen(&mut view, "the empty directory", |view| {
        view.is_fresh() && view.directory.is_some()
    })
    .await;

    let (_, secret) = admin.create_merchant("acme", "Acme", None).await.unwrap();
    let now = seen(&mut view, "the merchant", |view| has(view, "acme")).await;
    let directory = now.directory.unwrap();
    assert_eq!(
        directory.by_secret(secret.expose_secret()).unwrap().slug,
        "acme"
    );
    assert_eq!(directory.prove_key(&vault('A')), KeyCheck::NothingSealedYet);

    let paystack = NewAccount::Paystack {
        key: "sk_live_1".into(),
    };
    admin
        .add_account("acme", &paystack, Some(&vault('A')))
        .await
        .unwrap();
    let with_key = |view: &DirectoryView| {
        let merchant = view
            .directory
            .as_ref()
            .and_then(|directory| directory.by_slug("acme"));
        merchant.is_some_and(|merchant| merchant.paystack.is_some())
    };
    let now = seen(&mut view, "the signing key", with_key).await;
    let directory = now.directory.unwrap();
    assert_eq!(directory.prove_key(&vault('A')), KeyCheck::Right);
    assert_eq!(directory.prove_key(&vault('E')), KeyCheck::Wrong);
    let key = &directory
        .by_slug("acme")
        .unwrap()
        .paystack
        .as_ref()
        .unwrap()
        .keys[0];
    assert_eq!(key.open(&vault('A')).unwrap().expose_secret(), "sk_live_1");
    assert_eq!(key.live, Some(true));

    let daraja = NewAccount::Daraja {
        short_codes: vec!["174379".to_owned()],
        allow_cidrs: vec!["196.201.0.0/16".to_owned()],
        enforce: true,
    };
    admin.add_account("acme", &daraja, None).await.unwrap();
    let enforced = |view: &DirectoryView| {
        let merchant = view
            .directory
            .as_ref()
            .and_then(|directory| directory.by_slug("acme"));
        merchant
            .and_then(|merchant| merchant.daraja.as_ref())
            .is_some_and(|daraja| daraja.enforce)
    };
    let now = seen(&mut view, "the ranges", enforced).await;
    let directory = now.directory.unwrap();
    let daraja = directory.by_slug("acme").unwrap().daraja.clone().unwrap();
    assert_eq!(
        (daraja.short_codes, daraja.allow_cidrs),
        (vec!["174379".to_owned()], vec!["196.201.0.0/16".to_owned()])
    );
    assert!(
        !serde_json::to_string(&*directory)
            .unwrap()
            .contains("sk_live_1")
    );
}

#[tokio::test]
async fn old_path_secret_works_until_the_overlap_ends() {
    let database = migrated().await;
    let admin = admin(database.url());
    let (_, old) = admin.create_merchant("acme", "Acme", None).await.unwrap();
    let (new, until) = admin
        .rotate_path_secret("acme", Duration::from_secs(3600))
        .await
        .unwrap();
    let directory = ledger(database.url()).directory().await.unwrap();
    assert!(directory.by_secret(old.expose_secret()).is_some());
    assert!(directory.by_secret(new.expose_secret()).is_some());
    let later = until.unwrap() + Duration::from_secs(1);
    assert!(directory.by_secret_at(old.expose_secret(), later).is_none());
    assert!(directory.by_secret_at(new.expose_secret(), later).is_some());
}

#[tokio::test]
async fn lost_database_leaves_the_last_view_marked_not_fresh() {
    let database = migrated().await;
    let admin = admin(database.url());
    admin.create_merchant("acme", "Acme", None).await.unwrap();
    let link = Link::to(database.url()).await;
    let mut view = watch_directory(ledger(link.url()), NEVER, CancellationToken::new());
    seen(&mut view, "the merchant", |view| {
        view.is_fresh() && has(view, "acme")
    })
    .await;

    link.cut();
    eventually("the loss is noticed", BOUND, async || {
        (!view.borrow().is_fresh()).then_some(())
    })
    .await;
    assert!(has(&view.borrow(), "acme"));
    admin.create_merchant("later", "Later", None).await.unwrap();

    link.restore();
    seen(&mut view, "what changed meanwhile", |view| {
        view.is_fresh() && has(view, "later")
    })
    .await;
}

/// A network that swallows everything closes no connection. Nobody is told that a merchant is unknown
/// on the word of a directory that may be out of date (protocol A6).
#[tokio::test]
async fn silent_network_makes_the_view_outdated_within_5_s() {
    let database = migrated().await;
    let link = Link::to(database.url()).await;
    let mut view = watch_directory(ledger(link.url()), NEVER, CancellationToken::new());
    let loaded = seen(&mut view, "the empty directory", |view| view.is_fresh()).await;

    link.freeze();
    let limit = Duration::from_secs(5);
    eventually("the view is outdated", limit, async || {
        (!view.borrow().is_fresh()).then_some(())
    })
    .await;
    assert!(!loaded.is_fresh());

    link.restore();
    eventually("the database is there again", BOUND, async || {
        view.borrow().is_fresh().then_some(())
    })
    .await;
    assert!(loaded.is_fresh(), "it is still the newest version");
}

#[tokio::test]
async fn timer_reloads_after_a_lost_notification() {
    let database = migrated().await;
    database
        .connect()
        .await
        .batch_execute("ALTER TABLE merchants DISABLE TRIGGER directory_changed")
        .await
        .unwrap();
    database
        .connect()
        .await
        .batch_execute("ALTER TABLE webhook_secrets DISABLE TRIGGER directory_changed")
        .await
        .unwrap();
    let mut view = watch_directory(
        ledger(database.url()),
        Duration::from_millis(50),
        CancellationToken::new(),
    );
    seen(&mut view, "the empty directory", |view| view.is_fresh()).await;
    admin(database.url())
        .create_merchant("acme", "Acme", None)
        .await
        .unwrap();
    seen(&mut view, "the merchant", |view| has(view, "acme")).await;
}

#[tokio::test]
async fn cancelled_watcher_ends() {
    let database = migrated().await;
    let cancel = CancellationToken::new();
    let mut view = watch_directory(ledger(database.url()), NEVER, cancel.clone());
    seen(&mut view, "the empty directory", |view| view.is_fresh()).await;
    cancel.cancel();
    let ended = async { while view.changed().await.is_ok() {} };
    tokio::time::timeout(BOUND, ended).await.unwrap();
}
