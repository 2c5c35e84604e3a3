//! Ways to break the protocol. Each must break a law, or the model proves nothing about its rule.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// After an unanswered send the invoice goes on under a new number (against D8, D11).
    NewNumberAfterUnknown,
    /// An unanswered send is repeated without a look-up (against D8).
    ResendWithoutLookUp,
    /// A refusal gives the number back although an earlier send is open, and no late look-up
    /// follows (against D10).
    RefusalForgetsOpenSends,
    /// Dead invoices get no late look-ups (against D10).
    NoLateLookUps,
    /// An outcome is written by a worker that has lost its claim (against D6).
    OutcomeWithoutClaim,
    /// A worker takes any sale it finds for its own invoice's (against D8).
    FoundSaleTakenAsOwn,
    /// A worker takes another invoice's sale for an absent one (against D8).
    OthersSaleTakenAsAbsent,
    /// The lane skips the number of a dead invoice (against D11).
    DeadInvoiceSkipsNumber,
    /// An operator's discard asks nobody (against E4).
    DiscardWithoutLookUp,
    /// Discarded invoices get no late look-ups (against D10).
    NoLateLookUpsOfDiscarded,
    /// A dead letter's row is written before its message (against E1).
    RowBeforeMessage,
    /// An invoice is sent again under a number that KRA calls taken and does not show (against D9).
    ResendHiddenNumber,
    /// A number far below the one that KRA expects halts the lane without a look-up (against D9).
    HaltOnNumberFarBehind,
    /// Two workers may claim a lane at once, and both are believed (against D1).
    ClaimsNotExclusive,
    /// A credit note is sent whatever has become of its sale (against C9, D2).
    CreditNoteBeforeSale,
    /// A sale is discarded without its credit note (against C9).
    DiscardWithoutCreditNote,
    /// A sale is adopted without its credit note (against C9).
    AdoptWithoutCreditNote,
    /// A sale is replayed without its credit note (against C9).
    ReplayWithoutCreditNote,
    /// A credit note that was discarded with its sale comes back, although its money came back too
    /// (against C9).
    WithdrawnCreditNoteComesBack,
}
