//! How a host's cap is split among its workers (protocol D5). It is pure, so that every worker
//! finds the same parts.

/// Splits a cap among workers that want so many calls each, and returns what each gets and what
/// nobody wants.
///
/// A worker that wants less than an equal part gets what it wants, and the others share the rest
/// equally. So a part that its worker does not use is lent to those who have work. A worker that
/// wants nothing is given one call all the same, so that it can take up a wake-up.
pub(crate) fn split(cap: u32, wants: &[u32]) -> (Vec<u32>, u32) {
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
