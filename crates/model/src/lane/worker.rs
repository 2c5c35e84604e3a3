//! What a worker of a lane does, step by step.

use super::{Action, Answer, LaneModel, LaneModelState, Mutation, Phase};

impl LaneModel {
    pub(super) fn worker_actions(
        &self,
        state: &LaneModelState,
        w: u8,
        with_faults: bool,
        actions: &mut Vec<Action>,
    ) {
        let phase = state.worker(w);
        if with_faults && phase != Phase::Idle {
            actions.push(Action::Crash(w));
        }
        match phase {
            Phase::Idle => self.idle_actions(state, w, with_faults, actions),
            Phase::Holding => self.holding_actions(state, w, with_faults, actions),
            Phase::Sending(_) => actions.push(Action::BeginSend(w)),
            Phase::Awaiting(plan) => {
                actions.push(Action::Arrive(w));
                // KRA does not refuse what it has, and a database that forgot cannot know that.
                if with_faults && !state.invoice(plan.invoice).forgotten {
                    actions.push(Action::Refuse(w));
                }
                if with_faults {
                    actions.extend([
                        Action::GiveUp(w),
                        Action::RefuseVaguely(w),
                        Action::NotSent(w),
                    ]);
                }
            }
            Phase::Answered(..) => actions.push(Action::WriteAnswer(w)),
            // Without faults no look-up lags, so the worker asks when all is shown.
            Phase::LookingUp(_) | Phase::LookingUpLate(_) if !with_faults && !state.all_shown() => {
            }
            Phase::LookingUp(_) => actions.push(Action::LookUp(w)),
            Phase::LookedUp(plan, found) => {
                actions.push(Action::WriteLookUp(w));
                if found.is_none() && plan.holds_number && !plan.hidden && !plan.refused {
                    actions.extend([Action::Defer(w), Action::Exhaust(w)]);
                }
            }
            Phase::PublishingDeadLetter(_) => actions.push(Action::PublishDeadLetter(w)),
            Phase::DeadLetterPublished(_) => actions.push(Action::WriteDeadLetter(w)),
            Phase::LookingUpLate(_) => actions.push(Action::LookUpLate(w)),
            Phase::LookedUpLate(..) => actions.push(Action::WriteLookUpLate(w)),
        }
    }

    fn idle_actions(
        &self,
        state: &LaneModelState,
        w: u8,
        with_faults: bool,
        actions: &mut Vec<Action>,
    ) {
        // A lease runs out when its holder is dead, or while its holder is frozen or cut off.
        let dead = |holder: u8| state.worker(holder) == Phase::Idle;
        let frozen = with_faults && state.takeovers > 0;
        let free = state.claim.is_none_or(|holder| frozen || dead(holder));
        if free && !state.halted && state.has_work() {
            actions.push(Action::Claim(w));
        }
    }

    fn holding_actions(
        &self,
        state: &LaneModelState,
        w: u8,
        with_faults: bool,
        actions: &mut Vec<Action>,
    ) {
        let due = (0..self.invoices).filter(|i| state.invoice(*i).has_due_look_up());
        actions.extend(due.map(|i| Action::DecideLate(w, i)));
        if state.next_invoice().is_some() {
            actions.push(Action::Decide(w));
        }
        let can_work = state.has_work() && !state.halted && state.claim == Some(w);
        if with_faults || !can_work {
            actions.push(Action::Release(w));
        }
    }

    pub(super) fn worker_step(&self, state: &mut LaneModelState, w: u8, action: Action) {
        let phase = state.worker(w);
        state.workers[usize::from(w)] = match (action, phase) {
            (Action::Claim(_), _) => self.claim(state, w),
            (Action::Release(_), _) => self.release(state, w),
            (Action::Decide(_), _) => self.decide(state, w),
            (Action::DecideLate(_, i), _) => self.decide_late(state, w, i),
            (Action::BeginSend(_), Phase::Sending(plan)) => self.begin_send(state, w, plan),
            (Action::Arrive(_), Phase::Awaiting(plan)) => {
                let answer = state.arrive(plan.invoice, plan.number);
                Phase::Answered(plan, answer)
            }
            (Action::Refuse(_), Phase::Awaiting(plan)) => Phase::Answered(plan, Answer::Refused),
            (Action::NotSent(_), Phase::Awaiting(plan)) => Phase::Answered(plan, Answer::NotSent),
            (Action::GiveUp(_), Phase::Awaiting(plan)) => {
                state.add_late_request(plan);
                Phase::Answered(plan, Answer::Unknown)
            }
            (Action::RefuseVaguely(_), Phase::Awaiting(plan)) => {
                state.add_late_request(plan);
                Phase::Answered(plan, Answer::VaguelyRefused)
            }
            (Action::WriteAnswer(_), Phase::Answered(plan, answer)) => {
                self.write_answer(state, w, plan, answer)
            }
            (Action::LookUp(_), Phase::LookingUp(plan)) => {
                Phase::LookedUp(plan, state.look_up(plan.number))
            }
            (Action::WriteLookUp(_), Phase::LookedUp(plan, found)) => {
                self.write_look_up(state, w, plan, found)
            }
            (Action::Defer(_), Phase::LookedUp(plan, _)) => self.defer(state, w, plan),
            (Action::Exhaust(_), Phase::LookedUp(plan, _)) => self.dead_letter(plan),
            (Action::PublishDeadLetter(_), Phase::PublishingDeadLetter(plan)) => {
                self.publish_dead_letter(state, w, plan)
            }
            (Action::WriteDeadLetter(_), Phase::DeadLetterPublished(plan)) => {
                self.write_dead_letter(state, w, plan)
            }
            (Action::LookUpLate(_), Phase::LookingUpLate(plan)) => {
                Phase::LookedUpLate(plan, state.look_up(plan.number))
            }
            (Action::WriteLookUpLate(_), Phase::LookedUpLate(plan, found)) => {
                self.write_late_look_up(state, w, plan, found)
            }
            (Action::Crash(_), _) => crash(state, phase),
            (_, _) => Phase::Idle,
        };
    }

    fn claim(&self, state: &mut LaneModelState, w: u8) -> Phase {
        state.take_claim_away();
        state.claim = Some(w);
        Phase::Holding
    }

    fn release(&self, state: &mut LaneModelState, w: u8) -> Phase {
        if self.holds_claim(state, w) {
            state.claim = None;
        }
        Phase::Idle
    }

    /// Whether the database still has this worker's claim (protocol D6).
    pub(super) fn holds_claim(&self, state: &LaneModelState, w: u8) -> bool {
        state.claim == Some(w)
    }

    /// Whether a write of this worker goes through.
    pub(super) fn may_write(&self, state: &LaneModelState, w: u8) -> bool {
        self.holds_claim(state, w) || self.is_broken_by(Mutation::OutcomeWithoutClaim)
    }
}

/// A request of the dead worker may still arrive, and nobody stores its answer.
fn crash(state: &mut LaneModelState, phase: Phase) -> Phase {
    match phase {
        Phase::Awaiting(plan) => {
            state.add_late_request(plan);
            state.keep_open_send(plan);
        }
        Phase::Answered(plan, _) => state.keep_open_send(plan),
        _ => {}
    }
    Phase::Idle
}
