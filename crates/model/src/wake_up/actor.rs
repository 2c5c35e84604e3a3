//! Who takes a step.

use super::Action;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Actor {
    LedgerWorker(u8),
    EtimsTask(u8),
    WakeLoop(u8),
    /// Time, the broker and people.
    World,
}

impl Action {
    pub(super) fn actor(self) -> Actor {
        match self {
            Self::TakePayment(r, ..)
            | Self::Commit(r)
            | Self::MarkSnapshot(r)
            | Self::MarkLane(r)
            | Self::SkipLane(r)
            | Self::Publish(r)
            | Self::PublishUnconfirmed(r)
            | Self::PublishRefused(r)
            | Self::Unmark(r)
            | Self::AckPayment(r)
            | Self::CrashLedgerWorker(r) => Actor::LedgerWorker(r),
            Self::TakeWakeUp(w, _)
            | Self::Claim(w)
            | Self::ClaimFails(w)
            | Self::Read(w)
            | Self::Write(w)
            | Self::Wait(w)
            | Self::Halt(w)
            | Self::Renew(w)
            | Self::Abandon(w)
            | Self::ReleaseSnapshot(w)
            | Self::Release(w)
            | Self::ReleaseFails(w)
            | Self::PublishRest(w)
            | Self::PublishRestUnconfirmed(w)
            | Self::PublishRestRefused(w)
            | Self::UnmarkRest(w)
            | Self::AckWakeUp(w)
            | Self::AckWakeUpLost(w)
            | Self::CrashTask(w) => Actor::EtimsTask(w),
            Self::WakeSnapshot(v)
            | Self::WakeMark(v)
            | Self::WakeSkip(v)
            | Self::WakePublish(v, _)
            | Self::WakePublishUnconfirmed(v, _)
            | Self::WakePublishRefused(v, _)
            | Self::WakeUnmark(v)
            | Self::CrashWakeLoop(v) => Actor::WakeLoop(v),
            Self::LoseWakeUp(_)
            | Self::AgeMark(_)
            | Self::ExpireLease(_)
            | Self::RetryDue(_)
            | Self::HaltByHand(_)
            | Self::Resume(_) => Actor::World,
        }
    }
}
