//! What can happen to one payment.

#[derive(Clone, Copy)]
pub(crate) enum Scenario {
    /// An M-Pesa callback (STK push) reports success.
    StkPaid,
    /// A callback and a C2B confirmation report the same money.
    StkConfirmed,
    StkFailed,
    /// The push times out first, and succeeds later.
    StkPaidLate,
    /// The callback leaves open whether money came.
    StkUnclear,
    StkReturned,
    /// A C2B validation and confirmation.
    C2b,
    /// A confirmation for a short code that no merchant registered.
    C2bUnknownShortCode,
    C2bReturned,
    /// The merchant pays money out.
    Payout,
    PayoutTimedOut,
    Paystack,
    /// A Paystack charge in a foreign currency.
    PaystackForeign,
    PaystackReturned,
    Gumroad,
    GumroadReturned,
}

/// Each scenario with its weight among all payments.
pub(crate) const WEIGHTED_SCENARIOS: [(u32, Scenario); 16] = [
    (32, Scenario::StkPaid),
    (11, Scenario::StkConfirmed),
    (9, Scenario::StkFailed),
    (6, Scenario::StkPaidLate),
    (2, Scenario::StkUnclear),
    (4, Scenario::StkReturned),
    (12, Scenario::C2b),
    (1, Scenario::C2bUnknownShortCode),
    (2, Scenario::C2bReturned),
    (1, Scenario::Payout),
    (1, Scenario::PayoutTimedOut),
    (10, Scenario::Paystack),
    (2, Scenario::PaystackForeign),
    (3, Scenario::PaystackReturned),
    (5, Scenario::Gumroad),
    (1, Scenario::GumroadReturned),
];
