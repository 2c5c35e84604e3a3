//! Who takes a step.

use super::Action;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Actor {
    Worker(u8),
    /// A reversal of the payment, or the end of one (protocol C9).
    Reversal,
    /// KRA, the network to it, time, and the next paid sale.
    World,
    Operator,
}

impl Action {
    pub(super) fn actor(self) -> Actor {
        match self {
            Self::Claim(w)
            | Self::Release(w)
            | Self::Decide(w)
            | Self::DecideLate(w, _)
            | Self::BeginSend(w)
            | Self::Arrive(w)
            | Self::Refuse(w)
            | Self::GiveUp(w)
            | Self::RefuseVaguely(w)
            | Self::NotSent(w)
            | Self::WriteAnswer(w)
            | Self::LookUp(w)
            | Self::WriteLookUp(w)
            | Self::Defer(w)
            | Self::Exhaust(w)
            | Self::PublishDeadLetter(w)
            | Self::WriteDeadLetter(w)
            | Self::LookUpLate(w)
            | Self::WriteLookUpLate(w)
            | Self::Crash(w) => Actor::Worker(w),
            Self::Credit(_) | Self::Withdraw(_) => Actor::Reversal,
            Self::Owe(_)
            | Self::ArriveLate(..)
            | Self::ArriveTwice(..)
            | Self::Drop(..)
            | Self::Show(_)
            | Self::Restore(_)
            | Self::TimePasses(_) => Actor::World,
            Self::Replay(_) | Self::Discard(_) | Self::SetAside(_) => Actor::Operator,
        }
    }
}
