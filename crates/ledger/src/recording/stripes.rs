//! Advisory locks that make a payment and its reversal see each other.
//!
//! A reversal may come before its payment, in another worker's transaction at the same instant;
//! each would look, find nothing of the other, and commit, and the reversal would wait for ever. So
//! whoever records money shares a stripe of its key, and whoever records its reversal has the
//! stripe alone. Two payments never wait here for each other. A message that knows a payment by
//! reference only has the stripe alone as well: no unique index guards references.

use std::collections::BTreeMap;

use risiti_domain::{MerchantId, Provider};
use sha2::{Digest, Sha256};

use crate::db::error::LedgerError;
use crate::db::pool::Transaction;
use crate::db::statements::statements;

statements! {
    /// Row by row in the order given: rising, so that nobody waits in a circle.
    LOCK = "
        SELECT CASE WHEN s.alone THEN pg_advisory_xact_lock($1, s.stripe)::text
                    ELSE pg_advisory_xact_lock_shared($1, s.stripe)::text END
        FROM unnest($2::int[], $3::bool[]) AS s (stripe, alone)";
}

/// The first half of Postgres' two-part advisory keys; nothing else of ours uses two-part ones.
const SPACE: i32 = 0x0072_6973;
/// Bounds what one batch takes of the server's lock table.
const STRIPES: u8 = 64;

#[derive(Default)]
pub(crate) struct Stripes(BTreeMap<i32, bool>);

impl Stripes {
    pub(crate) fn share(&mut self, merchant: MerchantId, provider: Provider, key: &str) {
        self.0
            .entry(stripe(merchant, provider, key))
            .or_insert(false);
    }

    pub(crate) fn take(&mut self, merchant: MerchantId, provider: Provider, key: &str) {
        self.0.insert(stripe(merchant, provider, key), true);
    }

    /// Until the transaction ends.
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

/// Every worker must find the same stripe, so the hash is one that never changes.
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
    use super::*;
    use uuid::Uuid;

    #[test]
    fn having_a_stripe_alone_beats_sharing_it() {
        let merchant = MerchantId::from_uuid(Uuid::nil());
        let mut stripes = Stripes::default();
        stripes.take(merchant, Provider::Daraja, "A");
        stripes.share(merchant, Provider::Daraja, "A");
        assert_eq!(stripes.0.values().collect::<Vec<_>>(), [&true]);
    }
}
