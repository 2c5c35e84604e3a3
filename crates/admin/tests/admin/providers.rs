use serde_json::{Value, json};

use crate::fixture::{Fixture, KEY, run_to_end};

const PAYSTACK: [&str; 6] = [
    "provider",
    "add",
    "--merchant",
    "acme",
    "--provider",
    "paystack",
];
const DARAJA: [&str; 6] = [
    "provider",
    "add",
    "--merchant",
    "acme",
    "--provider",
    "daraja",
];

async fn account(fixture: &Fixture, provider: &str) -> Value {
    let list = fixture
        .run(&["provider", "list", "--merchant", "acme"])
        .await
        .lines();
    list.into_iter()
        .find(|account| account["provider"] == provider)
        .expect("the account")
}

#[tokio::test]
async fn third_active_signing_key_is_refused() {
    let fixture = Fixture::with_merchant().await;
    let mut keys = Vec::new();
    for name in [
        "sk_live_one_0123456789abcdef",
        "sk_test_two_0123456789abcdef",
    ] {
        let file = fixture.file(name, &format!("{name}\n"));
        let added = fixture
            .run(&[&PAYSTACK[..], &["--secret-key-file", &file]].concat())
            .await
            .ok();
        keys.push(added["key_id"].as_str().unwrap().to_owned());
    }
    let third = fixture.file("three", "sk_live_three_0123456789abcdef");
    fixture
        .run(&[&PAYSTACK[..], &["--secret-key-file", &third]].concat())
        .await
        .refused(1, "remove-key");
    let first = fixture.file("again", "sk_live_one_0123456789abcdef");
    fixture
        .run(&[&PAYSTACK[..], &["--secret-key-file", &first]].concat())
        .await
        .refused(1, &keys[0]);

    let listed = account(&fixture, "paystack").await;
    assert_eq!(listed["keys"][0]["live"], true);
    assert_eq!(listed["keys"][1]["live"], false);
    assert!(!listed.to_string().contains("sk_live"), "{listed}");
    let stored = fixture
        .value("SELECT string_agg(encode(ciphertext, 'escape'), ' ') FROM provider_keys")
        .await;
    assert!(!stored.unwrap().contains("sk_live_one"));

    let remove = [
        "provider",
        "remove-key",
        "--merchant",
        "acme",
        "--provider",
        "paystack",
        "--key-id",
    ];
    fixture.run(&[&remove[..], &[&keys[0]]].concat()).await.ok();
    fixture
        .run(&[&remove[..], &[&keys[0]]].concat())
        .await
        .refused(1, "no such key");
    fixture
        .run(&[&remove[..], &[&keys[1]]].concat())
        .await
        .refused(1, "only active key");
    fixture
        .run(&[&remove[..], &[&keys[1], "--force"]].concat())
        .await
        .ok();
}

#[tokio::test]
async fn signing_key_comes_from_a_variable_or_a_file() {
    let fixture = Fixture::with_merchant().await;
    let from_variable = [&PAYSTACK[..], &["--secret-key-env", "MY_KEY"]].concat();
    fixture
        .run(&from_variable)
        .await
        .refused(2, "MY_KEY is not set");
    let program = fixture
        .program(&from_variable)
        .env("RISITI_CREDENTIALS_KEY", KEY)
        .env("MY_KEY", "sk_test_env_0123456789abcdef");
    run_to_end(program).await.ok();
    fixture.run(&PAYSTACK).await.refused(2, "--secret-key-file");
    let public = fixture.file("public", "pk_live_x");
    fixture
        .run(&[&PAYSTACK[..], &["--secret-key-file", &public]].concat())
        .await
        .refused(2, "public key");
    let short = fixture.file("short", "sk_live_x");
    fixture
        .run(&[&PAYSTACK[..], &["--secret-key-file", &short]].concat())
        .await
        .refused(2, "no secret key");
    let without_credentials = fixture
        .program(&from_variable)
        .env("MY_KEY", "sk_test_b_0123456789abcdef");
    run_to_end(without_credentials)
        .await
        .refused(2, "RISITI_CREDENTIALS_KEY");
}

