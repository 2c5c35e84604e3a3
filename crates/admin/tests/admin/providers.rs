use crate::kit::{KEY, Kit, finish};

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

async fn account(kit: &Kit, provider: &str) -> serde_json::Value {
    let list = kit
        .run(&["provider", "list", "--merchant", "acme"])
        .await
        .lines();
    list.into_iter()
        .find(|account| account["provider"] == provider)
        .expect("the account")
}

#[tokio::test]
async fn two_signing_keys_may_be_active_and_a_third_may_not() {
    let kit = Kit::with_merchant().await;
    let mut keys = Vec::new();
    for name in ["sk_live_one", "sk_test_two"] {
        let file = kit.file(name, &format!("{name}\n"));
        let added = kit
            .run(&[&PAYSTACK[..], &["--secret-key-file", &file]].concat())
            .await
            .ok();
        keys.push(added["key_id"].as_str().unwrap().to_owned());
    }
    let third = kit.file("three", "sk_live_three");
    kit.run(&[&PAYSTACK[..], &["--secret-key-file", &third]].concat())
        .await
        .refused(1, "remove-key");
    let first = kit.file("again", "sk_live_one");
    kit.run(&[&PAYSTACK[..], &["--secret-key-file", &first]].concat())
        .await
        .refused(1, &keys[0]);

    let listed = account(&kit, "paystack").await;
    assert_eq!(listed["keys"][0]["live"], true);
    assert_eq!(listed["keys"][1]["live"], false);
    assert!(!listed.to_string().contains("sk_live"), "{listed}");
    let stored = kit
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
    kit.run(&[&remove[..], &[&keys[0]]].concat()).await.ok();
    kit.run(&[&remove[..], &[&keys[0]]].concat())
        .await
        .refused(1, "no such key");
    kit.run(&[&remove[..], &[&keys[1]]].concat())
        .await
        .refused(1, "only active key");
    kit.run(&[&remove[..], &[&keys[1], "--force"]].concat())
        .await
        .ok();
}

#[tokio::test]
async fn a_signing_key_may_come_from_a_variable_and_never_from_an_argument() {
    let kit = Kit::with_merchant().await;
    let from_variable = [&PAYSTACK[..], &["--secret-key-env", "MY_KEY"]].concat();
    kit.run(&from_variable)
        .await
        .refused(2, "MY_KEY is not set");
    let program = kit
        .program(&from_variable)
        .env("RISITI_CREDENTIALS_KEY", KEY)
        .env("MY_KEY", "sk_test_env");
    finish(program).await.ok();
    kit.run(&PAYSTACK).await.refused(2, "--secret-key-file");
    let public = kit.file("public", "pk_live_x");
    kit.run(&[&PAYSTACK[..], &["--secret-key-file", &public]].concat())
        .await
        .refused(2, "public key");
    let without_credentials = kit.program(&from_variable).env("MY_KEY", "sk_test_b");
    finish(without_credentials)
        .await
        .refused(2, "RISITI_CREDENTIALS_KEY");
}

#[tokio::test]
async fn a_short_code_belongs_to_one_merchant() {
    let kit = Kit::with_merchant().await;
    kit.run(&["merchant", "create", "--slug", "other", "--name", "Other"])
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
    kit.run(&taken)
        .await
        .refused(1, "belongs to another merchant");
    assert!(
        kit.run(&["provider", "list", "--merchant", "other"])
            .await
            .lines()
            .is_empty()
    );

    kit.run(&[&DARAJA[..], &["--shortcode", "600000"]].concat())
        .await
        .ok();
    kit.run(&[&DARAJA[..], &["--shortcode", "600000"]].concat())
        .await
        .ok();
    assert_eq!(
        account(&kit, "daraja").await["short_codes"],
        serde_json::json!(["174379", "600000"])
    );
}

#[tokio::test]
async fn source_ranges_are_set_together_and_enforced_only_with_a_list() {
    let kit = Kit::with_merchant().await;
    kit.run(&[&DARAJA[..], &["--enforce-cidr"]].concat())
        .await
        .refused(1, "--allow-cidr");
    kit.run(
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
    let listed = account(&kit, "daraja").await;
    assert_eq!(
        listed["allow_cidrs"],
        serde_json::json!(["196.201.0.0/16", "10.0.0.1/32"])
    );
    assert_eq!(listed["enforce_cidr"], true);
    kit.run(&[&DARAJA[..], &["--allow-cidr", "nonsense"]].concat())
        .await
        .refused(2, "--allow-cidr");
}

#[tokio::test]
async fn each_gateway_has_its_own_flags() {
    let kit = Kit::with_merchant().await;
    kit.run(&[&DARAJA[..], &["--seller-id", "x"]].concat())
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
    kit.run(&gumroad).await.refused(2, "--seller-id");
    kit.run(&[&gumroad[..], &["--seller-id", "S1"]].concat())
        .await
        .ok();
    assert_eq!(account(&kit, "gumroad").await["seller_id"], "S1");
    kit.run(&[
        "provider",
        "add",
        "--merchant",
        "acme",
        "--provider",
        "mpesa",
    ])
    .await
    .refused(2, "expected one of daraja");
    kit.run(&["merchant", "create", "--slug", "fresh", "--name", "Fresh"])
        .await
        .ok();
    kit.run(&[
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
