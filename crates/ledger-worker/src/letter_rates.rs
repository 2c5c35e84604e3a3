//! How many unreadable messages of each merchant get a message of their own in `[dead]`.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use risiti_domain::{DeadCause, MerchantId};
use risiti_ledger::MessageDeadLetter;
use tokio::time::Instant;

/// In each window a merchant's first unreadable messages are set aside one by one. A gateway that
/// changes its format sends a few, and each has its line in the log.
const ALONE_MAX: u32 = 60;
const WINDOW: Duration = Duration::from_secs(60);
/// The merchants that are counted at once. Beyond them none is set aside alone.
const MERCHANTS_MAX: usize = 10_000;

#[derive(Default)]
pub(crate) struct LetterRates {
    windows: Mutex<HashMap<MerchantId, Window>>,
}

/// What a merchant has used of its present window.
struct Window {
    ends: Instant,
    alone: u32,
}

impl LetterRates {
    /// The places of a batch's letters that are more than their merchants may have set aside one by
    /// one. Only unreadable messages are counted: whatever else is wrong is nobody's choice.
    pub(crate) fn over_rate(&self, letters: &BTreeMap<usize, MessageDeadLetter>) -> Vec<usize> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let over = letters.iter().filter(|(_, letter)| {
            letter.cause == DeadCause::Unreadable
                && letter
                    .merchant_id
                    .is_some_and(|merchant| !take_place(&mut windows, merchant, now))
        });
        over.map(|(place, _)| *place).collect()
    }
}

/// Takes one of a merchant's places in its window, if there is one left.
fn take_place(
    windows: &mut HashMap<MerchantId, Window>,
    merchant: MerchantId,
    now: Instant,
) -> bool {
    if windows.len() >= MERCHANTS_MAX && !windows.contains_key(&merchant) {
        windows.retain(|_, window| window.ends > now);
        if windows.len() >= MERCHANTS_MAX {
            return false;
        }
    }
    let new = || Window {
        ends: now + WINDOW,
        alone: 0,
    };
    let window = windows.entry(merchant).or_insert_with(new);
    if window.ends <= now {
        *window = new();
    }
    let has_place = window.alone < ALONE_MAX;
    window.alone += u32::from(has_place);
    has_place
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn letters(merchant: u128, cause: DeadCause, count: u32) -> BTreeMap<usize, MessageDeadLetter> {
        let letter = |n: u32| MessageDeadLetter {
            cause,
            merchant_id: Some(MerchantId::from_uuid(Uuid::from_u128(merchant))),
            provider: None,
            event_id: None,
            body: n.to_be_bytes().to_vec(),
            headers: BTreeMap::new(),
            message: String::new(),
        };
        (0..count).map(|n| (n as usize, letter(n))).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn each_merchant_has_so_many_letters_alone_in_a_window() {
        let rates = LetterRates::default();
        let first = letters(1, DeadCause::Unreadable, ALONE_MAX + 2);
        let places = [ALONE_MAX as usize, ALONE_MAX as usize + 1];
        assert_eq!(rates.over_rate(&first), places);
        assert_eq!(rates.over_rate(&first).len(), first.len());
        assert!(
            rates
                .over_rate(&letters(2, DeadCause::Unreadable, 5))
                .is_empty()
        );
        assert!(
            rates
                .over_rate(&letters(1, DeadCause::Poison, 5))
                .is_empty()
        );

        tokio::time::advance(WINDOW).await;
        assert_eq!(rates.over_rate(&first), places);
    }

    #[tokio::test(start_paused = true)]
    async fn merchants_are_bounded_and_make_room_when_their_window_ends() {
        let rates = LetterRates::default();
        for merchant in 0..MERCHANTS_MAX as u128 {
            assert!(
                rates
                    .over_rate(&letters(merchant, DeadCause::Unreadable, 1))
                    .is_empty()
            );
        }
        let one_more = letters(MERCHANTS_MAX as u128, DeadCause::Unreadable, 1);
        assert_eq!(rates.over_rate(&one_more), [0]);
        tokio::time::advance(WINDOW).await;
        assert!(rates.over_rate(&one_more).is_empty());
    }
}
