//! The control API of the simulated tax authority.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use reqwest::{Client, Method};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use crate::cli::SimArgs;
use crate::http;

pub(crate) struct Simulator {
    base: Url,
    client: Client,
}

/// A sale or credit note that the tax authority has accepted.
#[derive(Deserialize, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Filed {
    tin: String,
    bhf_id: String,
    #[serde(rename = "invcNo")]
    pub(crate) number: i64,
    #[serde(rename = "orgInvcNo")]
    pub(crate) original_number: Option<i64>,
    /// `S` for a sale, `R` for a credit note.
    #[serde(rename = "rcptTyCd")]
    pub(crate) receipt_type: String,
    pub(crate) remark: Option<String>,
    #[serde(rename = "trdInvcNo")]
    pub(crate) trader_number: Option<String>,
    #[serde(rename = "totAmt", with = "rust_decimal::serde::str")]
    pub(crate) total: Decimal,
    #[serde(rename = "curRcptNo")]
    pub(crate) receipt_no: String,
    #[serde(rename = "rcptSign")]
    pub(crate) signature: String,
    #[serde(rename = "intrlData")]
    pub(crate) internal_data: String,
}

impl Filed {
    /// The simulator's name of the device.
    pub(crate) fn device(&self) -> String {
        format!("{}/{}", self.tin, self.bhf_id)
    }

    pub(crate) fn is_sale(&self) -> bool {
        self.receipt_type == "S"
    }
}

/// What the simulator says that a caller did wrong.
#[derive(Deserialize, Clone, Debug)]
pub(crate) struct ProtocolError {
    pub(crate) at: Timestamp,
    pub(crate) device: Option<String>,
    pub(crate) message: String,
    /// The two invoices, where they were sent under one number.
    pub(crate) clash: Option<Clash>,
}

/// Two invoices that were sent under one number.
#[derive(Deserialize, Clone, Debug)]
pub(crate) struct Clash {
    pub(crate) refused: String,
    pub(crate) filed: String,
    pub(crate) filed_at: Timestamp,
}

#[derive(Deserialize, Debug, Default)]
pub(crate) struct Stats {
    pub(crate) protocol_errors: u64,
    pub(crate) protocol_error_log: Vec<ProtocolError>,
    pub(crate) doubled: Vec<Value>,
    #[serde(default)]
    pub(crate) resends_without_look_up: u64,
    #[serde(default)]
    pub(crate) in_flight_max: u64,
    #[serde(default)]
    pub(crate) in_flight_max_per_device: BTreeMap<String, u64>,
    #[serde(default)]
    pub(crate) faults: BTreeMap<String, u64>,
    #[serde(default)]
    pub(crate) calls: BTreeMap<String, u64>,
}

impl Stats {
    /// Merges the stats of two simulators. Counts add up, and of two peaks the larger one stays.
    fn merged_with(mut self, other: Self) -> Self {
        self.protocol_errors += other.protocol_errors;
        self.protocol_error_log.extend(other.protocol_error_log);
        self.doubled.extend(other.doubled);
        self.resends_without_look_up += other.resends_without_look_up;
        self.in_flight_max = self.in_flight_max.max(other.in_flight_max);
        self.in_flight_max_per_device
            .extend(other.in_flight_max_per_device);
        for (fault, hits) in other.faults {
            *self.faults.entry(fault).or_default() += hits;
        }
        for (call, count) in other.calls {
            *self.calls.entry(call).or_default() += count;
        }
        self
    }
}

/// Reads what all simulators accepted, and what they counted.
pub(crate) async fn read_all(sims: &SimArgs) -> anyhow::Result<(Vec<Filed>, Stats)> {
    let mut filed = Vec::new();
    let mut stats = Stats::default();
    let urls = [Some(&sims.sim), sims.gateway_sim.as_ref()];
    for url in urls.into_iter().flatten() {
        let simulator = Simulator::new(url)?;
        filed.extend(simulator.filed().await?);
        stats = stats.merged_with(simulator.stats().await?);
    }
    Ok((filed, stats))
}

#[derive(Deserialize)]
struct Sales {
    sales: Vec<Filed>,
}

/// Sales per request.
const PAGE: usize = 2000;

impl Simulator {
    pub(crate) fn new(base: &Url) -> anyhow::Result<Self> {
        Ok(Self {
            base: base.clone(),
            client: http::client(Duration::from_secs(30))?,
        })
    }

    pub(crate) async fn register_device(&self, device: &impl Serialize) -> anyhow::Result<()> {
        self.call(
            Method::POST,
            "_sim/devices",
            Some(serde_json::to_string(device)?),
        )
        .await
        .map(drop)
    }

    pub(crate) async fn add_fault(&self, rule: &impl Serialize) -> anyhow::Result<()> {
        self.call(
            Method::POST,
            "_sim/faults",
            Some(serde_json::to_string(rule)?),
        )
        .await
        .map(drop)
    }

    pub(crate) async fn clear_faults(&self) -> anyhow::Result<()> {
        self.call(Method::DELETE, "_sim/faults", None)
            .await
            .map(drop)
    }

    async fn stats(&self) -> anyhow::Result<Stats> {
        let answer = self.call(Method::GET, "_sim/stats", None).await?;
        serde_json::from_slice(&answer).context("the simulator's stats cannot be read")
    }

    /// Reads all accepted sales and credit notes, page by page.
    async fn filed(&self) -> anyhow::Result<Vec<Filed>> {
        let mut filed = Vec::new();
        loop {
            let path = format!("_sim/sales?offset={}&limit={PAGE}", filed.len());
            let answer = self.call(Method::GET, &path, None).await?;
            let page: Sales =
                serde_json::from_slice(&answer).context("the simulator's sales cannot be read")?;
            let is_last = page.sales.len() < PAGE;
            filed.extend(page.sales);
            if is_last {
                return Ok(filed);
            }
        }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> anyhow::Result<Vec<u8>> {
        let mut request = self.client.request(method, self.base.join(path)?);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body);
        }

        let answer = request
            .send()
            .await
            .context("the simulator does not answer")?;

        let status = answer.status();
        let bytes = answer
            .bytes()
            .await
            .context("the simulator's answer broke off")?;
        if !status.is_success() {
            bail!(
                "the simulator answered {status} to {path}: {}",
                String::from_utf8_lossy(&bytes)
            );
        }
        Ok(bytes.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_stats_add_counts_and_keep_the_larger_peak() {
        let stats = |errors, peak| Stats {
            protocol_errors: errors,
            in_flight_max: peak,
            faults: BTreeMap::from([("slow".to_owned(), 2)]),
            ..Stats::default()
        };
        let both = stats(1, 40).merged_with(stats(2, 30));
        assert_eq!(
            (
                both.protocol_errors,
                both.in_flight_max,
                both.faults["slow"]
            ),
            (3, 40, 4)
        );
    }

    #[test]
    fn sale_is_read_as_the_simulator_lists_it() {
        let text = r#"{"tin":"P051234567X","bhfId":"00","invcNo":1,"orgInvcNo":null,"rcptTyCd":"S","remark":"r",
            "trdInvcNo":"UIS","totAmt":"1160.10","curRcptNo":"1","totRcptNo":"1","rcptSign":"A","intrlData":"B",
            "sdcDateTime":"20261124010143","accepted_at":"2026-11-23T22:01:43Z"}"#;
        let filed: Filed = serde_json::from_str(text).unwrap();
        assert_eq!(filed.device(), "P051234567X/00");
        assert!(filed.is_sale());
        assert_eq!(filed.total.to_string(), "1160.10");
    }
}
