//! The fault script of `risiti-load trouble`.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::cli::TroubleArgs;
use crate::fleet::Fleet;
use crate::simulator::Simulator;

/// Sales of exactly this many shillings are refused while the trouble lasts.
pub(crate) fn refused_amount() -> Decimal {
    Decimal::from(777)
}

pub(crate) async fn run(args: TroubleArgs) -> anyhow::Result<()> {
    let fleet = Fleet::read(&args.fleet)?;
    let gateway = args
        .sims
        .gateway_sim
        .as_ref()
        .map(|url| (url, Dialect::Gateway));
    for (url, dialect) in [Some((&args.sims.sim, Dialect::Legacy)), gateway]
        .into_iter()
        .flatten()
    {
        let simulator = Simulator::new(url)?;
        simulator.clear_faults().await?;
        if !args.clear {
            for rule in fault_script(&fleet, dialect, args.seed) {
                simulator.add_fault(&rule).await?;
            }
        }
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum Dialect {
    Legacy,
    Gateway,
}

/// Refusals come first, as the simulator lets the oldest rule win.
fn fault_script(fleet: &Fleet, dialect: Dialect, seed: u64) -> Vec<Value> {
    let mut rules = refusals(fleet, dialect);
    rules.extend(random_faults(dialect, seed));
    rules
}

fn refusals(fleet: &Fleet, dialect: Dialect) -> Vec<Value> {
    let refusal = match dialect {
        Dialect::Legacy => {
            json!({"envelope": {"code": "910", "message": "Request parameter error"}})
        }
        Dialect::Gateway => {
            json!({"envelope": {"message": "required: <itemClsCd> and <itemCd>", "status": 400}})
        }
    };
    let mut matches = vec![json!({"call": "sale", "amount": refused_amount().to_string()})];
    // The fourth device is one merchant's only one.
    if let Some(device) = fleet
        .merchants
        .iter()
        .flat_map(|merchant| &merchant.devices)
        .nth(3)
    {
        matches.push(json!({"call": "sale", "device": device.sim_name(), "every_nth": 12}));
    }
    matches
        .into_iter()
        .map(|wanted| json!({"match": wanted, "fault": refusal}))
        .collect()
}

/// Each rule draws for itself.
fn random_faults(dialect: Dialect, seed: u64) -> Vec<Value> {
    let mut sometimes = vec![
        (1.2, json!("accept_then_drop")),
        (0.8, json!("drop_before_accept")),
        (0.5, json!({"deliver_late": {"ms": 1500, "hold_ms": 300}})),
        (0.1, json!({"slow": {"ms": 7000}})),
        (4.0, json!({"slow": {"ms": 300}})),
        (1.0, json!({"lookup_lag": {"count": 2}})),
        (
            0.5,
            json!({"status": {"code": 503, "retry_after": 1, "accept": true}}),
        ),
        (0.3, json!({"html": {"status": 200, "accept": true}})),
        (10.0, json!("blank_padded_keys")),
    ];
    match dialect {
        Dialect::Legacy => sometimes.push((
            0.3,
            json!({"envelope": {"code": "999", "message": "An unknown error occurred"}}),
        )),
        Dialect::Gateway => sometimes.push((1.0, json!("expired_token"))),
    }
    let mut rules = Vec::new();
    for (at, (percent, fault)) in (0..).zip(sometimes) {
        let wanted =
            json!({"call": "sale", "probability": percent / 100.0, "seed": seed.wrapping_add(at)});
        rules.push(json!({"match": wanted, "fault": fault}));
    }
    let lost_look_ups = json!({"call": "lookup", "probability": 0.05, "seed": seed});
    rules.push(json!({"match": lost_look_ups, "fault": "drop_before_accept"}));
    for (skip, outage) in [
        (300, json!({"ms": 1500, "status": 502})),
        (800, json!({"ms": 3000})),
        (1500, json!({"ms": 2000, "status": 502})),
    ] {
        let wanted = json!({"call": "sale", "skip": skip, "count": 1});
        rules.push(json!({"match": wanted, "fault": {"down_for": outage}}));
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rules_refuse_and_one_names_a_device() {
        let fleet = crate::fleet::tests::sample();
        let rules = fault_script(&fleet, Dialect::Legacy, 5);
        assert_eq!(rules[0]["match"]["amount"], "777");
        assert!(
            rules.iter().all(|rule| rule["match"]["call"].is_string()),
            "{rules:?}"
        );
    }
}
