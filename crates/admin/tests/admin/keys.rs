use crate::fixture::{CommandResult, Fixture, KEY, OTHER_KEY, run_to_end};

async fn add_key(fixture: &Fixture, key: &str, old: Option<&str>, secret: &str) -> CommandResult {
    add_key_of("acme", fixture, key, old, secret).await
}

async fn add_key_of(
    merchant: &str,
    fixture: &Fixture,
    key: &str,
    old: Option<&str>,
    secret: &str,
) -> CommandResult {
    let file = fixture.file(secret, secret);
    let args = [
        "provider",
        "add",
        "--merchant",
        merchant,
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
    add_key(&fixture, OTHER_KEY, None, "sk_live_a_0123456789abcdef")
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
    add_key(&fixture, KEY, None, "sk_live_a_0123456789abcdef")
        .await
        .ok();
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
    add_key(&fixture, OTHER_KEY, Some(KEY), "sk_live_b_0123456789abcdef")
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
    for secret in ["sk_live_a_0123456789abcdef", "sk_live_b_0123456789abcdef"] {
        add_key(&fixture, OTHER_KEY, None, secret)
            .await
            .refused(1, "active already");
    }
    add_key(&fixture, KEY, None, "sk_live_c_0123456789abcdef")
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

/// Paystack would sign each payment for both, and each would book and file it.
#[tokio::test]
async fn key_of_another_merchant_is_refused_across_a_change_of_keys() {
    let fixture = Fixture::with_merchant().await;
    for slug in ["other", "third"] {
        fixture
            .run(&["merchant", "create", "--slug", slug, "--name", slug])
            .await
            .ok();
    }
    let added = add_key(&fixture, KEY, None, "sk_live_a_0123456789abcdef")
        .await
        .ok();
    // As keys are that were stored before there were fingerprints.
    fixture
        .sql("UPDATE provider_keys SET fingerprint = NULL")
        .await;
    let taken = "merchant acme has this key already";
    add_key_of("other", &fixture, KEY, None, "sk_live_a_0123456789abcdef")
        .await
        .refused(1, taken);
    add_key_of("other", &fixture, KEY, None, "sk_live_b_0123456789abcdef")
        .await
        .ok();

    // The stored fingerprints are still those of the old key, and then those of the new one.
    add_key_of(
        "third",
        &fixture,
        OTHER_KEY,
        Some(KEY),
        "sk_live_a_0123456789abcdef",
    )
    .await
    .refused(1, taken);
    fixture
        .run_with_key(OTHER_KEY, Some(KEY), &["keys", "reencrypt"])
        .await
        .ok();
    add_key_of(
        "third",
        &fixture,
        OTHER_KEY,
        None,
        "sk_live_b_0123456789abcdef",
    )
    .await
    .refused(1, "merchant other has this key already");

    let remove = [
        "provider",
        "remove-key",
        "--merchant",
        "acme",
        "--provider",
        "paystack",
        "--force",
        "--key-id",
        added["key_id"].as_str().unwrap(),
    ];
    fixture.run_with_key(OTHER_KEY, None, &remove).await.ok();
    add_key_of(
        "third",
        &fixture,
        OTHER_KEY,
        None,
        "sk_live_a_0123456789abcdef",
    )
    .await
    .ok();
}

#[tokio::test]
async fn two_merchants_cannot_be_given_one_key_at_once() {
    let fixture = Fixture::with_merchant().await;
    fixture
        .run(&["merchant", "create", "--slug", "other", "--name", "Other"])
        .await
        .ok();
    let (one, other) = tokio::join!(
        add_key_of("acme", &fixture, KEY, None, "sk_live_a_0123456789abcdef"),
        add_key_of("other", &fixture, KEY, None, "sk_live_a_0123456789abcdef"),
    );
    assert_eq!(one.code + other.code, 1, "{one:?} {other:?}");
}
