//! How a host's cap is split among its workers (protocol D5). It is pure, so that every worker
//! finds the same parts.

use jiff::Timestamp;

/// What the other workers want and hold of one host's cap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostShares {
    pub host: String,
    /// How many calls each of the other live workers could make, in the order of their ranks.
    pub wants: Vec<u32>,
    /// How many of the other live workers rank before this worker.
    pub before: usize,
    /// The sum of the others' shares, those of silent workers among them.
    pub taken: u32,
    /// The sum of the silent workers' shares, of which nobody can have a part yet.
    pub silent: u32,
    /// This worker's own row. `None` if it has no row, or while the row is being raised.
    pub mine: Option<RecordedShare>,
}

/// What a worker's own row holds since a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedShare {
    pub share: u32,
    pub heartbeat_at: Timestamp,
}

impl HostShares {
    /// The share this worker should have, if it wants so many calls. It is never more than the
    /// others leave.
    ///
    /// Half of what nobody wants is shared out for sudden work, and half is left to a worker that
    /// comes. A share that is not far from that stays as it is, so that it moves seldom.
    pub fn share(&self, cap: u32, want: u32) -> u32 {
        let mut wants = self.wants.clone();
        let me = self.before.min(wants.len());
        wants.insert(me, want);
        let (parts, unwanted) = split(cap.saturating_sub(self.silent), &wants);

        let least = parts[me];
        let most = least + unwanted / u32::try_from(wants.len()).unwrap_or(u32::MAX);
        let share = match self.mine {
            Some(mine) if (least..=most).contains(&mine.share) => mine.share,
            _ => least.midpoint(most),
        };
        share.min(self.unshared(cap))
    }

    /// What the others leave of the cap.
    pub fn unshared(&self, cap: u32) -> u32 {
        cap.saturating_sub(self.taken)
    }
}

/// Splits a cap among workers that want so many calls each, and returns what each gets and what
/// nobody wants.
///
/// A worker that wants less than an equal part gets what it wants, and the others share the rest
/// equally. So a part that its worker does not use is lent to those who have work. A worker that
/// wants nothing is given one call all the same, so that it can take up a wake-up.
fn split(cap: u32, wants: &[u32]) -> (Vec<u32>, u32) {
    let need = |worker: usize| wants[worker].max(1);
    let mut by_need: Vec<usize> = (0..wants.len()).collect();
    by_need.sort_by_key(|worker| (need(*worker), *worker));

    let mut parts = vec![0; wants.len()];
    let mut left = cap;
    let mut workers_left = u32::try_from(wants.len()).unwrap_or(u32::MAX);
    for worker in by_need {
        let part = need(worker).min(left / workers_left);
        parts[worker] = part;
        left -= part;
        workers_left -= 1;
    }
    (parts, left)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shares(wants: &[u32], before: usize, taken: u32) -> HostShares {
        HostShares {
            host: "kra:443".to_owned(),
            wants: wants.to_vec(),
            before,
            taken,
            silent: 0,
            mine: None,
        }
    }

    #[test]
    fn the_shares_of_busy_workers_add_up_to_the_cap() {
        for workers in 1..=60 {
            let wants = vec![50; workers - 1];
            let sum: u32 = (0..workers)
                .map(|before| shares(&wants, before, 0).share(50, 50))
                .sum();
            assert_eq!(sum, 50, "{workers} workers");
        }
    }

    #[test]
    fn a_newcomer_takes_only_what_is_free() {
        assert_eq!(shares(&[50], 0, 50).share(50, 50), 0);
        assert_eq!(shares(&[50], 0, 40).share(50, 50), 10);
        assert_eq!(shares(&[50], 0, 25).share(50, 50), 25);
        assert_eq!(
            shares(&[50, 50], 0, 70).share(50, 50),
            0,
            "shares above the cap leave nothing"
        );
    }

    #[test]
    fn half_of_what_nobody_wants_is_left_to_a_newcomer() {
        assert_eq!(shares(&[], 0, 0).share(50, 0), 25);
        assert_eq!(shares(&[], 0, 0).share(50, 30), 40);
        assert_eq!(
            shares(&[], 0, 25).share(50, 0),
            25,
            "the one before it died"
        );
    }

    #[test]
    fn a_share_that_serves_everybody_stays() {
        let with = |share| HostShares {
            mine: Some(RecordedShare {
                share,
                heartbeat_at: Timestamp::UNIX_EPOCH,
            }),
            ..shares(&[10], 1, 20)
        };
        assert_eq!(with(22).share(50, 20), 22);
        assert_eq!(with(19).share(50, 20), 25, "too little for its own lanes");
        assert_eq!(
            with(31).share(50, 20),
            25,
            "more than its part of what is unwanted"
        );
    }

    #[test]
    fn the_share_of_a_silent_worker_is_nobodys_part() {
        let silent = HostShares {
            silent: 20,
            ..shares(&[50], 0, 30)
        };
        assert_eq!(silent.share(50, 50), 15);
    }

    #[test]
    fn equal_wants_get_equal_parts_of_the_whole() {
        for workers in 1..=60 {
            let (parts, left) = split(50, &vec![50; workers]);
            assert_eq!((parts.iter().sum::<u32>(), left), (50, 0));
            let (least, most) = (parts.iter().min(), parts.iter().max());
            assert!(most.unwrap() - least.unwrap() <= 1, "{parts:?}");
        }
    }

    #[test]
    fn a_part_that_nobody_uses_is_lent() {
        assert_eq!(split(50, &[30, 30, 0]), (vec![24, 25, 1], 0));
        assert_eq!(split(50, &[50, 0, 0, 0]), (vec![47, 1, 1, 1], 0));
        assert_eq!(split(50, &[10, 50, 12]), (vec![10, 28, 12], 0));
    }

    #[test]
    fn what_nobody_wants_is_left() {
        assert_eq!(split(50, &[0]), (vec![1], 49));
        assert_eq!(split(50, &[7, 0, 5]), (vec![7, 1, 5], 37));
    }

    proptest! {
        #[test]
        fn parts_never_exceed_the_cap_and_leave_nobody_short(
            cap in 1u32..=200,
            wants in prop::collection::vec(0u32..=200, 1..20),
        ) {
            let (parts, left) = split(cap, &wants);
            prop_assert_eq!(parts.iter().sum::<u32>() + left, cap);
            let short = |(part, want): (&u32, &u32)| part < want.max(&1);
            if left > 0 {
                prop_assert!(!parts.iter().zip(&wants).any(short), "{:?}", parts);
            }
            let most = parts.iter().copied().max().unwrap_or(0);
            for pair in parts.iter().zip(&wants) {
                prop_assert!(!short(pair) || pair.0 + 1 >= most, "{:?} of {:?}", parts, wants);
            }
        }
    }
}
