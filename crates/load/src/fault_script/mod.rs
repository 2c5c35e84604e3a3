//! The fault script of `risiti-load trouble`: refusals, random faults and outages at the simulated
//! tax authority.

pub(crate) mod rule;

use rust_decimal::Decimal;

use self::rule::{CallMatch, FaultRule, SimFault};
use crate::cli::TroubleArgs;
use crate::fleet::Fleet;
use crate::simulator::Simulator;

/// Sales of exactly this amount are refused while the script runs.
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
    let simulators = [Some((&args.sims.sim, Dialect::Legacy)), gateway];

    for (url, dialect) in simulators.into_iter().flatten() {
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

/// All rules of the script. Refusals come first, because the oldest rule that matches wins.
fn fault_script(fleet: &Fleet, dialect: Dialect, seed: u64) -> Vec<FaultRule> {
    let mut rules = refusals(fleet, dialect);
    rules.extend(random_faults(dialect, seed));
    rules.push(lost_look_ups(seed));
    rules.extend(outages());
    rules
}

/// Refuses one amount on all devices, and every twelfth sale on one device.
fn refusals(fleet: &Fleet, dialect: Dialect) -> Vec<FaultRule> {
    let refusal = match dialect {
        Dialect::Legacy => SimFault::envelope("910", "Request parameter error"),
        Dialect::Gateway => SimFault::Envelope {
            code: None,
            message: "required: <itemClsCd> and <itemCd>",
            status: Some(400),
        },
    };

    let mut matches = vec![CallMatch {
        amount: Some(refused_amount()),
        ..CallMatch::sales()
    }];
    // The fourth device is the only one of its merchant.
    let mut devices = fleet
        .merchants
        .iter()
        .flat_map(|merchant| &merchant.devices);
    if let Some(device) = devices.nth(3) {
        matches.push(CallMatch {
            device: Some(device.sim_name()),
            every_nth: Some(12),
            ..CallMatch::sales()
        });
    }

    matches
        .into_iter()
        .map(|calls| FaultRule {
            calls,
            fault: refusal.clone(),
        })
        .collect()
}

/// Faults that hit a share of all sales. Each rule has its own seed, so that its draws are its own.
fn random_faults(dialect: Dialect, seed: u64) -> Vec<FaultRule> {
    let mut faults_by_percent = vec![
        (1.2, SimFault::AcceptThenDrop),
        (0.8, SimFault::DropBeforeAccept),
        (
            0.5,
            SimFault::DeliverLate {
                ms: 1500,
                hold_ms: 300,
            },
        ),
        (0.1, SimFault::Slow { ms: 7000 }),
        (4.0, SimFault::Slow { ms: 300 }),
        (1.0, SimFault::LookupLag { count: 2 }),
        (
            0.5,
            SimFault::Status {
                code: 503,
                retry_after: 1,
                accept: true,
            },
        ),
        (
            0.3,
            SimFault::Html {
                status: 200,
                accept: true,
            },
        ),
        (10.0, SimFault::BlankPaddedKeys),
    ];
    faults_by_percent.push(match dialect {
        Dialect::Legacy => (0.3, SimFault::envelope("999", "An unknown error occurred")),
        Dialect::Gateway => (1.0, SimFault::ExpiredToken),
    });

    (0..)
        .zip(faults_by_percent)
        .map(|(at, (percent, fault))| FaultRule {
            calls: CallMatch {
                probability: Some(percent / 100.0),
                seed: Some(seed.wrapping_add(at)),
                ..CallMatch::sales()
            },
            fault,
        })
        .collect()
}

fn lost_look_ups(seed: u64) -> FaultRule {
    FaultRule {
        calls: CallMatch {
            probability: Some(0.05),
            seed: Some(seed),
            ..CallMatch::look_ups()
        },
        fault: SimFault::DropBeforeAccept,
    }
}

/// Takes the host down three times, each after a number of sales.
fn outages() -> [FaultRule; 3] {
    let outage = |after_sales, ms, status| FaultRule {
        calls: CallMatch {
            skip: Some(after_sales),
            count: Some(1),
            ..CallMatch::sales()
        },
        fault: SimFault::DownFor { ms, status },
    };
    [
        outage(300, 1500, Some(502)),
        outage(800, 3000, None),
        outage(1500, 2000, Some(502)),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fleet::tests::sample;

    fn script(dialect: Dialect) -> Vec<Value> {
        fault_script(&sample(), dialect, 5)
            .iter()
            .map(|rule| serde_json::to_value(rule).unwrap())
            .collect()
    }

    #[test]
    fn first_rule_refuses_an_amount() {
        let rules = script(Dialect::Legacy);
        assert_eq!(rules[0]["match"]["amount"], "777");
        assert!(
            rules.iter().all(|rule| rule["match"]["call"].is_string()),
            "{rules:?}"
        );
    }

    #[test]
    fn rules_have_the_simulators_json() {
        let rules = script(Dialect::Gateway);
        let refusal = json!({
            "message": "required: <itemClsCd> and <itemCd>", "status": 400,
        });
        assert_eq!(
            rules[0],
            json!({
                "match": {"call": "sale", "amount": "777"},
                "fault": {"envelope": refusal},
            })
        );
        assert_eq!(rules[10]["fault"], "expired_token");
        assert_eq!(
            rules[11],
            json!({
                "match": {"call": "lookup", "probability": 0.05, "seed": 5},
                "fault": "drop_before_accept",
            })
        );
        assert_eq!(
            rules[13],
            json!({
                "match": {"call": "sale", "skip": 800, "count": 1},
                "fault": {"down_for": {"ms": 3000}},
            })
        );
    }
}
