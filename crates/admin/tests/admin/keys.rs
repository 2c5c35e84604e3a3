use crate::fixture::{CommandResult, Fixture, KEY, OTHER_KEY, run_to_end};

async fn add_key(fixture: &Fixture, key: &str, old: Option<&str>, secret: &str) -> CommandResult {
    let file = fixture.file(secret, secret);
    let args = [
        "provider",
        "add",
        "--merchant",
        "acme",
        "--provider",
        "paystack",
        "--secret-key-file",
        &file,
    ];
    fixture.run_with_key(key, old, &args).await
}

#[tokio::test]
async fn wrong_credentials_key_stores_nothing() {
    let fixture = Fixture::with_merchant().await;
    add_key(&fixture, OTHER_KEY, None, "sk_live_a")
        .await
        .refused(2, "RISITI_CREDENTIALS_KEY");
    assert_eq!(
        fixture
            .value("SELECT count(*) FROM provider_keys")
            .await
            .unwrap(),
        "0"
    );
    fixture
        .run_with_key(OTHER_KEY, None, &["migrate"])
        .await
        .refused(2, "not the key");
}

#[tokio::test]
async fn reencrypted_secrets_open_only_under_the_new_key() {
    let fixture = Fixture::with_merchant().await;
    add_key(&fixture, KEY, None, "sk_live_a").await.ok();
    let cmc_key = fixture.file("cmc", "the-cmc-key");
    fixture
        .add_device("http://127.0.0.1:1", "00", &["--cmc-key-file", &cmc_key])
        .await
        .ok();

    fixture
        .run_with_key(OTHER_KEY, None, &["keys", "reencrypt"])
        .await
        .refused(2, "not the key");
    // During a change of keys both are set, and a secret may be added.
    add_key(&fixture, OTHER_KEY, Some(KEY), "sk_live_b")
        .await
        .ok();
    let done = fixture
        .run_with_key(OTHER_KEY, Some(KEY), &["keys", "reencrypt"])
        .await
        .ok();
    assert_eq!(
        (&done["provider_keys"], &done["devices"]),
        (&2.into(), &1.into())
    );
    fixture
        .run_with_key(OTHER_KEY, Some(KEY), &["keys", "reencrypt"])
        .await
        .ok();

    // Both stored signing keys open under the new key alone, so that adding either again is
    // noticed.
    for secret in ["sk_live_a", "sk_live_b"] {
        add_key(&fixture, OTHER_KEY, None, secret)
            .await
            .refused(1, "active already");
    }
    add_key(&fixture, KEY, None, "sk_live_c")
        .await
        .refused(2, "not the key");
}

#[tokio::test]
async fn reencrypt_needs_a_key() {
    let fixture = Fixture::new().await;
    run_to_end(fixture.program(&["keys", "reencrypt"]))
        .await
        .refused(2, "RISITI_CREDENTIALS_KEY");
}
