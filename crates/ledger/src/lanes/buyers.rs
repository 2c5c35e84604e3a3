//! A person names the buyer of a sale, as long as KRA cannot have it with another one.

use risiti_domain::{BuyerName, InvoiceId, KraPin};
use serde_json::{Value, json};

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;
use crate::operator_actions::{OperatorAction, RecordedChange};

statements! {
    /// A body that was sent may be sent again, unless the invoice died since.
    SET = "
        UPDATE invoices i SET buyer_name = coalesce($2, i.buyer_name), buyer_pin = coalesce($3, i.buyer_pin)
        WHERE i.id = $1 AND i.kind = 'sale' AND i.state IN ('pending', 'dead')
          AND NOT EXISTS (SELECT FROM submissions s WHERE s.invoice_id = i.id AND s.id > i.stale_submission)";
    KIND_AND_STATE = "SELECT kind, state FROM invoices WHERE id = $1";
}

/// What is known of a buyer. What is missing stays as it is.
#[derive(Clone, Debug, Default)]
pub struct KnownBuyer {
    pub name: Option<BuyerName>,
    pub pin: Option<KraPin>,
}

/// What became of naming a buyer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuyerChange {
    Set,
    NoInvoice,
    /// A credit note has the buyer of its sale.
    CreditNote,
    /// KRA has the sale, or may have it. The invoice's state says which.
    TooLate {
        state: String,
    },
}

impl Ledger {
    /// Names the buyer of a sale that is not filed.
    pub async fn set_buyer(
        &self,
        invoice: InvoiceId,
        buyer: &KnownBuyer,
        by: &OperatorAction,
    ) -> Result<BuyerChange, LedgerError> {
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;
        let name = buyer.name.as_ref().map(BuyerName::as_str);
        let pin = buyer.pin.as_ref().map(KraPin::as_str);
        let set = transaction
            .execute(SET, &[&invoice.uuid(), &name, &pin])
            .await?;
        if set == 0 {
            let row = transaction
                .query_opt(KIND_AND_STATE, &[&invoice.uuid()])
                .await?;
            let Some(row) = row else {
                return Ok(BuyerChange::NoInvoice);
            };
            return Ok(match row.try_get(0)? {
                "credit_note" => BuyerChange::CreditNote,
                _ => BuyerChange::TooLate {
                    state: row.try_get(1)?,
                },
            });
        }
        // A buyer's name and PIN are personal data, which the audit does not repeat.
        let changed = [("buyer_name", name), ("buyer_pin", pin)]
            .into_iter()
            .filter(|(_, value)| value.is_some())
            .map(|(field, _)| (field.to_owned(), json!("changed")));
        let change = RecordedChange {
            operator: &by.operator,
            reason: Some(&by.reason),
            subject: json!({ "invoice_id": invoice }),
            changes: Value::Object(changed.collect()),
        };
        transaction.record_change("buyer set", change).await?;
        transaction.commit().await?;
        Ok(BuyerChange::Set)
    }
}
