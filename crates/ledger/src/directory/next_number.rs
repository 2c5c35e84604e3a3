//! `device update --next-invoice-no`: where a lane's counting goes on (protocol D11).

use risiti_domain::DeviceId;
use serde::Serialize;

use crate::db::error::LedgerError;
use crate::db::pool::Transaction;
use crate::db::statements::statements;
use crate::directory::manage_error::{ManageError, refused_by};
use crate::lanes::hold::LaneHold;

statements! {
    NUMBER = "SELECT next_invoice_no FROM lanes WHERE device_id = $1";
    /// What has the highest of the numbers that would be used again, or may have it.
    TAKEN_ABOVE = "
        (SELECT i.invoice_no, 'owned' AS how FROM invoices i
         WHERE i.device_id = $1 AND i.invoice_no >= $2 ORDER BY i.invoice_no DESC LIMIT 1)
        UNION ALL
        (SELECT f.invoice_no, 'foreign' FROM foreign_invoice_numbers f
         WHERE f.device_id = $1 AND f.invoice_no >= $2 ORDER BY f.invoice_no DESC LIMIT 1)
        UNION ALL
        (SELECT s.invoice_no, 'unanswered' FROM submissions s
         WHERE s.device_id = $1 AND s.invoice_no >= $2 AND (s.outcome IS NULL OR s.outcome = 'unknown')
         ORDER BY s.invoice_no DESC LIMIT 1)
        ORDER BY 1 DESC, 2 DESC LIMIT 1";
    /// The number goes up only before the first send. The guard on `lanes` decides when it may go
    /// back.
    SET = "UPDATE lanes SET next_invoice_no = $2, moved_by = $3 WHERE device_id = $1
        AND ($2 <= next_invoice_no OR NOT EXISTS (SELECT FROM submissions s WHERE s.device_id = $1))";
}

/// A lane's next number before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct NumberChange {
    pub from: i64,
    pub to: i64,
}

impl Transaction<'_> {
    /// Sets the number that the lane uses next, while no worker has the lane. `None` when it is
    /// that number already.
    pub(crate) async fn set_number(
        &self,
        device: DeviceId,
        to: i64,
        operator: &str,
    ) -> Result<Option<NumberChange>, ManageError> {
        let hold = self.hold_lane(device).await?;
        let id = device.uuid();
        let row = self.query_one(NUMBER, &[&id]).await?;
        let from: i64 = row.try_get(0).map_err(LedgerError::from)?;
        if from == to {
            return Ok(None);
        }
        if hold == LaneHold::Taken {
            return Err(ManageError::LaneHeld);
        }
        if to < from
            && let Some(why) = self.taken_above(device, to).await?
        {
            return Err(ManageError::NumberInUse { from, to, why });
        }

        let overtaken = || ManageError::NumberInUse {
            from,
            to,
            why: "a number in between has just been used".to_owned(),
        };
        match self.execute(SET, &[&id, &to, &operator]).await {
            Ok(1) => Ok(Some(NumberChange { from, to })),
            Ok(_) => Err(ManageError::NumberAhead { device, from, to }),
            Err(error) => Err(refused_by(error, "invoice_no_never_back", overtaken)),
        }
    }

    /// Why the numbers from this one on cannot be used again, if they cannot.
    async fn taken_above(
        &self,
        device: DeviceId,
        number: i64,
    ) -> Result<Option<String>, LedgerError> {
        let row = self
            .query_opt(TAKEN_ABOVE, &[&device.uuid(), &number])
            .await?;
        let Some(row) = row else { return Ok(None) };
        let taken: i64 = row.try_get(0)?;
        Ok(Some(match row.try_get::<_, &str>(1)? {
            "owned" => format!("an invoice holds number {taken} or is filed under it"),
            "foreign" => format!("number {taken} is another system's, a person said"),
            _ => format!(
                "a send under number {taken} was never answered. If KRA does not have it, say so first, once the lane \
                 is halted: `risiti-replay lanes resolve {device} --invoice-no {taken} --not-accepted`"
            ),
        }))
    }
}
