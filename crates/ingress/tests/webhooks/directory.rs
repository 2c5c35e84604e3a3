//! The directory of merchants: its changes, its copy on disk, and the key it is encrypted under.

use std::process::Command;
use std::time::Duration;

use risiti_ledger::{NewAccount, Vault};
use risiti_testkit::{Link, eventually};

use crate::fixture::{
    CREDENTIALS_KEY, DEADLINE, Fixture, Ingress, JSON, OTHER_CREDENTIALS_KEY, PAYSTACK_KEY,
    daraja_account, stk_path_of, stk_success,
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

/// Opening a pipe that nobody reads hangs, as every write to a disk that hangs does.
fn hang_writes_of_the_copy(data: &std::path::Path) {
    let made = Command::new("mkfifo")
        .arg(data.join("directory.json.new"))
        .status()
        .unwrap();
    assert!(made.success());
}

#[tokio::test]
async fn new_merchant_is_served_while_the_disk_hangs() {
    let fixture = Fixture::start().await;
    let data = tempfile::tempdir().unwrap();
    hang_writes_of_the_copy(data.path());
    let mut ingress = fixture.ingress().data_dir(data.path()).ready().await;

    for (slug, short_code, receipt) in [
        ("baraka", "700001", "UIS6500001"),
        ("chui", "700002", "UIS6500002"),
    ] {
        let secret = fixture.add_merchant(slug, slug).await;
        let account = NewAccount::Daraja {
            short_codes: vec![short_code.into()],
            allow_cidrs: Vec::new(),
            enforce: false,
        };
        fixture.add_account(slug, account).await;
        let path = stk_path_of(&secret);
        eventually("the new merchant is served", DEADLINE, async || {
            let answer = ingress.post(&path, stk_success(receipt)).await;
            (answer.status() == 200).then_some(())
        })
        .await;
    }

    // The write that hangs does not keep the program from ending.
    ingress.stop().await;
}

/// What is stored once the disk answers again is the newest directory.
#[tokio::test]
async fn newest_directory_is_stored_when_the_disk_is_back() {
    let fixture = Fixture::start().await;
    let data = tempfile::tempdir().unwrap();
    hang_writes_of_the_copy(data.path());
    let ingress = fixture.ingress().data_dir(data.path()).ready().await;
    let last = fixture.add_merchant("zawadi", "Zawadi").await;
    eventually("the new merchant is known", DEADLINE, async || {
        let answer = ingress.post(&format!("/x/{last}"), "{}").await;
        assert_eq!(answer.status(), 404);
        ingress.process.log().contains("zawadi").then_some(())
    })
    .await;

    // The next write finds no pipe any more. Reading the pipe ends the write that hangs.
    let pipe = data.path().join("directory.json.new");
    let elsewhere = data.path().join("pipe");
    std::fs::hard_link(&pipe, &elsewhere).unwrap();
    std::fs::remove_file(&pipe).unwrap();
    drop(std::fs::File::open(&elsewhere).unwrap());
    eventually("the newest directory is on disk", DEADLINE, async || {
        let copy = std::fs::read_to_string(data.path().join("directory.json")).ok()?;
        copy.contains("zawadi").then_some(())
    })
    .await;
}

/// Signs with another key, and comes from a source that is not on the list.
async fn refused(fixture: &Fixture, ingress: &Ingress) -> [u16; 3] {
    let wrong = "0".repeat(128);
    let headers = [JSON, ("x-paystack-signature", wrong.as_str())];
    let unsigned = ingress
        .post_with("/webhooks/paystack/acme", "{}", &headers)
        .await;
    let elsewhere = ingress.post_stk(stk_success("UIS6600001")).await;
    let unknown = ingress.post(&stk_path_of(&"0".repeat(40)), "{}").await;
    assert_eq!(fixture.queued().await, 0);
    [unsigned, elsewhere, unknown].map(|answer| answer.status().as_u16())
}

/// The key or the range that would let the webhook in may have been added meanwhile.
#[tokio::test]
async fn nothing_is_refused_by_an_outdated_directory() {
    let fixture = Fixture::start().await;
    let enforced = daraja_account(&["196.201.0.0/16"], true);
    fixture.add_account("acme", enforced).await;
    let postgres = Link::to(fixture.database.url()).await;
    let ingress = fixture
        .ingress()
        .database(&postgres)
        .env("RISITI_TRUSTED_PROXIES", "127.0.0.0/8")
        .ready()
        .await;
    eventually("the directory is fresh", DEADLINE, async || {
        (refused(&fixture, &ingress).await == [401, 403, 404]).then_some(())
    })
    .await;

    // The network swallows everything and closes no connection.
    postgres.freeze();
    let limit = Duration::from_secs(5);
    eventually("the directory is outdated", limit, async || {
        (refused(&fixture, &ingress).await == [503, 503, 503]).then_some(())
    })
    .await;

    // Those that it knows are served all the same.
    let listed = [JSON, ("x-forwarded-for", "196.201.214.200")];
    let path = fixture.stk_path();
    let answer = ingress
        .post_with(&path, stk_success("UIS6600002"), &listed)
        .await;
    assert_eq!(answer.status(), 200);
}

/// A process that was frozen finds requests waiting before it hears of what changed meanwhile.
#[tokio::test]
async fn thawed_ingress_refuses_no_merchant_added_meanwhile() {
    let fixture = Fixture::start().await;
    let ingress = fixture.ingress().ready().await;
    ingress.process.freeze();
    let secret = fixture.add_merchant("baraka", "Baraka").await;
    let account = NewAccount::Gumroad {
        seller_id: "s".into(),
    };
    fixture.add_account("baraka", account).await;

    let path = format!("/webhooks/gumroad/{secret}");
    let posting = ingress.post_with(&path, "resource_name=sale", &[]);
    let thawing = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        ingress.process.thaw();
    };
    let (answer, ()) = tokio::join!(posting, thawing);
    assert_ne!(answer.status(), 404);
}
