//! What a worker writes once it knows what a send or a look-up came to.

use super::{Answer, Lane, Late, LookUp, Mutation, Numbers, Phase, Plan, Standing, State};

impl Lane {
    pub(super) fn begin_send(&self, state: &mut State, w: u8, plan: Plan) -> Phase {
        let fits = match state.invoices[usize::from(plan.invoice)].standing {
            Standing::Pending => true,
            Standing::Submitting(no) => no == plan.no,
            _ => false,
        };
        let holds = self.holds(state, w) || self.is(Mutation::ClaimsNotExclusive);
        if !holds {
            return Phase::Idle;
        }
        if state.halted || state.next_no != plan.no || !fits {
            return Phase::Holding;
        }
        let invoice = state.invoice(plan.invoice);
        invoice.standing = Standing::Submitting(plan.no);
        invoice.unknown = true;
        if let Some(note) = &mut invoice.note {
            note.sent = true;
        }
        Phase::Awaiting(plan)
    }

    pub(super) fn write_answer(
        &self,
        state: &mut State,
        w: u8,
        plan: Plan,
        answer: Answer,
    ) -> Phase {
        let may_write = self.may_write(state, w);
        if !may_write
            || matches!(
                answer,
                Answer::Unknown | Answer::Vague | Answer::Taken | Answer::Expected
            )
        {
            state.left_open(plan);
        }
        if !may_write {
            return Phase::Idle;
        }
        if answer == Answer::Ok {
            return self.accept(state, w, plan);
        }
        let forgets = self.is(Mutation::RefusalForgetsOpenSends);
        let invoice = state.invoice(plan.invoice);
        if !matches!(invoice.standing, Standing::Submitting(_)) {
            return Phase::Holding;
        }
        match answer {
            Answer::Refused => {
                invoice.refused = true;
                if !plan.ever_unknown || forgets {
                    invoice.unknown = false;
                    if forgets {
                        invoice.open = Numbers::default();
                    }
                }
            }
            Answer::Vague => invoice.refused = true,
            Answer::NotSent => invoice.unknown = false,
            Answer::Taken if self.is(Mutation::ResendHidden) => invoice.unknown = false,
            Answer::Taken => invoice.hidden = true,
            Answer::Expected => state.halted = true,
            Answer::Unknown if self.is(Mutation::NewNumberAfterUnknown) => {
                invoice.standing = Standing::Pending;
                invoice.unknown = false;
                state.next_no += 1;
            }
            Answer::Unknown | Answer::Ok => {}
        }
        Phase::Holding
    }

    /// As `invoice_accepted` does.
    fn accept(&self, state: &mut State, w: u8, plan: Plan) -> Phase {
        if !self.may_write(state, w) {
            return Phase::Idle;
        }
        if state.invoices[usize::from(plan.invoice)].standing == Standing::Submitting(plan.no) {
            state.has_receipt(plan.invoice, plan.no);
        }
        Phase::Holding
    }

    pub(super) fn write_look_up(
        &self,
        state: &mut State,
        w: u8,
        plan: Plan,
        found: Option<u8>,
    ) -> Phase {
        if !self.may_write(state, w) {
            return Phase::Idle;
        }
        let found = match found {
            Some(_) if self.is(Mutation::FoundIsMine) => Some(plan.invoice),
            Some(owner) if owner != plan.invoice && self.is(Mutation::FoundOfAnotherIsAbsent) => {
                None
            }
            found => found,
        };
        match found {
            Some(owner) if owner == plan.invoice && plan.out => self.accept(state, w, plan),
            Some(owner) => {
                if !self.adopt(state, owner, plan.no) {
                    state.halted = true;
                }
                Phase::Holding
            }
            None if plan.hidden => Phase::Holding,
            None if !plan.out => Phase::Sending(plan.to_send()),
            None if plan.refused => self.bury(plan),
            None => {
                let invoice = state.invoice(plan.invoice);
                if matches!(invoice.standing, Standing::Submitting(_)) {
                    invoice.unknown = false;
                }
                Phase::Holding
            }
        }
    }

    pub(super) fn step_aside(&self, state: &mut State, w: u8, plan: Plan) -> Phase {
        if !self.may_write(state, w) {
            return Phase::Idle;
        }
        let invoice = state.invoice(plan.invoice);
        if matches!(invoice.standing, Standing::Submitting(_)) {
            invoice.standing = Standing::Pending;
            invoice.unknown = false;
            state.line.retain(|id| *id != plan.invoice);
            state.line.push(plan.invoice);
        }
        Phase::Holding
    }

