use crate::fixture::{CommandResult, Fixture, KEY, run_to_end};

fn secret(done: &CommandResult) -> String {
    done.ok()["webhook_secret"]
        .as_str()
        .expect("a secret")
        .to_owned()
}

#[tokio::test]
async fn a_merchant_gets_a_secret_that_is_stored_as_a_hash() {
    let fixture = Fixture::new().await;
    let done = fixture
        .run(&["merchant", "create", "--slug", "acme", "--name", "Acme Ltd"])
        .await;
    assert_eq!(done.ok()["slug"], "acme");
    let secret = secret(&done);
    assert!(
        secret.len() >= 32
            && secret
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    );
    let stored = fixture
        .value("SELECT encode(secret_sha256, 'hex') FROM webhook_secrets")
        .await
        .unwrap();
    let hash = fixture
        .value(&format!("SELECT encode(sha256('{secret}'), 'hex')"))
        .await
        .unwrap();
    assert_eq!(stored, hash);

    let list = fixture.run(&["merchant", "list"]).await.lines();
    assert_eq!(list.len(), 1);
    assert_eq!(list[0]["merchant_id"], done.ok()["merchant_id"]);
    assert_eq!(list[0]["name"], "Acme Ltd");
}

#[tokio::test]
async fn duplicate_or_malformed_slug_is_refused() {
    let fixture = Fixture::with_merchant().await;
    fixture
        .run(&["merchant", "create", "--slug", "acme", "--name", "Other"])
        .await
        .refused(1, "there is a merchant acme");
    fixture
        .run(&["merchant", "create", "--slug", "Acme", "--name", "Other"])
        .await
        .refused(2, "--slug");
}

#[tokio::test]
async fn rotated_secret_overlaps_with_the_previous_one() {
    let fixture = Fixture::with_merchant().await;
    let first = fixture
        .run(&[
            "merchant",
            "rotate-secret",
            "--slug",
            "acme",
            "--overlap",
            "24h",
        ])
        .await;
    let second = fixture
        .run(&[
            "merchant",
            "rotate-secret",
            "--slug",
            "acme",
            "--overlap",
            "0s",
        ])
        .await;
    assert_ne!(secret(&first), secret(&second));
    let valid =
        "SELECT count(*) FROM webhook_secrets WHERE expires_at IS NULL OR expires_at > now()";
    assert_eq!(fixture.value(valid).await.unwrap(), "1");
    let list = fixture.run(&["merchant", "list"]).await.lines();
    fixture
        .sql(
            "INSERT INTO credential_uses SELECT id, '2026-11-28T08:00:00Z' FROM webhook_secrets
             ORDER BY id LIMIT 1",
        )
        .await;
    let list_of = fixture.run(&["merchant", "list"]).await.lines();
    let uses: Vec<bool> = list_of[0]["secrets"]
        .as_array()
        .expect("the secrets")
        .iter()
        .map(|secret| secret["last_used_at"].is_string())
        .collect();
    assert_eq!(uses, [false, false, true], "the newest is first");
    let states: Vec<&str> = list[0]["secrets"]
        .as_array()
        .expect("the secrets")
        .iter()
        .filter_map(|secret| secret["state"].as_str())
        .collect();
    assert_eq!(states, ["current", "ended", "ended"]);
    fixture
        .run(&["merchant", "rotate-secret", "--slug", "nobody"])
        .await
        .refused(1, "no merchant nobody");
}

#[tokio::test]
async fn wrong_setting_is_named() {
    let fixture = Fixture::new().await;
    let program = || fixture.program(&["merchant", "list"]);
    run_to_end(program().env(
        "DATABASE_URL",
        "postgres://u@h/d?sslmode=require&sslrootcert=/nowhere.pem",
    ))
    .await
    .refused(2, "sslrootcert");
    run_to_end(program().env("DATABASE_URL", "nonsense://"))
        .await
        .refused(2, "DATABASE_URL");
    run_to_end(program().env("RISITI_CREDENTIALS_KEY", "c2hvcnQ="))
        .await
        .refused(2, "RISITI_CREDENTIALS_KEY");
    run_to_end(program().env("DATABASE_URL", "postgres://risiti:hunter2@127.0.0.1:1/d"))
        .await
        .refused(1, "cannot be reached");
    let done = run_to_end(program().env("RISITI_CREDENTIALS_KEY", format!("{KEY}x"))).await;
    assert!(!done.stderr.contains(KEY), "{done:?}");
}

#[tokio::test]
async fn command_without_the_schema_says_what_to_run() {
    let fixture = Fixture::without_schema().await;
    fixture
        .run(&["merchant", "list"])
        .await
        .refused(1, "risiti-admin migrate");
}

#[tokio::test]
async fn ceiling_has_a_default_and_can_be_changed() {
    let fixture = Fixture::with_merchant().await;
    fixture
        .run(&[
            "merchant",
            "create",
            "--slug",
            "small",
            "--name",
            "Small",
            "--amount-max",
            "250000.50",
        ])
        .await
        .ok();
    let ceilings = async || {
        let list = fixture.run(&["merchant", "list"]).await.lines();
        let ceiling = |merchant: &serde_json::Value| merchant["amount_max"].clone();
        list.iter().map(ceiling).collect::<Vec<_>>()
    };
    assert_eq!(ceilings().await, ["10000000.00", "250000.50"]);

    let update = |amount| {
        [
            "merchant",
            "update",
            "--slug",
            "acme",
            "--reason",
            "its largest sale",
            "--amount-max",
            amount,
        ]
    };
    for bad in ["0", "1.001", "1000000000000", "1e3", "many"] {
        fixture.run(&update(bad)).await.refused(2, "--amount-max");
    }
    let done = fixture.run(&update("70000")).await.ok();
    assert_eq!(done["amount_max"], "70000");
    assert_eq!(ceilings().await, ["70000.00", "250000.50"]);
    let kept = "SELECT reason || ' ' || (changes->'amount_max')::text FROM operator_actions
        WHERE command = 'merchant update'";
    assert_eq!(
        fixture.value(kept).await.unwrap(),
        r#"its largest sale ["10000000.00", "70000"]"#
    );
}
