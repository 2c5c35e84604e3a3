//! What a worker of a lane does, step by step.

use super::{Action, Answer, Lane, Late, Mutation, Phase, Plan, Standing, State};

impl Lane {
    pub(super) fn worker_actions(
        &self,
        state: &State,
        w: u8,
        calm: bool,
        actions: &mut Vec<Action>,
    ) {
        if !calm && state.workers[usize::from(w)] != Phase::Idle {
            actions.push(Action::Crash(w));
        }
        match state.workers[usize::from(w)] {
            Phase::Idle => {
                // A lease runs out when its holder is dead. Of one that lives, only where it is frozen or cut off.
                let gone = |holder: u8| state.workers[usize::from(holder)] == Phase::Idle;
                let frozen = !calm && state.takeovers > 0;
                let free = state.claim.is_none_or(|holder| frozen || gone(holder));
                if free && !state.halted && state.has_work() {
                    actions.push(Action::Claim(w));
                }
            }
            Phase::Holding => {
                let due = |i: &u8| {
                    state.invoices[usize::from(*i)]
                        .look_up
                        .is_some_and(|look_up| look_up.due)
                };
                let late = (0..self.sales).filter(due);
                actions.extend(late.map(|i| Action::WorkLate(w, i)));
                if state.turn().is_some() {
                    actions.push(Action::Work(w));
                }
                if !calm || !state.has_work() || state.halted || state.claim != Some(w) {
                    actions.push(Action::Release(w));
                }
            }
            Phase::Sending(_) => actions.push(Action::BeginSend(w)),
            Phase::Awaiting(_) => {
                actions.push(Action::Arrive(w));
                if !calm {
                    actions.extend([
                        Action::Refuse(w),
                        Action::GiveUp(w),
                        Action::SayNo(w),
                        Action::NotSent(w),
                    ]);
                }
            }
            Phase::Answered(..) => actions.push(Action::WriteAnswer(w)),
            Phase::Asking(_) if calm && !state.all_shown() => {}
            Phase::Asking(_) => actions.push(Action::LookUp(w)),
            Phase::Asked(plan, found) => {
                actions.push(Action::WriteLookUp(w));
                if found.is_none() && plan.out && !plan.hidden && !plan.refused {
                    actions.extend([Action::StepAside(w), Action::Exhaust(w)]);
                }
            }
            Phase::Burying(_) => actions.push(Action::PublishDeath(w)),
            Phase::Told(_) => actions.push(Action::WriteDeath(w)),
            Phase::AskingLate(_) if calm && !state.all_shown() => {}
            Phase::AskingLate(_) => actions.push(Action::LookUpLate(w)),
            Phase::AskedLate(..) => actions.push(Action::WriteLookUpLate(w)),
        }
    }

