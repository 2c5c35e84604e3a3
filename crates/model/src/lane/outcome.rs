//! What a worker writes once it knows the outcome of a send or a look-up.

use super::adoption::Adoption;
use super::{Answer, InvoiceState, LaneModel, LaneModelState, Mutation, Numbers, Phase, Plan};

impl LaneModel {
    pub(super) fn begin_send(&self, state: &mut LaneModelState, w: u8, plan: Plan) -> Phase {
        if !self.holds_claim(state, w) && !self.is_broken_by(Mutation::ClaimsNotExclusive) {
            return Phase::Idle;
        }
        let fits = match state.invoice(plan.invoice).state {
            InvoiceState::Pending => true,
            InvoiceState::Submitting(number) => number == plan.number,
            _ => false,
        };
        if state.halted || state.next_number != plan.number || !fits {
            return Phase::Holding;
        }

        let invoice = state.invoice_mut(plan.invoice);
        invoice.state = InvoiceState::Submitting(plan.number);
        invoice.unknown = true;
        if let Some(credit_note) = &mut invoice.credit_note {
            credit_note.sent = true;
        }
        Phase::Awaiting(plan)
    }

    pub(super) fn write_answer(
        &self,
        state: &mut LaneModelState,
        w: u8,
        plan: Plan,
        answer: Answer,
    ) -> Phase {
        if !self.may_write(state, w) {
            state.keep_open_send(plan);
            return Phase::Idle;
        }
        match answer {
            Answer::Accepted => return self.accept(state, w, plan),
            Answer::Refused | Answer::NotSent => {}
            Answer::Unknown
            | Answer::VaguelyRefused
            | Answer::NumberTaken
            | Answer::OtherNumberExpected => state.keep_open_send(plan),
        }
        if state.invoice(plan.invoice).is_submitting() {
            self.write_failure(state, plan, answer);
        }
        Phase::Holding
    }

    fn write_failure(&self, state: &mut LaneModelState, plan: Plan, answer: Answer) {
        let forgets = self.is_broken_by(Mutation::RefusalForgetsOpenSends);
        let far_behind = self.halts_far_behind(state, plan.number);
        let invoice = state.invoice_mut(plan.invoice);
        match answer {
            Answer::Refused => {
                invoice.refused = true;
                if !plan.ever_unknown || forgets {
                    invoice.unknown = false;
                }
                if forgets {
                    invoice.open_sends = Numbers::default();
                }
            }
            Answer::VaguelyRefused => invoice.refused = true,
            Answer::NotSent => invoice.unknown = false,
            Answer::NumberTaken if self.is_broken_by(Mutation::ResendHiddenNumber) => {
                invoice.unknown = false;
            }
            Answer::NumberTaken if far_behind => state.halted = true,
            Answer::NumberTaken => invoice.hidden = true,
            Answer::OtherNumberExpected => state.halted = true,
            Answer::Unknown if self.is_broken_by(Mutation::NewNumberAfterUnknown) => {
                invoice.state = InvoiceState::Pending;
                invoice.unknown = false;
                state.next_number += 1;
            }
            Answer::Unknown | Answer::Accepted => {}
        }
    }

    /// Whether a broken variant halts because KRA expects more than the number after this one.
    fn halts_far_behind(&self, state: &LaneModelState, number: u8) -> bool {
        self.is_broken_by(Mutation::HaltOnNumberFarBehind)
            && state.accepted.len() > usize::from(number)
    }

    /// Stores a receipt, as `invoice_accepted` does.
    fn accept(&self, state: &mut LaneModelState, w: u8, plan: Plan) -> Phase {
        if !self.may_write(state, w) {
            return Phase::Idle;
        }
        if state.invoice(plan.invoice).state == InvoiceState::Submitting(plan.number) {
            state.store_receipt(plan.invoice, plan.number);
        }
        Phase::Holding
    }

    pub(super) fn write_look_up(
        &self,
        state: &mut LaneModelState,
        w: u8,
        plan: Plan,
        found: Option<u8>,
    ) -> Phase {
        if !self.may_write(state, w) {
            return Phase::Idle;
        }
        match self.as_believed(plan, found) {
            Some(owner) if owner == plan.invoice && plan.holds_number => {
                self.accept(state, w, plan)
            }
            Some(owner) => {
                if self.adopt(state, owner, plan.number) == Adoption::Contradiction {
                    state.halted = true;
                }
                Phase::Holding
            }
            None if plan.hidden => Phase::Holding,
            None if !plan.holds_number => Phase::Sending(plan.to_send()),
            None if plan.refused => self.dead_letter(plan),
            None => {
                let invoice = state.invoice_mut(plan.invoice);
                if invoice.is_submitting() {
                    invoice.unknown = false;
                }
                Phase::Holding
            }
        }
    }

    /// What a look-up found, as a broken variant of the protocol misreads it.
    fn as_believed(&self, plan: Plan, found: Option<u8>) -> Option<u8> {
        let owner = found?;
        if self.is_broken_by(Mutation::FoundSaleTakenAsOwn) {
            return Some(plan.invoice);
        }
        let is_others = owner != plan.invoice;
        (!is_others || !self.is_broken_by(Mutation::OthersSaleTakenAsAbsent)).then_some(owner)
    }

    pub(super) fn defer(&self, state: &mut LaneModelState, w: u8, plan: Plan) -> Phase {
        if !self.may_write(state, w) {
            return Phase::Idle;
        }
        let invoice = state.invoice_mut(plan.invoice);
        if invoice.is_submitting() {
            invoice.state = InvoiceState::Pending;
            invoice.unknown = false;
            state.remove_unfiled(plan.invoice);
            state.unfiled.push(plan.invoice);
        }
        Phase::Holding
    }
}

impl LaneModelState {
    /// This send stays without a stored answer.
    pub(super) fn keep_open_send(&mut self, plan: Plan) {
        let invoice = self.invoice_mut(plan.invoice);
        invoice.open_sends = invoice.open_sends.with(plan.number);
    }
}
