//! The directory of merchants: its changes, its copy on disk, and the key it is encrypted under.

use risiti_ledger::{NewAccount, Vault};
use risiti_testkit::{Link, eventually};

use crate::fixture::{
    CREDENTIALS_KEY, DEADLINE, Fixture, OTHER_CREDENTIALS_KEY, PAYSTACK_KEY, stk_path_of,
    stk_success,
};

#[tokio::test]
async fn restart_without_postgres_serves_from_the_copy_on_disk() {
    let fixture = Fixture::start().await;
    let first = fixture.ingress().ready().await;
    let copy = std::fs::read_to_string(first.directory_copy().await).unwrap();
    assert!(!copy.contains(&fixture.secret) && !copy.contains(PAYSTACK_KEY));

    let postgres = Link::to(fixture.database.url()).await;
    postgres.cut();
    let second = fixture
        .ingress()
        .database(&postgres)
        .data_dir(first.data.path())
        .ready()
        .await;

    let body = stk_success("UIS4000009");
    assert_eq!(second.post_stk(body.clone()).await.status(), 200);
    // Ingress does not know now whether this merchant exists. That is its own trouble, not the
    // sender's.
    let unknown = stk_path_of(&"0".repeat(32));
    assert_eq!(second.post(&unknown, body).await.status(), 503);
}

#[tokio::test]
async fn wrong_credentials_key_ends_the_program_with_2() {
    let fixture = Fixture::start().await;
    let (code, log) = fixture
        .ingress()
        .env("RISITI_CREDENTIALS_KEY", OTHER_CREDENTIALS_KEY)
        .run_to_exit()
        .await;
    assert_eq!(code, Some(2));
    assert!(log.contains("RISITI_CREDENTIALS_KEY"), "{log}");
}

#[tokio::test]
async fn replacing_the_key_at_run_time_costs_no_webhook() {
    let fixture = Fixture::start().await;
    let ingress = fixture.ingress().ready().await;

    let new = OTHER_CREDENTIALS_KEY.into();
    let old = CREDENTIALS_KEY.into();
    let vault = Vault::new(&new, Some(&old)).unwrap();
    fixture.ledger.reencrypt(&vault).await.unwrap();
    ingress.wait_until_unready().await;

    let known = ingress.post_stk(stk_success("UIS4000016")).await;
    assert_eq!(known.status(), 200);
    let unknown = stk_path_of(&"0".repeat(32));
    assert_eq!(ingress.post(&unknown, "{}").await.status(), 503);
}

#[tokio::test]
async fn new_merchant_is_served_without_a_restart() {
    let fixture = Fixture::start().await;
    let ingress = fixture.ingress().ready().await;

    let secret = fixture.add_merchant("baraka", "Baraka Mini Mart").await;
    let account = NewAccount::Gumroad {
        seller_id: "s".into(),
    };
    fixture.add_account("baraka", account).await;

    let path = format!("/webhooks/gumroad/{secret}");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let ping = include_str!("../../../providers/fixtures/gumroad/sale_ping.txt");
    eventually("the new merchant is served", DEADLINE, async || {
        (ingress.post_with(&path, ping, &form).await.status() == 200).then_some(())
    })
    .await;
}
