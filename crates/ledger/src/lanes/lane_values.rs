//! The values of a lane that commands change, for the audit.

use risiti_domain::DeviceId;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::OperatorAction;
use crate::db::error::LedgerError;
use crate::db::pool::Transaction;
use crate::db::statements::statements;
use crate::operator_actions::{RecordedChange, differences};

statements! {
    VALUES = "
        SELECT jsonb_build_object('halted', l.halted_at IS NOT NULL, 'halt_reason', l.halt_reason,
            'next_invoice_no', l.next_invoice_no, 'invoice_state', i.state, 'invoice_no', i.invoice_no,
            'receipt_no', i.receipt_no)
        FROM lanes l LEFT JOIN invoices i ON i.id = $2 WHERE l.device_id = $1";
}

/// A lane, and the invoice that a command is about, before the command.
pub(crate) struct LaneBefore {
    device: DeviceId,
    invoice: Option<Uuid>,
    values: Value,
}

impl Transaction<'_> {
    /// Reads the values before a command changes them.
    pub(crate) async fn lane_before(
        &self,
        device: DeviceId,
        invoice: Option<Uuid>,
    ) -> Result<LaneBefore, LedgerError> {
        Ok(LaneBefore {
            device,
            invoice,
            values: self.lane_values(device, invoice).await?,
        })
    }

    /// Writes down a command with the values before and after. `more` joins the device and the
    /// invoice as its subject.
    pub(crate) async fn record_lane_change(
        &self,
        command: &str,
        by: &OperatorAction,
        before: LaneBefore,
        more: Value,
    ) -> Result<(), LedgerError> {
        let LaneBefore {
            device,
            invoice,
            values,
        } = before;
        let after = self.lane_values(device, invoice).await?;
        let mut subject = json!({ "device_id": device });
        if let Some(invoice) = invoice {
            subject["invoice_id"] = json!(invoice);
        }
        for (name, value) in more.as_object().into_iter().flatten() {
            subject[name] = value.clone();
        }
        let change = RecordedChange {
            operator: &by.operator,
            reason: Some(&by.reason),
            subject,
            changes: differences(&values, &after, &[]),
        };
        self.record_change(command, change).await
    }

    async fn lane_values(
        &self,
        device: DeviceId,
        invoice: Option<Uuid>,
    ) -> Result<Value, LedgerError> {
        let row = self.query_one(VALUES, &[&device.uuid(), &invoice]).await?;
        Ok(row.try_get(0)?)
    }
}
