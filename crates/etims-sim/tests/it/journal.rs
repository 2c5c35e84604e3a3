//! What a simulator that was killed still knows.

use crate::support::{Sim, changed, sale};
use etims_sim::{Config, Dialect, start};
use serde_json::json;
use std::fs;
use std::path::Path;

fn kept_in(journal: &Path) -> Config {
    Config {
        journal: Some(journal.to_owned()),
        ..Config::local(Dialect::Legacy)
    }
}

#[tokio::test]
async fn it_goes_on_as_the_same_authority() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("books");
    let sim = Sim::with(kept_in(&journal)).await;
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
    sim.fault(json!({"match": {"count": 1}, "fault": "accept_then_drop"}))
        .await;
    sim.sell_in_vain(&sale(2)).await;
    assert_eq!(sim.sell(&sale(9)).await.code(), "910", "a number ahead");
    let (sales, stats) = (sim.accepted().await, sim.stats().await);
    sim.stop().await;

    let sim = Sim::empty(kept_in(&journal)).await;
    assert_eq!(sim.accepted().await, sales);
    let after = sim.stats().await;
    for same in [
        "protocol_errors",
        "protocol_error_log",
        "refusals",
        "in_flight_max_per_device",
        "devices",
    ] {
        assert_eq!(after[same], stats[same], "{same}");
    }
    assert_eq!(
        sim.look_up(2).await.code(),
        "000",
        "accepted, and its answer lost"
    );
    assert_eq!(sim.sell(&sale(2)).await.code(), "994");
    let third = sim.sell(&sale(3)).await;
    assert_eq!(
        (third.code(), third.data()["curRcptNo"].as_str()),
        ("000", Some("3"))
    );
}

#[tokio::test]
async fn a_sale_cut_off_in_mid_write_was_never_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("books");
    let sim = Sim::with(kept_in(&journal)).await;
    for number in 1..=2 {
        assert_eq!(sim.sell(&sale(number)).await.code(), "000");
    }
    sim.stop().await;
    let whole = fs::read(&journal).unwrap();
    fs::write(&journal, &whole[..whole.len() - 10]).unwrap();

    let sim = Sim::empty(kept_in(&journal)).await;
    assert_eq!(sim.accepted().await.len(), 1);
    let other = changed(sale(2), &[("/remark", json!("another"))]);
    assert_eq!(sim.sell(&other).await.code(), "000");
    sim.stop().await;
    assert_eq!(
        Sim::empty(kept_in(&journal)).await.accepted().await.len(),
        2,
        "written after the torn line"
    );
}

#[tokio::test]
async fn cleared_is_cleared() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("books");
    let sim = Sim::with(kept_in(&journal)).await;
    sim.sell(&sale(1)).await;
    sim.delete("/_sim/state").await;
    sim.stop().await;
    let sim = Sim::empty(kept_in(&journal)).await;
    assert!(sim.accepted().await.is_empty());
    assert_eq!(
        sim.sell(&sale(1)).await.code(),
        "000",
        "the device is still there"
    );
}

#[tokio::test]
async fn a_journal_it_cannot_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("books");
    fs::write(&journal, "{\"entry\":\"cleared\"}\nrubbish\n").unwrap();
    let Err(error) = start(kept_in(&journal)).await else {
        panic!("it started")
    };
    let error = format!("{error:#}");
    assert!(error.contains("books: line 2"), "{error}");
}
