use crate::kit::{Done, KEY, Kit, OTHER_KEY, finish};

async fn add_key(kit: &Kit, key: &str, old: Option<&str>, secret: &str) -> Done {
    let file = kit.file(secret, secret);
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
    kit.run_with_key(key, old, &args).await
}

#[tokio::test]
async fn a_key_that_is_not_the_installations_stores_nothing() {
    let kit = Kit::with_merchant().await;
    add_key(&kit, OTHER_KEY, None, "sk_live_a")
        .await
        .refused(2, "RISITI_CREDENTIALS_KEY");
    assert_eq!(
        kit.value("SELECT count(*) FROM provider_keys")
            .await
            .unwrap(),
        "0"
    );
    kit.run_with_key(OTHER_KEY, None, &["migrate"])
        .await
        .refused(2, "not the key");
}

#[tokio::test]
async fn after_reencrypt_only_the_new_key_opens_anything() {
    let kit = Kit::with_merchant().await;
    add_key(&kit, KEY, None, "sk_live_a").await.ok();
    let cmc_key = kit.file("cmc", "the-cmc-key");
    kit.add_device("http://127.0.0.1:1", "00", &["--cmc-key-file", &cmc_key])
        .await
        .ok();

    kit.run_with_key(OTHER_KEY, None, &["keys", "reencrypt"])
        .await
        .refused(2, "not the key");
    // Half-way through a change both keys are there, and a secret may be added.
    add_key(&kit, OTHER_KEY, Some(KEY), "sk_live_b").await.ok();
    let done = kit
        .run_with_key(OTHER_KEY, Some(KEY), &["keys", "reencrypt"])
        .await
        .ok();
    assert_eq!(
        (&done["provider_keys"], &done["devices"]),
        (&2.into(), &1.into())
    );
    kit.run_with_key(OTHER_KEY, Some(KEY), &["keys", "reencrypt"])
        .await
        .ok();

    // Both stored keys open under the new one alone: adding either again is recognised.
    for secret in ["sk_live_a", "sk_live_b"] {
        add_key(&kit, OTHER_KEY, None, secret)
            .await
            .refused(1, "active already");
    }
    add_key(&kit, KEY, None, "sk_live_c")
        .await
        .refused(2, "not the key");
}

#[tokio::test]
async fn reencrypt_needs_a_key() {
    let kit = Kit::new().await;
    finish(kit.program(&["keys", "reencrypt"]))
        .await
        .refused(2, "RISITI_CREDENTIALS_KEY");
}
