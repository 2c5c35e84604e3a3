//! The reversals that a batch touches, in memory under their row locks.
//!
//! Reports come in any order, of parts of a sale or of all of it (protocol C9). Nothing here asks
//! the database.

use risiti_domain::{EventId, MerchantId, Money, PaymentId, PaymentState, Provider};
use risiti_providers::{ReversalKeyKind, ReversalReport};
use rust_decimal::Decimal;

use crate::recording::locked_payments::LockedPayments;
use crate::recording::payment::Payment;
use crate::recording::reversal::{NewCreditNote, Reversal, ReversalState, Withdrawal};

/// The reversals that a batch touches, and what follows from them.
#[derive(Default)]
pub(crate) struct LockedReversals {
    pub(crate) rows: Vec<Reversal>,
    pub(crate) credit_notes: Vec<NewCreditNote>,
    pub(crate) withdrawals: Vec<Withdrawal>,
    /// Events that a person has to look at.
    pub(crate) flagged: Vec<EventId>,
}

const MORE_THAN_SALE: &str = "more money went back than the sale was";
const PART_UNSTATED: &str = "part of it went back, and the message does not say how much";
const OTHER_CURRENCY: &str = "money went back in another currency";
const OTHER_AMOUNT: &str = "another message names another amount for one reversal";
const OTHER_SALE: &str = "another message names another sale for one reversal";
const TOLD_AS_FAILED: &str = "a refund was told as failed and as done";
const DISPUTE_NOT_REFUNDED: &str = "a dispute took the money back, and its refund failed";
const OTHER_NOTE_STANDS: &str =
    "money went back, and a credit note stands for money that came back";
const TOLD_TWICE: &str = "a dispute and a refund of one amount may be the same money";
const RETURNED_AFTER_CREDIT: &str = "money that had gone back came back after it was credited";

impl LockedReversals {
    pub(crate) fn new(rows: Vec<Reversal>) -> Self {
        Self {
            rows,
            ..Self::default()
        }
    }

    /// Applies one reversal event to its row. Its sale is left to [`Self::apply_to_sales`].
    pub(crate) fn apply(
        &mut self,
        event: EventId,
        merchant: MerchantId,
        provider: Provider,
        report: &ReversalReport,
        payments: &mut LockedPayments,
    ) {
        let reported = ReversalState::of(report.outcome);
        let same = |row: &&mut Reversal| {
            row.merchant == merchant && row.provider == provider && row.is_told_by(report)
        };
        // Two rows may turn out to be one. Then the one that has come further counts.
        let known = self.rows.iter_mut().filter(same);
        let Some(row) = known.max_by_key(|row| row.state.rank()) else {
            let row = Reversal::new(event, merchant, provider, report);
            if row.state == ReversalState::Unstated {
                self.flagged.push(event);
            }
            return self.rows.push(row);
        };

        let sale = row.payment.and_then(|payment| payments.get(payment));
        let total = sale.and_then(|sale| sale.amount);
        if let Some(reason) = contradiction(row, report, reported, total) {
            self.flagged.push(event);
            if let Some(payment) = row.payment {
                payments.flag(payment, reason, event);
            }
            return;
        }
        row.learn_keys(report);
        if reported.rank() <= row.state.rank() {
            return;
        }

        // An applied reversal can only go on to failed or undone: the money is here, so the credit
        // note has to go.
        if row.state == ReversalState::Applied
            && let Some(payment) = row.payment
        {
            self.withdrawals.push(Withdrawal {
                payment,
                reversal: row.id,
                credited: row.credited,
                event,
            });
            if payments
                .get(payment)
                .is_some_and(|payment| payment.state == PaymentState::Reversed)
            {
                // Nothing un-reverses a payment (protocol C7).
                self.flagged.push(event);
                payments.flag(payment, RETURNED_AFTER_CREDIT, event);
            }
        }
        if reported.money_went_back() {
            row.amount = report.amount;
            row.event = event;
            row.occurred_at = report.occurred_at;
        }
        row.change(reported, None);
    }

    /// Notes that a credit note could not be withdrawn. It still takes its part of the sale.
    pub(crate) fn note_stands(&mut self, withdrawal: &Withdrawal, payments: &mut LockedPayments) {
        let event = withdrawal.event;
        let same = |row: &&mut Reversal| row.id == withdrawal.reversal;
        if let Some(row) = self.rows.iter_mut().find(same) {
            row.change(row.state, withdrawal.credited);
        }
        self.flagged.push(event);
        payments.flag(withdrawal.payment, RETURNED_AFTER_CREDIT, event);
    }

