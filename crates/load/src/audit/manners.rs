//! Laws that the tax authority's own counts tell of: numbering, manners, load.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::breach::{Breaches, Law};
use super::views::History;
use crate::sim::{Clash, Filed, Stats};

/// eTIMS calls in flight per KRA host.
const CALLS_MAX: u64 = 50;
/// One call per device; two only while a frozen worker thaws.
const CALLS_PER_DEVICE_MAX: u64 = 2;

/// Returns how many invoices met another one under their number because one of the two requests came late.
pub(crate) fn check(
    filed: &[Filed],
    stats: &Stats,
    histories: &[History],
    breaches: &mut Breaches,
) -> usize {
    check_numbers(filed, breaches);
    for doubled in &stats.doubled {
        breaches.doubled(
            Law::OneReceipt,
            doubled["remark"].as_str().unwrap_or("?"),
            "was filed twice",
        );
    }
    if stats.resends_without_look_up > 0 {
        let what = format!(
            "{} numbers were sent again without a look-up",
            stats.resends_without_look_up
        );
        breaches.wrong(Law::Manners, "all", what);
    }
    if stats.in_flight_max > CALLS_MAX {
        breaches.wrong(
            Law::Manners,
            "all",
            format!("{} calls at once", stats.in_flight_max),
        );
    }
    for (device, calls) in stats
        .in_flight_max_per_device
        .iter()
        .filter(|(_, n)| **n > CALLS_PER_DEVICE_MAX)
    {
        breaches.wrong(Law::Manners, device, format!("{calls} calls at once"));
    }
    check_mistakes(stats, histories, breaches)
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
            breaches.wrong(
                Law::Sequence,
                device,
                format!("has {number} where {expected} was next"),
            );
        }
    }
}

fn check_mistakes(stats: &Stats, histories: &[History], breaches: &mut Breaches) -> usize {
    let mut met = 0;
    for mistake in &stats.protocol_error_log {
        if mistake
            .clash
            .as_ref()
            .is_some_and(|clash| came_late(clash, mistake.at, histories))
        {
            met += 1;
        } else {
            let device = mistake.device.as_deref().unwrap_or("unknown device");
            breaches.wrong(Law::Manners, device, &mistake.message);
        }
    }
    // The simulator counts more than it remembers.
    let forgotten = stats
        .protocol_errors
        .saturating_sub(stats.protocol_error_log.len() as u64);
    if forgotten > 0 {
        breaches.wrong(
            Law::Manners,
            "all",
            format!("{forgotten} more protocol errors"),
        );
    }
    met
}

/// A number goes to another invoice only once the first one has let go of it, looked up as absent. A request of the
/// first that was on its way all the while may arrive after that; the authority refuses one of the two, and a look-up
/// tells which (protocol D8, D10). Both out at once would be two invoices given one number.
fn came_late(clash: &Clash, refused_at: Timestamp, histories: &[History]) -> bool {
    let let_go = |id: &str, at| {
        histories
            .iter()
            .find(|history| history.id == id)
            .is_some_and(|history| !is_out(history, at))
    };
    let ours = |id: &str| histories.iter().any(|history| history.id == id);
    ours(&clash.refused)
        && ours(&clash.filed)
        && (let_go(&clash.refused, refused_at) || let_go(&clash.filed, clash.filed_at))
}

fn is_out(history: &History, at: Timestamp) -> bool {
    let last = history.moves.iter().rfind(|change| change.at <= at);
    last.is_some_and(|change| change.to == "submitting")
}

#[cfg(test)]
#[path = "manners_tests.rs"]
mod tests;
