//! The measurements, in the order of the table.

mod ingress;
mod rounds;

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

const ALL: &[Measurement] = &[measurement!(
    "ingress_64",
    ingress::connections_64,
    "ingress at 64 connections against the bare handler"
)];

impl Measurement {
    pub(crate) async fn make(&self, ground: &Ground) -> anyhow::Result<Vec<Row>> {
        (self.run)(ground).await
    }
}

/// Returns the measurements of these names, or all where none are named.
pub(crate) fn chosen(only: &[String]) -> anyhow::Result<Vec<&'static Measurement>> {
    for name in only {
        let known = ALL.iter().any(|measurement| measurement.name == name);
        ensure!(
            known,
            "no measurement {name}; `risiti-bench list` names them"
        );
    }
    let wanted = |name: &str| only.is_empty() || only.iter().any(|only| only == name);
    Ok(ALL
        .iter()
        .filter(|measurement| wanted(measurement.name))
        .collect())
}

pub(crate) fn print_list() {
    for measurement in ALL {
        println!("{:<24}{}", measurement.name, measurement.about);
    }
}
