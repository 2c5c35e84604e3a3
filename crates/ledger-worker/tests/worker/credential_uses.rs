//! When credentials were last used, as lists show it.

use risiti_domain::CredentialId;
use risiti_queue::Target;
use uuid::Uuid;

use crate::fixture::{Fixture, terminate_cleanly};

#[tokio::test]
async fn last_use_is_written_once_a_minute_for_credentials_that_exist() {
    let fixture = Fixture::new().await;
    let secret = CredentialId::from_uuid(Uuid::now_v7());
    let insert =
        "INSERT INTO webhook_secrets (id, merchant_id, secret_sha256) VALUES ($1, $2, sha256('x'))";
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 2] =
        [&secret.uuid(), &fixture.merchant.uuid()];
    fixture.client.execute(insert, &params).await.unwrap();
    let worker = fixture.worker();
    let gone = CredentialId::from_uuid(Uuid::now_v7());
    fixture
        .publish(Target::Payments, fixture.stk_let_in_by(gone, "UIS4000001"))
        .await;
    fixture
        .publish(
            Target::Payments,
            fixture.stk_let_in_by(secret, "UIS4000002"),
        )
        .await;
    let used = format!(
        "SELECT count(*) FROM credential_uses u JOIN events e ON u.last_used_at = e.received_at
         WHERE u.credential_id = '{secret}'"
    );
    fixture.wait_for_number(&used, 1).await;

    let again = fixture.stk_let_in_by(secret, "UIS4000003");
    fixture.publish(Target::Payments, again).await;
    fixture
        .wait_for_number("SELECT count(*) FROM events", 3)
        .await;
    terminate_cleanly(worker).await;
    assert_eq!(fixture.query_number(&used).await, 1);
    let rows = "SELECT count(*) FROM credential_uses";
    assert_eq!(fixture.query_number(rows).await, 1);
}
