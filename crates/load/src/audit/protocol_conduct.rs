//! Checks what the tax authority saw of our calls: numbers, protocol errors, calls in flight.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::breach::{Breaches, Law};
use super::views::StateHistory;
use crate::simulator::{Clash, Filed, Stats};

/// Bound on calls in flight per KRA host.
const CALLS_MAX: u64 = 50;
/// Bound on calls in flight per device. There is one, and two only while a frozen worker thaws.
const CALLS_PER_DEVICE_MAX: u64 = 2;

/// Returns how many invoices were refused under a number that another invoice had, because one of
/// the two requests came late.
pub(crate) fn check(
    filed: &[Filed],
    stats: &Stats,
    histories: &[StateHistory],
    breaches: &mut Breaches,
) -> usize {
    check_numbers(filed, breaches);

    for doubled in &stats.doubled {
        let remark = doubled["remark"].as_str().unwrap_or("?");
        breaches.doubled(Law::OneReceipt, remark, "was filed twice");
    }
    if stats.resends_without_look_up > 0 {
        let what = format!(
            "{} numbers were sent again without a look-up",
            stats.resends_without_look_up
        );
        breaches.wrong(Law::ProtocolConduct, "all", what);
    }

    if stats.in_flight_max > CALLS_MAX {
        let what = format!("{} calls at once", stats.in_flight_max);
        breaches.wrong(Law::ProtocolConduct, "all", what);
    }
    for (device, calls) in &stats.in_flight_max_per_device {
        if *calls > CALLS_PER_DEVICE_MAX {
            let what = format!("{calls} calls at once");
            breaches.wrong(Law::ProtocolConduct, device, what);
        }
    }

    check_protocol_errors(stats, histories, breaches)
}

fn check_numbers(filed: &[Filed], breaches: &mut Breaches) {
    let mut by_device: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for filed in filed {
        by_device
            .entry(filed.device())
            .or_default()
            .push(filed.number);
    }

    for (device, mut numbers) in by_device {
        numbers.sort_unstable();
        let gap = numbers
            .iter()
            .zip(1..)
            .find(|(number, expected)| **number != *expected);
        if let Some((number, expected)) = gap {
            let what = format!("has {number} where {expected} was next");
            breaches.wrong(Law::Sequence, device, what);
        }
    }
}

fn check_protocol_errors(
    stats: &Stats,
    histories: &[StateHistory],
    breaches: &mut Breaches,
) -> usize {
    let mut late_clashes = 0;
    for error in &stats.protocol_error_log {
        let clash = error.clash.as_ref();
        if clash.is_some_and(|clash| is_late_clash(clash, error.at, histories)) {
            late_clashes += 1;
        } else {
            let device = error.device.as_deref().unwrap_or("unknown device");
            breaches.wrong(Law::ProtocolConduct, device, &error.message);
        }
    }

    // The simulator counts more errors than its log keeps.
    let not_logged = stats
        .protocol_errors
        .saturating_sub(stats.protocol_error_log.len() as u64);
    if not_logged > 0 {
        let what = format!("{not_logged} more protocol errors");
        breaches.wrong(Law::ProtocolConduct, "all", what);
    }
    late_clashes
}

/// Whether two invoices met under one number although only one of them held it.
///
/// A number goes to another invoice once a look-up found it absent and the first invoice has given
/// it up. A delayed request of the first may arrive after that. The authority then refuses one of
/// the two, and a look-up tells which (protocol D8, D10). If both held the number at that time, it
/// was given out twice.
fn is_late_clash(clash: &Clash, refused_at: Timestamp, histories: &[StateHistory]) -> bool {
    let find = |id: &str| histories.iter().find(|history| history.id == id);
    let (Some(refused), Some(filed)) = (find(&clash.refused), find(&clash.filed)) else {
        // One of the two is none of ours.
        return false;
    };
    !held_number(refused, refused_at) || !held_number(filed, clash.filed_at)
}

fn held_number(history: &StateHistory, at: Timestamp) -> bool {
    let last = history
        .transitions
        .iter()
        .rfind(|transition| transition.at <= at);
    last.is_some_and(|transition| transition.to == "submitting")
}

#[cfg(test)]
#[path = "protocol_conduct_tests.rs"]
mod tests;
