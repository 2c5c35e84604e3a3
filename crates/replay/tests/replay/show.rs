//! The command `show`, by anything that names a payment.

use crate::fixture::Fixture;

#[tokio::test]
async fn show_says_the_state_of_what_is_not_dead() {
    let fixture = Fixture::new().await;
    let waiting = fixture.sale("pending").await;
    let id = waiting.to_string();
    for text in [id.as_str(), &format!(" {id} ")] {
        let story = fixture
            .replay(&["show", text, "--json"])
            .await
            .expect_code(0)
            .lines();
        assert_eq!(story[0]["invoices"][0]["state"], "pending");
    }
    let text = fixture.replay(&["show", &id]).await.expect_code(0).stdout;
    assert!(text.contains("waits to be filed"), "{text}");
    let nothing = fixture.replay(&["show", "UIS9999999"]).await.expect_code(1);
    assert!(
        nothing
            .stderr
            .contains("The newest webhook that is recorded came never"),
        "{}",
        nothing.stderr
    );
}

#[tokio::test]
async fn dead_letter_is_found_by_the_customers_receipt() {
    let fixture = Fixture::new().await;
    let dead = fixture.refused_sale_without_message("891").await;
    fixture
        .execute("UPDATE payments SET reference = 'ORDER-1'")
        .await;
    let text = fixture
        .replay(&["show", "ORDER-1"])
        .await
        .expect_code(0)
        .stdout;
    assert!(text.contains("dead letter: refused 891"), "{text}");
    assert!(
        text.contains(&format!("risiti-replay run --id {dead}")),
        "{text}"
    );
}
