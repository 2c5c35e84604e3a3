//! Ways to break the protocol. Each must break a law, or the model proves nothing about the rule behind it.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// An unanswered send goes on under a new number (against D8, D11).
    NewNumberAfterUnknown,
    /// An unanswered send is repeated without a look-up (against D8).
    ResendWithoutLookUp,
    /// A refusal gives the number back though an earlier send is open, and nobody looks later (against D10).
    RefusalForgetsOpenSends,
    /// Dead letters are never looked up again (against D10).
    NoLaterLookUps,
    /// An outcome is written whoever has the lane by now (against D6).
    OutcomeWithoutClaim,
    /// What a look-up finds is taken for one's own, whomever it names (against D8).
    FoundIsMine,
    /// What a look-up finds of another's counts as absent (against D8).
    FoundOfAnotherIsAbsent,
    /// A dead invoice's number is passed over (against D11).
    DeathPassesNumber,
    /// An operator's discard asks nobody (against E4).
    DiscardWithoutLookUp,
    /// A discarded invoice's number is never looked up again (against D10).
    NoLaterLookUpsOfDiscarded,
    /// The row of a dead letter before its message (against E1).
    RowBeforeMessage,
    /// A number KRA calls taken and does not show is sent again (against D9).
    ResendHidden,
    /// Two workers may claim at once and each is believed (against D1).
    ClaimsNotExclusive,
    /// A credit note goes out whatever has become of its sale (against C9, D2).
    CreditNoteBeforeSale,
    /// A sale is discarded alone (against C9).
    DiscardWithoutCreditNote,
    /// A sale is adopted alone (against C9).
    AdoptWithoutCreditNote,
    /// A sale is replayed alone (against C9).
    ReplayWithoutCreditNote,
    /// A credit note that went with its sale comes back though its money did too (against C9).
    WithdrawPendingOnly,
}
