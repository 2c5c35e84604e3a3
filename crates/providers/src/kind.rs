//! The kinds of events that we know. A provider's name of an event is the sender's text, and senders
//! invent names. What is stored keeps theirs, and what is logged or counted is one of these.

use risiti_domain::Provider;

/// Stands for every name that is not listed.
pub const OTHER_KIND: &str = "other";

const DARAJA: &[&str] = &[
    "stk",
    "c2b_validation",
    "c2b_confirmation",
    "b2c_result",
    "reversal_result",
    "status_result",
    "other_result",
    "queue_timeout",
];
const PAYSTACK: &[&str] = &[
    "charge.success",
    "charge.failed",
    "charge.dispute.create",
    "charge.dispute.remind",
    "charge.dispute.resolve",
    "refund.pending",
    "refund.processing",
    "refund.processed",
    "refund.failed",
    "refund.needs-attention",
    "transfer.success",
    "transfer.failed",
    "transfer.reversed",
    OTHER_KIND,
];
const GUMROAD: &[&str] = &[
    "sale",
    "refund",
    "dispute",
    "dispute_won",
    "cancellation",
    "subscription_updated",
    "subscription_ended",
    "subscription_restarted",
    OTHER_KIND,
];

/// The kinds of a provider's events, `other` included where senders may invent names.
pub fn known_kinds(provider: Provider) -> &'static [&'static str] {
    match provider {
        Provider::Daraja => DARAJA,
        Provider::Paystack => PAYSTACK,
        Provider::Gumroad => GUMROAD,
    }
}

/// A kind as it may be logged and counted: one of [`known_kinds`], else `other`.
pub fn known_kind(provider: Provider, kind: &str) -> &'static str {
    let known = known_kinds(provider).iter().find(|known| **known == kind);
    known.copied().unwrap_or(OTHER_KIND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_kinds_are_shown() {
        assert_eq!(known_kind(Provider::Daraja, "stk"), "stk");
        assert_eq!(known_kind(Provider::Gumroad, "stk"), OTHER_KIND);
        for sent in ["", "254708374149", "charge.success\n", "Charge.Success"] {
            assert_eq!(known_kind(Provider::Paystack, sent), OTHER_KIND, "{sent}");
        }
    }
}
