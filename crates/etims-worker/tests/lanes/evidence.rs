//! What a person sees of a lane whose number is another system's, and does about it (protocol D11,
//! D15).

use risiti_testkit::eventually;

use crate::fixture::{BOUND, Device, Fixture, terminate};
use crate::number_owners::file_elsewhere;

async fn lanes_list(fixture: &Fixture) -> String {
    fixture.replay(&["lanes", "list"]).await
}

/// Waits until `lanes list` has these words.
async fn until_listed(fixture: &Fixture, words: &str) -> String {
    eventually(words, BOUND, async || {
        Some(lanes_list(fixture).await).filter(|list| list.contains(words))
    })
    .await
}

fn assert_recommends(list: &str, device: &Device, command: &str) {
    let action = format!("first: risiti-replay lanes resolve {} {command}", device.id);
    assert!(list.contains(&action), "{action}\n{list}");
}

#[tokio::test]
async fn halt_over_a_foreign_sale_shows_the_sale() {
    let fixture = Fixture::new().await;
    let device = fixture.add_device(1).await;
    file_elsewhere(&fixture, &device, 1).await;
    let sale = fixture.add_sales(&device, 1).await[0];
    let worker = fixture.worker().start();
    fixture.until_halted(&device).await;

    let list = lanes_list(&fixture).await;
    assert!(list.contains("KRA has under 1: KES 500.00, "), "{list}");
    assert!(list.contains("receipt 1, "), "{list}");
    assert_recommends(&list, &device, "--invoice-no 1 --taken-elsewhere");
    for contradiction in [
        &["--accepted", "--receipt-no", "999999"][..],
        &["--not-accepted"],
    ] {
        let resolve = [&["resolve", "--invoice-no", "1"], contradiction].concat();
        let why = fixture.lanes_refusal(&device, &resolve).await;
        assert!(why.contains("KRA has under 1: KES 500.00"), "{why}");
        assert!(why.contains("--force"), "{why}");
    }

    let resolve = ["resolve", "--invoice-no", "1", "--taken-elsewhere"];
    fixture.lanes_command(&device, &resolve).await;
    fixture.until_state(sale, "success").await;
    assert_eq!(fixture.invoice_number(sale).await, 2);
    let forgotten = "SELECT count(*) FROM lanes WHERE found IS NULL AND expected_no IS NULL";
    assert_eq!(fixture.count(forgotten).await, 1);
    terminate(worker).await;
}

/// The first number is 400 too low, and look-ups show nothing of the other system's sales.
#[tokio::test]
async fn waiting_lane_tells_the_number_that_kra_expects() {
    for (first, through) in [(412, "--invoice-no 412"), (13, "--through 412")] {
        let fixture = Fixture::with("gateway", &[]).await;
        let device = fixture.add_device_expecting(1, 413).await;
        fixture
            .sql(&format!("UPDATE lanes SET next_invoice_no = {first}"))
            .await;
        let sale = fixture.add_sales(&device, 1).await[0];
        let worker = fixture.worker().start();

        let expects = format!("KRA expects 413; looking up {first} until ");
        let list = until_listed(&fixture, &expects).await;
        let halt = format!("to settle it now: risiti-replay lanes halt {}", device.id);
        assert!(list.contains(&halt), "{list}");
        fixture.lanes_command(&device, &["halt"]).await;
        let list = lanes_list(&fixture).await;
        assert!(list.contains("KRA expects 413 next"), "{list}");
        assert!(list.contains(through), "{list}");

        let too_far = ["resolve", "--through", "413", "--taken-elsewhere"];
        let why = fixture.lanes_refusal(&device, &too_far).await;
        assert!(why.contains("nothing under 413"), "{why}");
        let resolve = ["resolve", "--through", "412", "--taken-elsewhere"];
        fixture.lanes_command(&device, &resolve).await;
        fixture.until_state(sale, "success").await;
        assert_eq!(fixture.invoice_number(sale).await, 413);
        terminate(worker).await;
    }
}
