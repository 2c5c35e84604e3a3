//! How a host failed lately, as far as it decides about its breaker (protocol D13).

use risiti_domain::DeviceId;

/// What a host did over some time: whether a sale was answered, and the failures since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FailureRun {
    pub worked: bool,
    /// Failures in a row since the last sale that was answered.
    pub failures: u32,
    /// The only lane that failed, if the host answered each of its failures with a code. Those may
    /// concern its invoice alone.
    pub only_lane: Option<DeviceId>,
}

impl FailureRun {
    /// A sale was answered.
    pub const WORKED: Self = Self {
        worked: true,
        failures: 0,
        only_lane: None,
    };

    /// One failure. `only_lane` is its lane if the host answered with a code.
    pub fn failure(only_lane: Option<DeviceId>) -> Self {
        Self {
            worked: false,
            failures: 1,
            only_lane,
        }
    }

    /// What the host did over both times, one after the other. The statement that adds a worker's
    /// news to the host's row follows the same rule.
    #[must_use]
    pub fn then(self, next: Self) -> Self {
        if next.worked || self.failures == 0 {
            return Self {
                worked: self.worked || next.worked,
                ..next
            };
        }
        if next.failures == 0 {
            return self;
        }
        Self {
            worked: self.worked,
            failures: self.failures.saturating_add(next.failures),
            only_lane: self.only_lane.filter(|lane| next.only_lane == Some(*lane)),
        }
    }

    /// Whether these failures open a breaker. Those of one lane in which the host spoke do not,
    /// because that would stop every other lane. The lane's own back-off deals with them.
    pub fn opens(&self, enough: u32) -> bool {
        self.failures >= enough && self.only_lane.is_none()
    }

    /// Whether calls of other lanes have failed since the host last worked.
    pub fn concerns_others(&self, lane: DeviceId) -> bool {
        self.failures > 0 && self.only_lane != Some(lane)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn lane(id: u128) -> Option<DeviceId> {
        Some(DeviceId::from_uuid(Uuid::from_u128(id)))
    }

    fn run(steps: &[FailureRun]) -> FailureRun {
        steps
            .iter()
            .fold(FailureRun::default(), |run, step| run.then(*step))
    }

    #[test]
    fn enough_failures_in_a_row_open() {
        let failure = FailureRun::failure(None);
        assert!(!run(&[failure, failure]).opens(3));
        assert!(run(&[failure, failure, failure]).opens(3));
        assert!(!run(&[failure, failure, FailureRun::WORKED, failure]).opens(3));
    }

    #[test]
    fn one_failing_lane_does_not_open() {
        let failed = FailureRun::failure(lane(1));
        let alone = run(&[failed; 20]);
        assert!(!alone.opens(3) && !alone.concerns_others(failed.only_lane.unwrap()));
        assert!(
            alone.then(FailureRun::failure(lane(2))).opens(3),
            "two lanes"
        );
        assert!(
            alone.then(FailureRun::failure(None)).opens(3),
            "no answer at all"
        );
        assert!(alone.concerns_others(lane(2).unwrap()));
    }

    /// Otherwise it would matter how a worker's news are cut into heartbeats.
    #[test]
    fn times_may_be_joined_in_any_grouping() {
        let steps = [
            FailureRun::default(),
            FailureRun::WORKED,
            FailureRun::failure(None),
            FailureRun::failure(lane(1)),
            FailureRun::failure(lane(2)),
            FailureRun::WORKED.then(FailureRun::failure(lane(1))),
        ];
        for a in steps {
            for b in steps {
                for c in steps {
                    assert_eq!(a.then(b).then(c), a.then(b.then(c)), "{a:?} {b:?} {c:?}");
                }
            }
        }
    }
}