    /// Links every reversal to its sale, and applies those that wait to the sales that hold their
    /// money.
    pub(crate) fn apply_to_sales(&mut self, payments: &mut LockedPayments) {
        for at in 0..self.rows.len() {
            let row = &self.rows[at];
            let Some(sale) = payments.by_money_key(row.merchant, row.provider, &row.of_money_key)
            else {
                continue;
            };
            let sale = sale.clone();

            if self.rows[at].payment != Some(sale.id) {
                let row = &mut self.rows[at];
                row.payment = Some(sale.id);
                row.change(row.state, row.credited);
                if row.state == ReversalState::Unstated {
                    payments.flag(sale.id, PART_UNSTATED, row.event);
                }
            }
            if self.rows[at].state == ReversalState::Waiting && sale.holds_money() {
                self.apply_to_sale(at, &sale, payments);
            }
        }
    }

    fn apply_to_sale(&mut self, at: usize, sale: &Payment, payments: &mut LockedPayments) {
        let Some(total) = sale.amount else { return };
        let row = &self.rows[at];
        let event = row.event;
        let reversal = row.id;
        if row
            .amount
            .is_some_and(|amount| amount.currency() != total.currency())
        {
            return self.flag_excess(at, sale, OTHER_CURRENCY, payments);
        }

        let credited: Decimal = self.of_sale(sale).filter_map(|row| row.credited).sum();
        let left = total.amount() - credited;
        let amount = self.rows[at].amount.map_or(left, |amount| amount.amount());
        if amount > left || left.is_zero() {
            // Only the parts that were named are added up. A reversal of the whole sale beside
            // parts of it is no excess, it just finds nothing left.
            let named: Decimal = self
                .of_sale(sale)
                .filter(|row| row.state.money_went_back())
                .filter_map(|row| row.amount)
                .map(|amount| amount.amount())
                .sum();
            if named > total.amount() {
                return self.flag_excess(at, sale, MORE_THAN_SALE, payments);
            }
            let stands = |row: &Reversal| row.state.money_is_here() && row.credited.is_some();
            if self.of_sale(sale).any(stands) {
                return self.flag_excess(at, sale, OTHER_NOTE_STANDS, payments);
            }
            return self.rows[at].change(ReversalState::Excess, None);
        }

        let row = &self.rows[at];
        let told_before = |other: &Reversal| {
            !row.confirmed
                && other.state == ReversalState::Applied
                && other.credited == Some(amount)
                && other.may_be_told_as(row)
        };
        if self.of_sale(sale).any(told_before) {
            return self.flag_excess(at, sale, TOLD_TWICE, payments);
        }

        self.rows[at].change(ReversalState::Applied, Some(amount));
        self.credit_notes.push(NewCreditNote {
            payment: sale.id,
            reversal,
            amount,
            event,
        });
        let gone: Decimal = self
            .of_sale(sale)
            .filter(|row| row.state == ReversalState::Applied)
            .filter_map(|row| row.credited)
            .sum();
        if gone == total.amount() && sale.state == PaymentState::Success {
            payments.reverse(sale.id, "all of the money went back", event);
        }
    }

    /// Gives no credit note for a reversal, and flags it for a person to look at.
    fn flag_excess(
        &mut self,
        at: usize,
        sale: &Payment,
        reason: &str,
        payments: &mut LockedPayments,
    ) {
        let event = self.rows[at].event;
        self.rows[at].change(ReversalState::Excess, None);
        self.flagged.push(event);
        payments.flag(sale.id, reason, event);
    }

    pub(crate) fn of_sale<'a>(&'a self, sale: &Payment) -> impl Iterator<Item = &'a Reversal> {
        let id = sale.id;
        self.rows.iter().filter(move |row| row.payment == Some(id))
    }

    /// The reversals of a payment for which a person has to decide whether a credit note follows.
    pub(crate) fn undecided(&mut self, payment: PaymentId) -> impl Iterator<Item = &mut Reversal> {
        self.rows.iter_mut().filter(move |row| {
            let is_open = matches!(row.state, ReversalState::Excess | ReversalState::Unstated);
            is_open && row.payment == Some(payment)
        })
    }
}

/// What a report contradicts about its reversal, if it does. `total` is the amount of the sale.
fn contradiction(
    row: &Reversal,
    report: &ReversalReport,
    reported: ReversalState,
    total: Option<Money>,
) -> Option<&'static str> {
    if row.of_money_key != report.of_money_key {
        return Some(OTHER_SALE);
    }
    let went_back_before = row.state.money_went_back();
    match reported {
        ReversalState::Failed if went_back_before && row.is_a(ReversalKeyKind::Dispute) => {
            Some(DISPUTE_NOT_REFUNDED)
        }
        ReversalState::Waiting if row.state == ReversalState::Failed => Some(TOLD_AS_FAILED),
        // The amount of a refund that was only announced may still change.
        ReversalState::Waiting if went_back_before => {
            let amounts_differ = row.amount.or(total) != report.amount.or(total);
            amounts_differ.then_some(OTHER_AMOUNT)
        }
        _ => None,
    }
}