    pub(super) fn worker(&self, state: &mut State, action: Action) {
        let (Action::Claim(w)
        | Action::Release(w)
        | Action::Work(w)
        | Action::WorkLate(w, _)
        | Action::BeginSend(w)
        | Action::Arrive(w)
        | Action::Refuse(w)
        | Action::GiveUp(w)
        | Action::SayNo(w)
        | Action::NotSent(w)
        | Action::WriteAnswer(w)
        | Action::LookUp(w)
        | Action::WriteLookUp(w)
        | Action::StepAside(w)
        | Action::Exhaust(w)
        | Action::PublishDeath(w)
        | Action::WriteDeath(w)
        | Action::LookUpLate(w)
        | Action::WriteLookUpLate(w)
        | Action::Crash(w)) = action
        else {
            return;
        };
        let phase = state.workers[usize::from(w)];
        state.workers[usize::from(w)] = match (action, phase) {
            (Action::Claim(_), _) => {
                let lives = |holder: u8| state.workers[usize::from(holder)] != Phase::Idle;
                if state.claim.is_some_and(lives) && state.takeovers < u8::MAX {
                    state.takeovers -= 1;
                }
                state.claim = Some(w);
                Phase::Holding
            }
            (Action::Release(_), _) => {
                if self.holds(state, w) {
                    state.claim = None;
                }
                Phase::Idle
            }
            (Action::Work(_), _) => self.decide(state, w),
            (Action::WorkLate(_, i), _) => self.decide_late(state, w, i),
            (Action::BeginSend(_), Phase::Sending(plan)) => self.begin_send(state, w, plan),
            (Action::Arrive(_), Phase::Awaiting(plan)) => {
                let answer = state.arrive(plan.invoice, plan.no);
                Phase::Answered(plan, answer)
            }
            (Action::Refuse(_), Phase::Awaiting(plan)) => Phase::Answered(plan, Answer::Refused),
            (Action::NotSent(_), Phase::Awaiting(plan)) => Phase::Answered(plan, Answer::NotSent),
            (Action::GiveUp(_), Phase::Awaiting(plan)) => {
                state.leave_behind(plan);
                Phase::Answered(plan, Answer::Unknown)
            }
            (Action::SayNo(_), Phase::Awaiting(plan)) => {
                state.leave_behind(plan);
                Phase::Answered(plan, Answer::Vague)
            }
            (Action::WriteAnswer(_), Phase::Answered(plan, answer)) => {
                self.write_answer(state, w, plan, answer)
            }
            (Action::LookUp(_), Phase::Asking(plan)) => Phase::Asked(plan, state.look_up(plan.no)),
            (Action::WriteLookUp(_), Phase::Asked(plan, found)) => {
                self.write_look_up(state, w, plan, found)
            }
            (Action::StepAside(_), Phase::Asked(plan, _)) => self.step_aside(state, w, plan),
            (Action::Exhaust(_), Phase::Asked(plan, _)) => self.bury(plan),
            (Action::PublishDeath(_), Phase::Burying(plan))
                if self.is(Mutation::RowBeforeMessage) =>
            {
                self.write_death(state, w, plan);
                Phase::Told(plan)
            }
            (Action::PublishDeath(_), Phase::Burying(plan)) => {
                state.invoice(plan.invoice).told = true;
                Phase::Told(plan)
            }
            (Action::WriteDeath(_), Phase::Told(plan)) if self.is(Mutation::RowBeforeMessage) => {
                state.invoice(plan.invoice).told = true;
                Phase::Holding
            }
            (Action::WriteDeath(_), Phase::Told(plan)) => self.write_death(state, w, plan),
            (Action::LookUpLate(_), Phase::AskingLate(late)) => {
                Phase::AskedLate(late, state.look_up(late.no))
            }
            (Action::WriteLookUpLate(_), Phase::AskedLate(late, found)) => {
                self.write_late(state, w, late, found)
            }
            (Action::Crash(_), Phase::Awaiting(plan)) => {
                state.leave_behind(plan);
                state.left_open(plan);
                Phase::Idle
            }
            (Action::Crash(_), Phase::Answered(plan, _)) => {
                state.left_open(plan);
                Phase::Idle
            }
            (_, _) => Phase::Idle,
        };
    }

    /// Whether a write of this worker goes through (protocol D6).
    pub(super) fn holds(&self, state: &State, w: u8) -> bool {
        state.claim == Some(w)
    }

    pub(super) fn may_write(&self, state: &State, w: u8) -> bool {
        self.holds(state, w) || self.is(Mutation::OutcomeWithoutClaim)
    }

    fn decide(&self, state: &State, w: u8) -> Phase {
        if !self.holds(state, w) {
            return Phase::Idle;
        }
        let (false, Some(id)) = (state.halted, state.turn()) else {
            return Phase::Holding;
        };
        let invoice = &state.invoices[usize::from(id)];
        let (no, out) = match invoice.standing {
            Standing::Submitting(no) => (no, true),
            _ => (state.next_no, false),
        };
        let others = (0..self.sales).any(|other| other != id && state.open(other).has(no));
        let plan = Plan {
            invoice: id,
            no,
            out,
            ever_unknown: state.open(id).has(no),
            hidden: invoice.hidden,
            refused: invoice.refused,
        };
        let open = if out { invoice.unknown } else { others };
        if open && !(out && self.is(Mutation::ResendWithoutLookUp)) {
            Phase::Asking(plan)
        } else if out && !open && invoice.refused {
            self.bury(plan)
        } else {
            Phase::Sending(plan.to_send())
        }
    }

    fn decide_late(&self, state: &State, w: u8, id: u8) -> Phase {
        if !self.holds(state, w) {
            return Phase::Idle;
        }
        let invoice = &state.invoices[usize::from(id)];
        match invoice.look_up {
            Some(look_up) if !state.halted => Phase::AskingLate(Late {
                invoice: id,
                no: look_up.no,
                discard: invoice.wish,
            }),
            _ => Phase::Holding,
        }
    }
}
