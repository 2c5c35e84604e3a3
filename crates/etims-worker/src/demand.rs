//! How many calls a worker could make to a host at once: one for each lane that it works
//! (protocol D5). It decides how much of the cap the worker gets.

/// Heartbeats after which fewer lanes count. A turn ends and another begins all the time, and each
/// change of a share costs writes and a new consumer of wake-ups.
const BEATS_BELOW: u32 = 5;

/// What a worker wants of one host. It grows at once and shrinks late.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Demand {
    calls: u32,
    /// Heartbeats in a row with clearly fewer lanes, and the most lanes of any of them.
    beats_below: u32,
    most_below: u32,
}

impl Demand {
    /// Takes the lanes of one heartbeat.
    pub(crate) fn follow(&mut self, lanes: u32) {
        // A quarter fewer is clearly fewer.
        let clearly_fewer = lanes < self.calls - self.calls / 4;
        if !clearly_fewer {
            *self = Self {
                calls: self.calls.max(lanes),
                ..Self::default()
            };
            return;
        }
        self.beats_below += 1;
        self.most_below = self.most_below.max(lanes);
        if self.beats_below == BEATS_BELOW {
            *self = Self {
                calls: self.most_below,
                ..Self::default()
            };
        }
    }

    pub(crate) fn calls(self) -> u32 {
        self.calls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(lanes: &[u32]) -> u32 {
        let mut demand = Demand::default();
        lanes.iter().for_each(|lanes| demand.follow(*lanes));
        demand.calls()
    }

    #[test]
    fn demand_grows_at_once_and_shrinks_after_five_heartbeats() {
        assert_eq!(after(&[0, 3, 40]), 40);
        assert_eq!(after(&[40, 2, 2, 2, 2]), 40);
        assert_eq!(after(&[40, 2, 5, 0, 0, 0]), 5);
        assert_eq!(after(&[1, 0, 0, 0, 0, 0]), 0);
    }

    #[test]
    fn a_little_less_changes_nothing() {
        assert_eq!(after(&[40, 30, 31, 30, 33, 30, 30, 30, 30]), 40);
        assert_eq!(after(&[40, 29, 29, 29, 29, 30, 29, 29, 29, 29]), 40);
    }
}