    pub(super) fn bury(&self, plan: Plan) -> Phase {
        Phase::Burying(Plan {
            out: true,
            ever_unknown: false,
            hidden: false,
            refused: false,
            ..plan
        })
    }

    pub(super) fn write_death(&self, state: &mut State, w: u8, plan: Plan) -> Phase {
        if !self.may_write(state, w) {
            return Phase::Idle;
        }
        let open = state.open(plan.invoice).last();
        let invoice = state.invoice(plan.invoice);
        if matches!(invoice.standing, Standing::Submitting(_)) {
            invoice.standing = Standing::Dead;
            (invoice.unknown, invoice.hidden, invoice.refused) = (false, false, false);
            let look_up = open.map(|no| LookUp {
                no,
                due: false,
                last: false,
            });
            invoice.look_up = look_up.filter(|_| !self.is(Mutation::NoLaterLookUps));
            state.line.retain(|id| *id != plan.invoice);
            if self.is(Mutation::DeathPassesNumber) {
                state.next_no += 1;
            }
        }
        Phase::Holding
    }

    fn adopt(&self, state: &mut State, owner: u8, no: u8) -> bool {
        let adopted = state.adopt(owner, no);
        if adopted && !self.is(Mutation::AdoptWithoutCreditNote) {
            state.credit_note_back(owner);
        }
        adopted
    }

    pub(super) fn write_late(
        &self,
        state: &mut State,
        w: u8,
        late: Late,
        found: Option<u8>,
    ) -> Phase {
        if !self.may_write(state, w) {
            return Phase::Idle;
        }
        if found == Some(late.invoice) && self.adopt(state, late.invoice, late.no) {
            return Phase::Holding;
        }
        let ends = self.is(Mutation::NoLaterLookUpsOfDiscarded);
        let invoice = state.invoice(late.invoice);
        let dead = matches!(invoice.standing, Standing::Dead | Standing::Pending);
        let discarded = late.discard && dead && invoice.wish;
        if discarded {
            invoice.standing = Standing::Discarded;
            invoice.wish = false;
        }
        if discarded && ends {
            invoice.look_up = None;
        } else if let Some(look_up) = invoice.look_up.filter(|look_up| look_up.no == late.no) {
            invoice.look_up = (!look_up.last).then_some(LookUp {
                due: false,
                last: true,
                ..look_up
            });
        }
        if discarded {
            state.line.retain(|id| *id != late.invoice);
            self.discard_credit_note(state, late.invoice);
        }
        if found == Some(late.invoice) {
            state.halted = true;
        }
        Phase::Holding
    }
}

impl Plan {
    /// What the outcome of a send depends on.
    pub(super) fn to_send(self) -> Self {
        Self {
            out: true,
            hidden: false,
            refused: false,
            ..self
        }
    }
}

impl State {
    /// Nobody waits for this request any more, and it may arrive yet.
    pub(super) fn leave_behind(&mut self, plan: Plan) {
        let late = &mut self.late[usize::from(plan.invoice)];
        *late = late.with(plan.no);
    }

    /// This send stays without an answer in the books.
    pub(super) fn left_open(&mut self, plan: Plan) {
        let invoice = self.invoice(plan.invoice);
        invoice.open = invoice.open.with(plan.no);
    }

    fn has_receipt(&mut self, id: u8, no: u8) {
        let invoice = self.invoice(id);
        invoice.standing = Standing::Success(no);
        (
            invoice.unknown,
            invoice.hidden,
            invoice.refused,
            invoice.wish,
        ) = (false, false, false, false);
        invoice.look_up = None;
        self.line.retain(|other| *other != id);
        if self.next_no == no {
            self.next_no += 1;
        }
    }

    /// False where a person has to look.
    fn adopt(&mut self, owner: u8, no: u8) -> bool {
        if matches!(
            self.invoices[usize::from(owner)].standing,
            Standing::Success(_)
        ) {
            return false;
        }
        let holds = |standing| matches!(standing, Standing::Submitting(n) | Standing::Success(n) if n == no);
        let holder = (0..self.invoices.len())
            .find(|id| *id != usize::from(owner) && holds(self.invoices[*id].standing));
        if let Some(holder) = holder {
            let holder = &mut self.invoices[holder];
            if matches!(holder.standing, Standing::Success(_)) {
                return false;
            }
            holder.standing = Standing::Pending;
            (holder.unknown, holder.hidden, holder.refused) = (false, false, false);
        }
        self.has_receipt(owner, no);
        true
    }
}
