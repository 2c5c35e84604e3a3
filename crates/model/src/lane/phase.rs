//! Where a worker stands, and what it has in hand there.

/// What a worker read in `lane_work` and acts on, though it may be out of date by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Plan {
    pub invoice: u8,
    pub number: u8,
    pub holds_number: bool,
    /// Whether a send of this invoice under this number ever ended without an answer.
    pub ever_unknown: bool,
    pub hidden: bool,
    pub refused: bool,
}

/// What a worker read of a late look-up that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LateLookUpPlan {
    pub invoice: u8,
    pub number: u8,
    /// Whether a person wishes to discard the invoice.
    pub discard: bool,
}

/// The outcome of a send, as its worker sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    Accepted,
    Refused,
    /// A refusal too vague to act on. It counts as no answer (protocol D10).
    VaguelyRefused,
    NumberTaken,
    /// KRA expects a smaller number.
    OtherNumberExpected,
    NotSent,
    Unknown,
}

/// Where a worker stands. Between any two of these it may freeze or die.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    Idle,
    /// It holds the lane, or has lost it without knowing.
    Holding,
    /// It is about to write the send down.
    Sending(Plan),
    /// The send is written down. Its request is under way or about to be.
    Awaiting(Plan),
    Answered(Plan, Answer),
    LookingUp(Plan),
    /// The look-up is answered with the invoice whose sale KRA shows under the number.
    LookedUp(Plan, Option<u8>),
    PublishingDeadLetter(Plan),
    /// The dead letter's message is in the queue, and its row is not written yet.
    DeadLetterPublished(Plan),
    LookingUpLate(LateLookUpPlan),
    LookedUpLate(LateLookUpPlan, Option<u8>),
}

impl Plan {
    /// Marks the plan as one whose number the invoice holds, with no outcome of this send so far.
    pub(super) fn to_send(self) -> Self {
        Self {
            holds_number: true,
            hidden: false,
            refused: false,
            ..self
        }
    }
}