#[tokio::test]
async fn a_short_code_belongs_to_one_merchant() {
    let fixture = Fixture::with_merchant().await;
    fixture
        .run(&["merchant", "create", "--slug", "other", "--name", "Other"])
        .await
        .ok();
    let taken = [
        "provider",
        "add",
        "--merchant",
        "other",
        "--provider",
        "daraja",
        "--shortcode",
        "174379",
    ];
    fixture
        .run(&taken)
        .await
        .refused(1, "belongs to another merchant");
    assert!(
        fixture
            .run(&["provider", "list", "--merchant", "other"])
            .await
            .lines()
            .is_empty()
    );

    fixture
        .sql(
            "INSERT INTO payments (id, merchant_id, provider, short_code, method, reason, conflict, moved_by)
             SELECT gen_random_uuid(), id, 'daraja', '600000', 'mobile_money',
                'the short code is not registered for this merchant', true, 'test'
             FROM merchants WHERE slug = 'acme'",
        )
        .await;
    let added = fixture
        .run(&[&DARAJA[..], &["--shortcode", "600000"]].concat())
        .await
        .ok();
    assert_eq!(added["waiting_payments"], 1);
    fixture
        .run(&[&DARAJA[..], &["--shortcode", "600000"]].concat())
        .await
        .ok();
    assert_eq!(
        account(&fixture, "daraja").await["short_codes"],
        json!(["174379", "600000"])
    );
}

#[tokio::test]
async fn source_ranges_are_enforced_only_with_a_list() {
    let fixture = Fixture::with_merchant().await;
    fixture
        .run(&[&DARAJA[..], &["--enforce-cidr"]].concat())
        .await
        .refused(1, "--allow-cidr");
    fixture
        .run(
            &[
                &DARAJA[..],
                &[
                    "--allow-cidr",
                    "196.201.0.9/16",
                    "--allow-cidr",
                    "10.0.0.1",
                    "--enforce-cidr",
                ],
            ]
            .concat(),
        )
        .await
        .ok();
    let listed = account(&fixture, "daraja").await;
    assert_eq!(
        listed["allow_cidrs"],
        json!(["196.201.0.0/16", "10.0.0.1/32"])
    );
    assert_eq!(listed["enforce_cidr"], true);
    fixture
        .run(&[&DARAJA[..], &["--allow-cidr", "nonsense"]].concat())
        .await
        .refused(2, "--allow-cidr");
}

#[tokio::test]
async fn flags_of_another_gateway_are_refused() {
    let fixture = Fixture::with_merchant().await;
    fixture
        .run(&[&DARAJA[..], &["--seller-id", "x"]].concat())
        .await
        .refused(2, "--seller-id");
    let gumroad = [
        "provider",
        "add",
        "--merchant",
        "acme",
        "--provider",
        "gumroad",
    ];
    fixture.run(&gumroad).await.refused(2, "--seller-id");
    fixture
        .run(&[&gumroad[..], &["--seller-id", "S1"]].concat())
        .await
        .ok();
    assert_eq!(account(&fixture, "gumroad").await["seller_id"], "S1");
    fixture
        .run(&[
            "provider",
            "add",
            "--merchant",
            "acme",
            "--provider",
            "mpesa",
        ])
        .await
        .refused(2, "expected one of daraja");
    fixture
        .run(&["merchant", "create", "--slug", "fresh", "--name", "Fresh"])
        .await
        .ok();
    fixture
        .run(&[
            "provider",
            "add",
            "--merchant",
            "fresh",
            "--provider",
            "daraja",
        ])
        .await
        .refused(1, "--shortcode");
}

#[tokio::test]
async fn gumroad_seller_belongs_to_one_merchant() {
    let fixture = Fixture::with_merchant().await;
    fixture
        .run(&["merchant", "create", "--slug", "other", "--name", "Other"])
        .await
        .ok();
    let add = |merchant, seller| {
        [
            "provider",
            "add",
            "--merchant",
            merchant,
            "--provider",
            "gumroad",
            "--seller-id",
            seller,
        ]
    };
    fixture.run(&add("acme", "S1")).await.ok();
    fixture.run(&add("acme", "S1")).await.ok();
    fixture
        .run(&add("other", "S1"))
        .await
        .refused(1, "merchant acme has this seller already");
    fixture.run(&add("other", "S2")).await.ok();
}
