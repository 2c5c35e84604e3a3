use crate::fixture::{CommandResult, Fixture, PIN, device_add, set_flag};

const URL: &str = "http://127.0.0.1:9/etims-api";

fn device_id(done: &CommandResult) -> String {
    done.ok()["device_id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn device_show_has_every_key_that_scripts_rely_on() {
    let fixture = Fixture::with_merchant().await;
    let added = fixture
        .add_device(URL, "00", &["--next-invoice-no", "41", "--tax-rate", "E=0"])
        .await;
    let mut shown = fixture
        .run(&["device", "show", &device_id(&added)])
        .await
        .ok();
    let mut keys: Vec<&str> = shown
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let mut expected = [
        "device_id",
        "merchant",
        "environment",
        "dialect",
        "pin",
        "branch",
        "serial",
        "base_url",
        "lane_state",
        "halt_reason",
        "next_invoice_no",
        "pending",
        "submitting",
        "dead",
        "oldest_pending_seconds",
        "last_outcome",
        "last_call_at",
        "retry_at",
        "host",
        "breaker",
        "host_retry_at",
        "halted_at",
        "oldest_seconds",
        "last_code",
        "last_message",
        "last_send",
        "held",
        "halt_remedy",
        "found",
        "expected_invoice_no",
        "looked_up_until",
        "progress",
        "evidence",
        "first_action",
        "tax_rates",
    ];
    keys.sort_unstable();
    expected.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!(shown["lane_state"], "idle");
    assert_eq!(shown["next_invoice_no"], 41);
    assert_eq!(shown["merchant"], "acme");
    assert!(shown["oldest_pending_seconds"].is_null());
    assert_eq!(shown["tax_rates"]["E"]["source"], "set");
    shown.as_object_mut().unwrap().remove("tax_rates");
    assert_eq!(fixture.run(&["device", "list"]).await.lines(), [shown]);
    assert_eq!(
        fixture.value("SELECT host FROM lanes").await.unwrap(),
        "http://127.0.0.1:9"
    );
}

#[tokio::test]
async fn a_branch_has_one_device_over_all_merchants() {
    let fixture = Fixture::with_merchant().await;
    fixture.add_device(URL, "00", &[]).await.ok();
    fixture
        .add_device(URL, "00", &[])
        .await
        .refused(1, &format!("sandbox {PIN} 00"));
    fixture
        .run(&["merchant", "create", "--slug", "other", "--name", "Other"])
        .await
        .ok();
    let mut args = device_add(URL, "00");
    set_flag(&mut args, "--merchant", "other");
    fixture.run(&args).await.refused(1, PIN);
    set_flag(&mut args, "--merchant", "nobody");
    fixture.run(&args).await.refused(1, "no merchant nobody");
}

#[tokio::test]
async fn short_code_is_bound_only_to_its_merchants_device() {
    let fixture = Fixture::with_merchant().await;
    fixture
        .add_device(URL, "00", &["--shortcode", "600000"])
        .await
        .refused(1, "provider add --merchant acme");
    assert_eq!(
        fixture.value("SELECT count(*) FROM devices").await.unwrap(),
        "0"
    );
    fixture
        .run(&["merchant", "create", "--slug", "other", "--name", "Other"])
        .await
        .ok();
    fixture
        .run(&[
            "provider",
            "add",
            "--merchant",
            "other",
            "--provider",
            "daraja",
            "--shortcode",
            "600000",
        ])
        .await
        .ok();
    fixture
        .add_device(URL, "00", &["--shortcode", "600000"])
        .await
        .refused(1, "belongs to another merchant");

    let device = device_id(
        &fixture
            .add_device(URL, "00", &["--shortcode", "174379"])
            .await,
    );
    let bound = fixture
        .value("SELECT device_id FROM short_codes WHERE short_code = '174379'")
        .await;
    assert_eq!(bound, Some(device));
}

#[tokio::test]
async fn first_device_is_the_default_until_another_is_named() {
    let fixture = Fixture::with_merchant().await;
    let default = "SELECT branch FROM devices WHERE is_default";
    fixture.add_device(URL, "00", &[]).await.ok();
    fixture.add_device(URL, "01", &[]).await.ok();
    assert_eq!(fixture.value(default).await.unwrap(), "00");
    fixture.add_device(URL, "02", &["--default"]).await.ok();
    assert_eq!(fixture.value(default).await.unwrap(), "02");
    assert_eq!(
        fixture
            .value("SELECT count(*) FROM devices WHERE is_default")
            .await
            .unwrap(),
        "1"
    );
}

#[tokio::test]
async fn device_without_invoices_may_change_its_merchant() {
    let fixture = Fixture::with_merchant().await;
    let device = device_id(
        &fixture
            .add_device(URL, "00", &["--shortcode", "174379"])
            .await,
    );
    fixture
        .run(&["merchant", "create", "--slug", "other", "--name", "Other"])
        .await
        .ok();
    fixture
        .run(&[
            "device",
            "update",
            &device,
            "--merchant",
            "other",
            "--reason",
            "sold",
        ])
        .await
        .ok();
    let shown = fixture.run(&["device", "show", &device]).await.ok();
    assert_eq!(shown["merchant"], "other");
    let rest =
        "SELECT (SELECT is_default FROM devices) || ' ' || (device_id IS NULL) FROM short_codes";
    assert_eq!(fixture.value(rest).await.unwrap(), "true true");
}

#[tokio::test]
async fn gateway_device_needs_all_of_its_settings() {
    let fixture = Fixture::with_merchant().await;
    let mut args = device_add(URL, "00");
    set_flag(&mut args, "--dialect", "gateway");
    fixture.run(&args).await.refused(1, "--consumer-key");
    let secret = fixture.file("consumer", "the-secret");
    args.extend([
        "--token-url",
        "http://127.0.0.1:9/token?grant_type=client_credentials",
        "--consumer-key",
        "k",
    ]);
    args.extend(["--consumer-secret-file", &secret, "--app-id", "app"]);
    fixture.run(&args).await.ok();
    let stored = fixture
        .value("SELECT encode(consumer_secret_ciphertext, 'escape') FROM devices")
        .await;
    assert!(!stored.unwrap().contains("the-secret"));
}

#[tokio::test]
async fn update_records_its_reason_and_ends_a_halt_it_answers() {
    let fixture = Fixture::with_merchant().await;
    let device = device_id(&fixture.add_device(URL, "00", &[]).await);
    let update = |more: &[&str]| {
        let args = [&["device", "update", &device, "--reason", "typo"], more].concat();
        args.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let run = async |more: &[&str]| {
        let args = update(more);
        fixture
            .run(&args.iter().map(String::as_str).collect::<Vec<_>>())
            .await
    };
    run(&[]).await.refused(2, "nothing to change");
    fixture
        .run(&["device", "update", &device, "--serial", "SN2"])
        .await
        .refused(2, "--reason");

    fixture.sql("UPDATE lanes SET halted_at = now(), halt_reason = 'foreign sale: device update is no way out',
        halt_remedy = 'lanes resolve'")
        .await;
    assert_eq!(run(&["--serial", "SN2"]).await.ok()["resumed"], false);
    fixture
        .sql("UPDATE lanes SET halt_reason = 'credentials refused', halt_remedy = 'device update'")
        .await;
    assert_eq!(
        run(&["--base-url", "https://kra.example:8443/x"])
            .await
            .ok()["resumed"],
        true
    );

    let shown = fixture.run(&["device", "show", &device]).await.ok();
    assert_eq!(
        (&shown["serial"], &shown["lane_state"]),
        (&"SN2".into(), &"idle".into())
    );
    assert_eq!(
        fixture.value("SELECT host FROM lanes").await.unwrap(),
        "https://kra.example:8443"
    );
    let kept =
        "SELECT string_agg(operator || ':' || command || ':' || reason, ' ') FROM operator_actions";
    assert_eq!(
        fixture.value(kept).await.unwrap(),
        "wanjiru:device update:typo wanjiru:device update:typo"
    );

    let moved = "SELECT actor || ':' || to_state || ':' || reason FROM report_transitions ORDER BY at DESC LIMIT 1";
    assert_eq!(fixture.value(moved).await.unwrap(), "wanjiru:idle:typo");

    run(&["--pin", "P051234567Y"]).await.refused(2, "--pin");
    let nobody = "018f0000-0000-7000-8000-000000000000";
    fixture
        .run(&["device", "update", nobody, "--serial", "x", "--reason", "r"])
        .await
        .refused(1, "no device");
    fixture
        .run(&["device", "show", nobody])
        .await
        .refused(1, "no device");
}

#[tokio::test]
async fn next_number_goes_up_only_before_the_first_sale() {
    let fixture = Fixture::with_merchant().await;
    let device = device_id(
        &fixture
            .add_device(URL, "00", &["--next-invoice-no", "500"])
            .await,
    );
    let set = async |number: &str| {
        fixture
            .run(&[
                "device",
                "update",
                &device,
                "--reason",
                "typo",
                "--next-invoice-no",
                number,
            ])
            .await
    };
    set("501").await.ok();
    set("50").await.ok();
    fixture.sql(
        "INSERT INTO payments (id, merchant_id, provider, method, moved_by)
            SELECT gen_random_uuid(), id, 'daraja', 'mobile_money', 'test' FROM merchants;
         INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, amount, moved_by)
            SELECT gen_random_uuid(), p.id, p.merchant_id, d.id, 'sale', 1, 'test' FROM payments p, devices d;
         INSERT INTO submissions (invoice_id, device_id, invoice_no, claim_id, body)
            SELECT id, device_id, 50, gen_random_uuid(), '' FROM invoices",
    )
    .await;
    set("60").await.refused(1, "--through 59 --taken-elsewhere");
    set("50").await.ok();
    fixture
        .run(&[
            "device",
            "update",
            &device,
            "--reason",
            "x",
            "--environment",
            "production",
            "--allow-test-address",
        ])
        .await
        .refused(1, "once the device has invoices");
}

/// A typing error is mended as long as nobody has a number from the right one on.
#[tokio::test]
async fn a_number_too_high_goes_back_while_nobody_has_it() {
    let fixture = Fixture::with_merchant().await;
    let device = device_id(
        &fixture
            .add_device(URL, "00", &["--next-invoice-no", "414"])
            .await,
    );
    let set = async |number: &str, more: &[&str]| {
        let args = [
            "device",
            "update",
            &device,
            "--reason",
            "typo",
            "--next-invoice-no",
            number,
        ];
        fixture.run(&[&args, more].concat()).await
    };
    fixture
        .sql(
            "INSERT INTO payments (id, merchant_id, provider, method, moved_by)
                SELECT gen_random_uuid(), id, 'daraja', 'mobile_money', 'test' FROM merchants;
             INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, amount, moved_by)
                SELECT gen_random_uuid(), p.id, p.merchant_id, d.id, 'sale', 1, 'test' FROM payments p, devices d;
             INSERT INTO submissions (invoice_id, device_id, invoice_no, claim_id, body, outcome)
                SELECT id, device_id, 414, gen_random_uuid(), '', 'unknown' FROM invoices;
             UPDATE lanes SET halted_at = now(), halt_reason = 'x', halt_remedy = 'lanes resolve'",
        )
        .await;
    set("412", &[]).await.refused(1, "--not-accepted");
    fixture
        .sql("UPDATE submissions SET outcome = 'resolved'")
        .await;
    fixture
        .sql("INSERT INTO foreign_invoice_numbers SELECT device_id, 413, 'jane', 'x' FROM lanes")
        .await;
    set("412", &[]).await.refused(1, "413 is another system's");
    fixture.sql("DELETE FROM foreign_invoice_numbers").await;

    let shown = set("412", &["--dry-run"]).await.ok();
    assert_eq!(
        (&shown["resumed"], &shown["next_invoice_no"]["from"]),
        (&true.into(), &414.into())
    );
    let next = "SELECT next_invoice_no || ' ' || (halted_at IS NULL) FROM lanes";
    assert_eq!(fixture.value(next).await.unwrap(), "414 false");

    set("412", &[]).await.ok();
    assert_eq!(fixture.value(next).await.unwrap(), "412 true");
    let kept = "SELECT (changes->'next_invoice_no')::text FROM operator_actions WHERE command = 'device update'";
    assert_eq!(fixture.value(kept).await.unwrap(), "[414, 412]");
}
