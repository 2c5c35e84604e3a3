//! A person says who owns a number that the database cannot account for (protocol D11).

use std::ops::RangeInclusive;

use risiti_domain::{DeviceId, InvoiceId};
use serde_json::json;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::{Ledger, Transaction};
use crate::db::statements::statements;
use crate::lanes::contradiction::{OnContradiction, Word};
use crate::lanes::halt_by_hand::{LaneRefusal, LockedLane};
use crate::lanes::hold::LaneHold;
use crate::lanes::resolve_accepted::EnteredReceipt;
use crate::{CommandMode, OperatorAction};

statements! {
    NUMBER_HOLDER = "SELECT id, invoice_no FROM invoices WHERE device_id = $1 AND state = 'submitting' FOR UPDATE";
    IS_FILED = "SELECT EXISTS (SELECT FROM invoices WHERE id = $1 AND device_id = $2 AND state = 'success')";
    RECORD_FOREIGN_NUMBER = "
        INSERT INTO foreign_invoice_numbers (device_id, invoice_no, operator, reason) VALUES ($1, $2, $3, $4)
        ON CONFLICT (device_id, invoice_no) DO NOTHING";
    /// The body is built anew, because what it is made of may have been corrected meanwhile.
    NUMBER_BACK = "
        UPDATE invoices SET state = 'pending', invoice_no = NULL, unknown_since = NULL, hidden_since = NULL,
            refused_at = NULL, strikes = 0, rounds = 0, strike_mark = NULL,
            stale_submission = (SELECT coalesce(max(s.id), 0) FROM submissions s WHERE s.invoice_id = $1),
            moved_by = $2, moved_because = $3, moved_event = NULL
        WHERE id = $1 AND state = 'submitting'";
    /// What nobody answered is known now: KRA does not have these sends.
    RESOLVE_SENDS = "
        UPDATE submissions SET outcome = 'resolved'
        WHERE device_id = $1 AND invoice_no BETWEEN $2 AND $3 AND (outcome IS NULL OR outcome = 'unknown')
          AND ($4::uuid IS NULL OR invoice_id <> $4)";
    PASS_NUMBER = "
        UPDATE lanes SET next_invoice_no = next_invoice_no + 1, moved_by = $3
        WHERE device_id = $1 AND next_invoice_no = $2";
}

/// What a person says about the number that halted a lane.
#[derive(Clone, Debug)]
pub struct Resolution {
    pub invoice_no: i64,
    pub ownership: Ownership,
    pub on_contradiction: OnContradiction,
}

/// What a person found out about a number.
#[derive(Clone, Debug)]
pub enum Ownership {
    /// It belongs to a sale that is none of ours.
    TakenElsewhere,
    /// KRA accepted the invoice we sent under it.
    Accepted(EnteredReceipt),
    /// KRA has nothing under it.
    NotAccepted,
}

/// The state after a person resolved a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The invoice that got the receipt or gave the number back.
    pub invoice: Option<InvoiceId>,
    pub next_invoice_no: i64,
}

impl Ownership {
    fn as_str(&self) -> &'static str {
        match self {
            Self::TakenElsewhere => "taken elsewhere",
            Self::Accepted(_) => "accepted",
            Self::NotAccepted => "not accepted",
        }
    }
}

impl Ledger {
    /// Settles the number that halted a lane, and ends the halt.
    ///
    /// # Errors
    /// A refusal, also for what contradicts KRA, unless the person insists.
    pub async fn resolve_lane(
        &self,
        device: DeviceId,
        resolution: &Resolution,
        mode: CommandMode,
        by: &OperatorAction,
    ) -> Result<Resolved, LaneRefusal> {
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;
        let invoice_no = resolution.invoice_no;
        let (lane, holder) = transaction.number_in_question(device, invoice_no).await?;
        let (word, accepted) = transaction
            .word(device, &lane, invoice_no, &resolution.ownership)
            .await?;
        let mut contradiction = lane.evidence.contradiction(invoice_no, word);
        // Nothing is surer than the receipt that a look-up found.
        if let Word::Accepted {
            invoice,
            receipt_no,
        } = word
            && contradiction.is_none()
            && !lane.evidence.shows(invoice_no)
        {
            contradiction = transaction
                .receipt_out_of_order(device, invoice_no, invoice.uuid(), receipt_no)
                .await?;
        }
        let forced = resolution.on_contradiction.forced(contradiction)?;

        let invoice = accepted.or(holder);
        let before = transaction.lane_before(device, invoice).await?;
        transaction
            .apply(device, resolution, holder, accepted, by)
            .await?;
        transaction
            .resolve_sends(device, invoice_no..=invoice_no, accepted)
            .await?;
        if !matches!(resolution.ownership, Ownership::NotAccepted) {
            transaction
                .execute(PASS_NUMBER, &[&device.uuid(), &invoice_no, &by.operator])
                .await?;
        }
        transaction.end_halt(device, by).await?;

        let mut subject = json!({ "invoice_no": invoice_no, "as": resolution.ownership.as_str() });
        if let Some(why) = forced {
            subject["forced"] = json!(true);
            subject["forced_against"] = json!(why);
        }
        transaction
            .record_lane_change("lanes resolve", by, before, subject)
            .await?;

        let next_invoice_no = transaction.lock_lane(device).await?.next_invoice_no;
        mode.end(transaction).await?;
        Ok(Resolved {
            invoice: invoice.map(InvoiceId::from_uuid),
            next_invoice_no,
        })
    }
}

