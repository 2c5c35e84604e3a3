//! Ways to break the protocol. Each must break a law, or the model proves nothing about its rule.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// The key is remembered before the message is durable (against A2).
    RememberBeforeConfirm,
    /// The answer is 200 before the message is durable (against A1).
    AnswerBeforeConfirm,
    /// The queue's message is acknowledged before the commit (against C2).
    AckBeforeCommit,
    /// The ledger records a repeated message as a new event (against C2).
    NoUniqueKey,
}
