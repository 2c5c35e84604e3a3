//! Advisory locks by which a payment and its reversal see each other.
//!
//! A reversal may come before its payment, in another worker's transaction at the same instant.
//! Each would look, find nothing of the other and commit, and the reversal would wait for ever. So
//! keys are spread over 64 stripes: whoever records money shares the stripe of its key, and whoever
//! records a reversal of it has that stripe alone. Two payments never wait for each other here.
//!
//! A message that knows a payment by reference only has the stripe alone as well, because no unique
//! index guards references.

use std::collections::BTreeMap;

use risiti_domain::{MerchantId, Provider};
use sha2::{Digest, Sha256};

use crate::db::error::LedgerError;
use crate::db::pool::Transaction;
use crate::db::statements::statements;

statements! {
    /// Locks row by row in the order given. The order rises, so that nobody waits in a circle.
    LOCK = "
        SELECT CASE WHEN s.alone THEN pg_advisory_xact_lock($1, s.stripe)::text
                    ELSE pg_advisory_xact_lock_shared($1, s.stripe)::text END
        FROM unnest($2::int[], $3::bool[]) AS s (stripe, alone)";
}

/// The first half of Postgres' two-part advisory keys. Nothing else of ours uses two-part keys.
const SPACE: i32 = 0x0072_6973;
/// The number of stripes, which bounds what one batch takes of the server's lock table.
const STRIPES: u8 = 64;

/// The stripes to lock, each with whether it is taken alone.
#[derive(Default)]
pub(crate) struct Stripes(BTreeMap<i32, bool>);

impl Stripes {
    /// Shares the stripe of a key with other payments.
    pub(crate) fn share(&mut self, merchant: MerchantId, provider: Provider, key: &str) {
        self.0
            .entry(stripe(merchant, provider, key))
            .or_insert(false);
    }

    /// Takes the stripe of a key alone.
    pub(crate) fn take_alone(&mut self, merchant: MerchantId, provider: Provider, key: &str) {
        self.0.insert(stripe(merchant, provider, key), true);
    }

    /// Locks the stripes until the transaction ends.
    pub(crate) async fn lock(&self, transaction: &Transaction<'_>) -> Result<(), LedgerError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let stripes: Vec<i32> = self.0.keys().copied().collect();
        let alone: Vec<bool> = self.0.values().copied().collect();
        transaction
            .query(LOCK, &[&SPACE, &stripes, &alone])
            .await
            .map(drop)
    }
}

/// The stripe of a key. Every worker must find the same one, so the hash never changes.
fn stripe(merchant: MerchantId, provider: Provider, key: &str) -> i32 {
    let mut hash = Sha256::new();
    hash.update(merchant.uuid());
    hash.update(provider.as_str());
    hash.update(b":");
    hash.update(key);
    i32::from(hash.finalize()[0] % STRIPES)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn taking_a_stripe_alone_beats_sharing_it() {
        let merchant = MerchantId::from_uuid(Uuid::nil());
        let mut stripes = Stripes::default();
        stripes.take_alone(merchant, Provider::Daraja, "A");
        stripes.share(merchant, Provider::Daraja, "A");
        assert_eq!(stripes.0.values().collect::<Vec<_>>(), [&true]);
    }
}
