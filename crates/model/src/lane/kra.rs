//! KRA and the network to it, at their worst.

use std::cmp::Ordering;

use super::{
    Action, Answer, InvoiceState, LaneModel, LaneModelState, MAX, Numbers, Phase, Plan, WORKERS,
};

impl LaneModel {
    pub(super) fn world_actions(
        &self,
        state: &LaneModelState,
        with_faults: bool,
        actions: &mut Vec<Action>,
    ) {
        for i in 0..self.invoices {
            if with_faults {
                payment_actions(state, i, actions);
            }
            for number in state.late_requests[usize::from(i)].iter() {
                actions.extend([Action::ArriveLate(i, number), Action::Drop(i, number)]);
                if with_faults {
                    actions.push(Action::ArriveTwice(i, number));
                }
            }
            // The last look-up comes when no request can arrive any more and nothing lags.
            if let Some(look_up) = state.invoice(i).late_look_up
                && !look_up.due
                && (!look_up.last || !state.has_request_under_way(i) && state.all_shown())
            {
                actions.push(Action::TimePasses(i));
            }
        }
        if with_faults && state.restores > 0 {
            actions.extend((1..state.next_number).map(Action::Restore));
        }
        for number in 1..=state.accepted.len() as u8 {
            if !state.shown.has(number) {
                actions.push(Action::Show(number));
            }
        }
    }

    pub(super) fn world_step(&self, state: &mut LaneModelState, action: Action) {
        match action {
            Action::Owe(i) => {
                state.invoice_mut(i).state = InvoiceState::Pending;
                state.unfiled.push(i);
            }
            Action::ArriveLate(i, number) => {
                state.remove_late_request(i, number);
                state.arrive(i, number);
            }
            Action::ArriveTwice(i, number) => {
                state.arrive(i, number);
            }
            Action::Drop(i, number) => state.remove_late_request(i, number),
            Action::Show(number) => state.shown = state.shown.with(number),
            Action::Restore(number) => state.restore(number),
            Action::TimePasses(i) => {
                if let Some(look_up) = &mut state.invoice_mut(i).late_look_up {
                    look_up.due = true;
                }
            }
            _ => {}
        }
    }
}

/// The next invoice may come, and the money of a credit note may come back. Neither has to happen,
/// so runs without faults do not count on it.
fn payment_actions(state: &LaneModelState, i: u8, actions: &mut Vec<Action>) {
    let invoice = state.invoice(i);
    let before = match invoice.credit_note {
        Some(credit_note) => Some(credit_note.sale),
        None => i.checked_sub(1),
    };
    let in_order = before.is_none_or(|before| state.invoice(before).state != InvoiceState::NotYet);
    if invoice.state == InvoiceState::NotYet && in_order {
        actions.push(if invoice.credit_note.is_some() {
            Action::Credit(i)
        } else {
            Action::Owe(i)
        });
    }
    if invoice.can_be_withdrawn() {
        actions.push(Action::Withdraw(i));
    }
}

impl LaneModelState {
    /// KRA's answer to a request. It takes only the number after its last one, and knows a sale by
    /// nothing else.
    pub(super) fn arrive(&mut self, i: u8, number: u8) -> Answer {
        let next = self.accepted.len() + 1;
        match next.cmp(&usize::from(number)) {
            Ordering::Less => Answer::OtherNumberExpected,
            Ordering::Equal => {
                self.accepted.push(i);
                Answer::Accepted
            }
            Ordering::Greater => Answer::NumberTaken,
        }
    }

    /// The invoice whose sale KRA's look-up shows under a number.
    pub(super) fn look_up(&self, number: u8) -> Option<u8> {
        self.owner(number).filter(|_| self.shown.has(number))
    }

    /// Loses every receipt from this number on, and every send that is under way. No request outlives
    /// the restore, and no look-up lags as long.
    fn restore(&mut self, number: u8) {
        self.restores -= 1;
        self.workers = [Phase::Idle; WORKERS];
        self.late_requests = [Numbers::default(); MAX];
        self.shown = (1..=self.accepted.len() as u8).fold(self.shown, Numbers::with);
        self.claim = None;
        self.next_number = number;
        for id in 0..self.invoices.len() as u8 {
            // Numbers are sent in order, so that a higher one was sent after this point.
            let invoice = self.invoice(id);
            let sent_later = invoice.open_sends.last().is_some_and(|last| last > number);
            let lost = match invoice.state {
                InvoiceState::Success(filed) => filed >= number,
                InvoiceState::Submitting(_) => true,
                _ => sent_later,
            };
            if lost {
                self.remove_unfiled(id);
                self.unfiled.push(id);
                let invoice = self.invoice_mut(id);
                invoice.state = InvoiceState::Pending;
                invoice.open_sends = Numbers::default();
                invoice.late_look_up = None;
                invoice.discard_wish = false;
                invoice.forgotten = true;
                invoice.clear_send_facts();
            }
        }
    }

    /// Keeps a request that nobody waits for any more, as it may still arrive.
    pub(super) fn add_late_request(&mut self, plan: Plan) {
        let late = &mut self.late_requests[usize::from(plan.invoice)];
        *late = late.with(plan.number);
    }

    fn remove_late_request(&mut self, i: u8, number: u8) {
        let late = &mut self.late_requests[usize::from(i)];
        *late = late.without(number);
    }
}