impl Transaction<'_> {
    /// What the person says, as it is compared with what KRA said, and the invoice that it gives
    /// the number to.
    async fn word(
        &self,
        device: DeviceId,
        lane: &LockedLane,
        invoice_no: i64,
        ownership: &Ownership,
    ) -> Result<(Word, Option<Uuid>), LaneRefusal> {
        match ownership {
            Ownership::NotAccepted => Ok((Word::NotAccepted, None)),
            Ownership::TakenElsewhere => {
                let found = lane.evidence.found.as_ref();
                let found = found.and_then(|found| found.invoice_id);
                let found_is_filed = match found {
                    Some(invoice) => self.is_filed(device, invoice).await?,
                    None => false,
                };
                Ok((Word::TakenElsewhere { found_is_filed }, None))
            }
            Ownership::Accepted(receipt) => {
                let accepted = self
                    .accepted_invoice(device, invoice_no, receipt.invoice)
                    .await?;
                let word = Word::Accepted {
                    invoice: InvoiceId::from_uuid(accepted),
                    receipt_no: receipt.receipt_no,
                };
                Ok((word, Some(accepted)))
            }
        }
    }

    /// Moves the invoices as the person's word says.
    async fn apply(
        &self,
        device: DeviceId,
        resolution: &Resolution,
        holder: Option<Uuid>,
        accepted: Option<Uuid>,
        by: &OperatorAction,
    ) -> Result<(), LaneRefusal> {
        let invoice_no = resolution.invoice_no;
        match (&resolution.ownership, accepted) {
            (Ownership::Accepted(receipt), Some(accepted)) => {
                let loses = holder.filter(|holder| *holder != accepted);
                self.take_number_back(loses, "its number is another invoice's", by)
                    .await?;
                self.accept_by_hand(accepted, invoice_no, receipt, by).await
            }
            (Ownership::TakenElsewhere, _) => {
                self.execute(
                    RECORD_FOREIGN_NUMBER,
                    &[&device.uuid(), &invoice_no, &by.operator, &by.reason],
                )
                .await?;
                self.take_number_back(holder, "its number is another sale's", by)
                    .await?;
                Ok(())
            }
            (Ownership::NotAccepted | Ownership::Accepted(_), _) => {
                self.take_number_back(holder, "its number was not accepted", by)
                    .await?;
                Ok(())
            }
        }
    }

    /// Whether an invoice of the lane has its receipt already.
    async fn is_filed(&self, device: DeviceId, invoice: InvoiceId) -> Result<bool, LedgerError> {
        let row = self
            .query_one(IS_FILED, &[&invoice.uuid(), &device.uuid()])
            .await?;
        Ok(row.try_get(0)?)
    }

    /// Checks that this is the number that halted the lane. Returns the lane, and the invoice that
    /// holds the number.
    async fn number_in_question(
        &self,
        device: DeviceId,
        asked: i64,
    ) -> Result<(LockedLane, Option<Uuid>), LaneRefusal> {
        let lane = self.hold_halted_lane(device).await?;
        let holder = self
            .number_holder(device)
            .await?
            .filter(|(_, number)| *number == asked)
            .map(|(invoice, _)| invoice);
        if holder.is_none() && asked != lane.next_invoice_no {
            return Err(LaneRefusal::NotInQuestion {
                asked,
                next: lane.next_invoice_no,
            });
        }
        Ok((lane, holder))
    }

    /// Keeps workers away from a halted lane until the transaction ends.
    pub(crate) async fn hold_halted_lane(
        &self,
        device: DeviceId,
    ) -> Result<LockedLane, LaneRefusal> {
        let hold = self.hold_lane(device).await?;
        let lane = self.lock_lane(device).await?;
        if lane.halt_reason.is_none() {
            return Err(LaneRefusal::NotHaltedYet(device));
        }
        if hold == LaneHold::Taken {
            return Err(LaneRefusal::Held);
        }
        Ok(lane)
    }

    /// The invoice that is being submitted, with its number.
    pub(crate) async fn number_holder(
        &self,
        device: DeviceId,
    ) -> Result<Option<(Uuid, i64)>, LedgerError> {
        let row = self.query_opt(NUMBER_HOLDER, &[&device.uuid()]).await?;
        row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .transpose()
    }

    /// The sends of all invoices under these numbers that nobody answered are answered by the
    /// person's word. Those of the accepted invoice stay, because one of them was accepted.
    pub(crate) async fn resolve_sends(
        &self,
        device: DeviceId,
        numbers: RangeInclusive<i64>,
        accepted: Option<Uuid>,
    ) -> Result<(), LedgerError> {
        self.execute(
            RESOLVE_SENDS,
            &[&device.uuid(), numbers.start(), numbers.end(), &accepted],
        )
        .await
        .map(drop)
    }

    pub(crate) async fn take_number_back(
        &self,
        invoice: Option<Uuid>,
        why: &str,
        by: &OperatorAction,
    ) -> Result<(), LedgerError> {
        let Some(invoice) = invoice else {
            return Ok(());
        };
        let because = format!("{why}: {}", by.reason);
        self.execute(NUMBER_BACK, &[&invoice, &by.operator, &because])
            .await
            .map(drop)
    }
}
