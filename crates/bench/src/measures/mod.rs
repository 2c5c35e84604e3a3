//! The measurements, in the order of the table.

mod backlog;
mod etims;
mod frozen;
mod growth;
mod ingress;
mod isolation;
mod ledger;
mod memory;
mod peers;
mod replay;
mod rounds;
mod spool;
mod success;
mod sustained;
mod tenfold;

use anyhow::ensure;
use futures_util::future::LocalBoxFuture;

use crate::ground::Ground;
use crate::results::Row;

type Measuring<'a> = LocalBoxFuture<'a, anyhow::Result<Vec<Row>>>;

pub(crate) struct Measurement {
    pub(crate) name: &'static str,
    about: &'static str,
    run: for<'a> fn(&'a Ground) -> Measuring<'a>,
}

macro_rules! measurement {
    ($name:literal, $run:path, $about:literal) => {
        Measurement {
            name: $name,
            about: $about,
            run: |ground| Box::pin($run(ground)),
        }
    };
}

const ALL: &[Measurement] = &[
    measurement!(
        "bare_handler",
        ingress::bare_handler,
        "the bare handler, the main yardstick, against a bare publisher"
    ),
    measurement!(
        "ingress_64_redis",
        ingress::connections_64_redis,
        "ingress with Redis, 64 connections, against the bare handler"
    ),
    measurement!(
        "ingress_64",
        ingress::connections_64,
        "ingress, 64 connections, against the bare handler"
    ),
    measurement!(
        "ingress_64_warn",
        ingress::connections_64_warn,
        "the same with RUST_LOG=warn"
    ),
    measurement!(
        "ingress_256_redis",
        ingress::connections_256_redis,
        "ingress with Redis, 256 connections, rate and p99"
    ),
    measurement!(
        "ingress_256",
        ingress::connections_256,
        "ingress, 256 connections, rate and p99"
    ),
    measurement!(
        "duplicates",
        ingress::duplicates,
        "one webhook again and again, against a bare echo"
    ),
    measurement!(
        "ledger_backlog",
        ledger::without_device,
        "ledger worker over a backlog, against the same rows by hand"
    ),
    measurement!(
        "ledger_backlog_device",
        ledger::with_device,
        "the same with a device: each payment owes an invoice"
    ),
    measurement!(
        "sustained",
        sustained::together,
        "ingress and ledger worker together: accepted and recorded"
    ),
    measurement!(
        "sustained_steady",
        sustained::steady,
        "the highest constant rate that is recorded as fast as it is accepted"
    ),
    measurement!(
        "etims_60_devices",
        etims::devices_60,
        "receipts of 60 devices at 500 ms under the cap of 50"
    ),
    measurement!(
        "etims_one_device",
        etims::one_device,
        "receipts of one device at 100 ms"
    ),
    measurement!(
        "ingress_memory",
        memory::resident,
        "resident memory after 200,000 webhooks; full: and 1,000,000"
    ),
    measurement!(
        "broker_frozen",
        frozen::broker,
        "the broker frozen for 6 s under 2,000 connections"
    ),
    measurement!(
        "spool_append",
        spool::append,
        "appends to the spool, against fsyncs of such groups"
    ),
    measurement!(
        "acknowledging",
        isolation::acknowledging,
        "acknowledgements while KRA, Postgres or the workers stand"
    ),
    measurement!(
        "tenfold",
        tenfold::delivery,
        "publishes and writes when each webhook comes ten times"
    ),
    measurement!(
        "success_latency",
        success::latency,
        "from the answer 200 to Success, at 500 a second"
    ),
    measurement!(
        "replay",
        replay::dead_letters,
        "replay at a paced rate, and live traffic; full: 100,000"
    ),
    measurement!(
        "growth_payments",
        growth::payments,
        "cost of an event at 10^4 and 4 x 10^4 payments; full: 10^6"
    ),
    measurement!(
        "growth_merchants",
        growth::merchants,
        "cost of an event with 10 and 100 merchants; full: 1,000"
    ),
    measurement!(
        "growth_workers",
        growth::workers,
        "cost of an event with 1, 2 and 4 ledger workers"
    ),
    measurement!(
        "backlog",
        backlog::drain,
        "20,000 events drained beside live traffic; full: 1,000,000"
    ),
];

/// Measurements that install packages.
const PEERS: &[Measurement] = &[
    measurement!(
        "peer_express",
        peers::express,
        "ingress and ledger worker against Express and BullMQ"
    ),
    measurement!(
        "peer_fastapi",
        peers::fastapi,
        "the same against FastAPI and a background task"
    ),
];

impl Measurement {
    pub(crate) async fn make(&self, ground: &Ground) -> anyhow::Result<Vec<Row>> {
        (self.run)(ground).await
    }
}

/// Returns the measurements of these names. Without names it returns all, and those with peers only
/// if they are wanted.
pub(crate) fn chosen(only: &[String], peers: bool) -> anyhow::Result<Vec<&'static Measurement>> {
    for name in only {
        let known = ALL.iter().chain(PEERS).any(|known| known.name == name);
        ensure!(
            known,
            "no measurement {name}; `risiti-bench list` names them"
        );
    }
    let is_named = |measurement: &&Measurement| only.iter().any(|name| name == measurement.name);
    let by_default = ALL
        .iter()
        .filter(|measurement| only.is_empty() || is_named(measurement));
    let with_peers = PEERS
        .iter()
        .filter(|measurement| (peers && only.is_empty()) || is_named(measurement));
    Ok(by_default.chain(with_peers).collect())
}

pub(crate) fn print_list() {
    for measurement in ALL.iter().chain(PEERS) {
        println!("{:<24}{}", measurement.name, measurement.about);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(only: &[&str], peers: bool) -> Vec<&'static str> {
        let only: Vec<String> = only.iter().map(|&name| name.to_owned()).collect();
        let chosen = chosen(&only, peers).unwrap();
        chosen.iter().map(|measurement| measurement.name).collect()
    }

    #[test]
    fn peers_are_measured_only_when_asked_for() {
        assert_eq!(names(&[], false).len(), ALL.len());
        assert_eq!(names(&[], true).len(), ALL.len() + PEERS.len());
        assert_eq!(
            names(&["peer_fastapi", "tenfold"], false),
            ["tenfold", "peer_fastapi"]
        );
        assert!(chosen(&["nonsense".to_owned()], false).is_err());
    }
}
