//! Finds payments by the keys that the gateways know.

use std::collections::HashMap;

use super::views::Payment;
use crate::traffic::message::Provider;
use crate::traffic::payment::ExpectedPayment;

pub(crate) struct PaymentIndex<'a> {
    /// Payments by merchant, provider, and money key or check-out id.
    by_key: HashMap<(&'a str, Provider, &'a str), Vec<&'a Payment>>,
}

impl<'a> PaymentIndex<'a> {
    pub(crate) fn new(payments: &'a [Payment]) -> Self {
        let mut by_key: HashMap<_, Vec<&Payment>> = HashMap::new();
        for payment in payments {
            let keys = [&payment.money_key, &payment.checkout_id];
            for key in keys.into_iter().flatten() {
                by_key
                    .entry((payment.merchant.as_str(), payment.provider, key.as_str()))
                    .or_default()
                    .push(payment);
            }
        }
        Self { by_key }
    }

    /// Returns all payments that have a key of the expected one.
    pub(crate) fn rows(&self, expected: &ExpectedPayment) -> Vec<&'a Payment> {
        let merchant = expected.merchant.as_str();
        let keys = [Some(&expected.money_key), expected.checkout_id.as_ref()];

        let mut rows: Vec<&Payment> = Vec::new();
        for key in keys.into_iter().flatten() {
            let found = self
                .by_key
                .get(&(merchant, expected.provider, key.as_str()));
            for row in found.into_iter().flatten() {
                if !rows.iter().any(|known| known.payment_id == row.payment_id) {
                    rows.push(row);
                }
            }
        }
        rows
    }
}
