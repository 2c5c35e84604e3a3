//! What is known of an id that names no dead letter, for a person who took it for one.

use risiti_domain::{DeviceId, InvoiceId};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;
use crate::dead_letters::list::DeadLetterScope;
use crate::dead_letters::waiting::may_be_at_kra;

statements! {
    /// The ids that are no dead letter of the scope, each with the invoice, message, payment or
    /// event that it names.
    NOT_DEAD = concat!("
        SELECT wanted.id, i.state, i.device_id, i.invoice_no, i.receipt_no, i.sale_id,
            (SELECT sale.state FROM invoices sale WHERE sale.id = i.sale_id), ", may_be_at_kra!(), ",
            d.solved_as, coalesce(d.solved_by, i.moved_by), coalesce(d.solved_reason, i.moved_because),
            d.id IS NOT NULL,
            EXISTS (SELECT FROM payments p WHERE p.id = wanted.id)
                OR EXISTS (SELECT FROM events e WHERE e.id = wanted.id)
        FROM unnest($1::uuid[]) WITH ORDINALITY AS wanted (id, place)
        LEFT JOIN invoices i ON i.id = wanted.id
        LEFT JOIN dead_letters d ON d.id = wanted.id
        WHERE NOT CASE $2::text WHEN 'all' THEN d.id IS NOT NULL WHEN 'discarded' THEN d.solved_as IS NOT DISTINCT FROM 'discarded'
            ELSE d.id IS NOT NULL AND d.solved_at IS NULL END
        ORDER BY wanted.place");
}

/// An id that names no dead letter, with what it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotADeadLetter {
    pub id: Uuid,
    pub names: Named,
}

/// What an id names that is no dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// An invoice that its lane is going to file.
    Waiting {
        lane: DeviceId,
        may_be_at_kra: bool,
    },
    /// A credit note whose sale is not filed.
    WaitingForSale {
        sale: InvoiceId,
        sale_state: String,
    },
    /// An invoice that was sent and is not settled.
    Sent {
        lane: DeviceId,
        invoice_no: i64,
    },
    Filed {
        invoice_no: i64,
        receipt_no: i64,
    },
    /// An invoice or message that was discarded. Without a row among the dead letters it went with
    /// its sale, or because its money came back.
    Discarded {
        by: String,
        reason: String,
        has_row: bool,
    },
    /// A message that was replayed.
    Replayed {
        by: String,
    },
    /// A dead letter that waits, where discarded ones were asked for.
    Dead,
    /// A payment or an event.
    Other,
    Nothing,
}

impl Ledger {
    /// Tells which of the ids are no dead letters of the scope, in their order, and what they are.
    pub async fn not_dead_letters(
        &self,
        ids: &[Uuid],
        scope: DeadLetterScope,
    ) -> Result<Vec<NotADeadLetter>, LedgerError> {
        let rows = self
            .connection()
            .await?
            .query(NOT_DEAD, &[&ids, &scope.as_str()])
            .await?;
        rows.iter().map(not_a_dead_letter).collect()
    }
}

fn not_a_dead_letter(row: &Row) -> Result<NotADeadLetter, LedgerError> {
    let id: Uuid = row.try_get(0)?;
    let state: Option<&str> = row.try_get(1)?;
    Ok(NotADeadLetter {
        id,
        names: match state {
            Some(state) => invoice(row, state)?,
            None => message(row)?,
        },
    })
}

fn invoice(row: &Row, state: &str) -> Result<Named, LedgerError> {
    let lane = DeviceId::from_uuid(row.try_get(2)?);
    let sale: Option<Uuid> = row.try_get(5)?;
    let sale_state: Option<String> = row.try_get(6)?;
    Ok(match (state, sale, sale_state) {
        ("pending", Some(sale), Some(sale_state)) if sale_state != "success" => {
            Named::WaitingForSale {
                sale: InvoiceId::from_uuid(sale),
                sale_state,
            }
        }
        ("pending", ..) => Named::Waiting {
            lane,
            may_be_at_kra: row.try_get(7)?,
        },
        ("submitting", ..) => Named::Sent {
            lane,
            invoice_no: row.try_get(3)?,
        },
        ("success", ..) => Named::Filed {
            invoice_no: row.try_get(3)?,
            receipt_no: row.try_get(4)?,
        },
        ("discarded", ..) => discarded(row)?,
        _ => Named::Dead,
    })
}

fn message(row: &Row) -> Result<Named, LedgerError> {
    let solved_as: Option<&str> = row.try_get(8)?;
    let is_dead_letter: bool = row.try_get(11)?;
    let is_other: bool = row.try_get(12)?;
    Ok(match solved_as {
        Some("discarded") => discarded(row)?,
        Some(_) => Named::Replayed {
            by: row.try_get::<_, Option<String>>(9)?.unwrap_or_default(),
        },
        None if is_dead_letter => Named::Dead,
        None if is_other => Named::Other,
        None => Named::Nothing,
    })
}

fn discarded(row: &Row) -> Result<Named, LedgerError> {
    let text = |column| -> Result<String, LedgerError> {
        Ok(row
            .try_get::<_, Option<String>>(column)?
            .unwrap_or_default())
    };
    Ok(Named::Discarded {
        by: text(9)?,
        reason: text(10)?,
        has_row: row.try_get(11)?,
    })
}
