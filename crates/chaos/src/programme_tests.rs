use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn a_seed_makes_one_list_in_order_and_within_its_time(seed: u64, seconds in 10_u64..1200) {
        let faults = programme(seed, seconds);
        prop_assert_eq!(&faults, &programme(seed, seconds));
        prop_assert!(faults.is_sorted_by_key(|fault| fault.at_ms));
        for (fault, number) in faults.iter().zip(1..) {
            prop_assert_eq!(fault.number, number);
            prop_assert!(fault.at_ms >= CALM_BEFORE_MS && fault.at_ms + fault.lasts_ms <= seconds * 1000);
        }
    }

    #[test]
    fn ten_minutes_break_everything(seed: u64) {
        let faults = programme(seed, 600);
        let done: BTreeSet<What> = faults.iter().map(|fault| fault.what).collect();
        for victim in Victim::all() {
            prop_assert!(done.contains(&What::Kill { victim }), "{} was not killed", victim);
            prop_assert!(done.contains(&What::Freeze { victim }), "{} was not frozen", victim);
        }
        prop_assert!(done.contains(&What::SpoolFull) && done.contains(&What::DiskFull));
        let overlap = faults.windows(2).filter(|pair| pair[1].at_ms < pair[0].at_ms + pair[0].lasts_ms);
        prop_assert!(overlap.count() > 5);
    }
}

#[test]
fn seeds_differ() {
    assert_ne!(programme(1, 60), programme(2, 60));
}

#[test]
fn every_link_can_break_in_every_way() {
    let mut links = BTreeSet::new();
    for seed in 0..100 {
        for fault in programme(seed, 600) {
            if let What::Link { wire, damage } = fault.what {
                links.insert((wire, damage));
            }
        }
    }
    assert_eq!(links.len(), Wire::all().len() * DAMAGES.len());
    assert_eq!(Wire::all().len(), 16);
}

#[test]
fn a_fault_is_written_as_it_can_be_read() {
    for fault in programme(3, 600) {
        let text = serde_json::to_string(&fault).unwrap();
        assert_eq!(
            serde_json::from_str::<Fault>(&text).unwrap(),
            fault,
            "{text}"
        );
    }
}
