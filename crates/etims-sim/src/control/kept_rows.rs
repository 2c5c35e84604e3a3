//! `GET /_sim/records`: what KRA keeps beside sales, so that a test can tell whether something was
//! registered twice. Rows are as they were sent.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use rust_decimal::Decimal;
use serde::Serialize;

use super::{DeviceQuery, Sim};
use crate::branch::Branch;
use crate::device::Device;
use crate::json_object::JsonObject;
use crate::records::kept::{Kept, Row};
use crate::records::taxpayer::Taxpayer;
use crate::render::json_answer;

#[derive(Serialize)]
struct Records<'a> {
    taxpayers: Vec<TaxpayerRows<'a>>,
    devices: Vec<DeviceRows<'a>>,
}

/// What is kept for a PIN.
#[derive(Serialize)]
struct TaxpayerRows<'a> {
    tin: &'a str,
    items: Vec<&'a JsonObject>,
    compositions: Vec<&'a JsonObject>,
}

/// What is kept for a branch.
#[derive(Serialize)]
struct DeviceRows<'a> {
    tin: &'a str,
    #[serde(rename = "bhfId")]
    bhf: &'a str,
    customers: Vec<&'a JsonObject>,
    users: Vec<&'a JsonObject>,
    insurances: Vec<&'a JsonObject>,
    import_updates: Vec<&'a JsonObject>,
    purchases: Vec<&'a JsonObject>,
    movements: Vec<&'a JsonObject>,
    /// The running sums of the movements, by item.
    stock: BTreeMap<&'a str, Decimal>,
    /// The levels that the client reported, by item.
    reported_stock: BTreeMap<&'a str, Decimal>,
}

pub(super) async fn list(sim: Sim, query: web::Query<DeviceQuery>) -> HttpResponse {
    let records = sim.records();
    let wanted = records
        .devices
        .iter()
        .filter(|(branch, _)| query.means(branch));
    let devices: Vec<DeviceRows<'_>> = wanted
        .clone()
        .map(|(branch, device)| device_rows(branch, device))
        .collect();
    let mut tins: Vec<&str> = wanted.map(|(branch, _)| branch.tin.as_str()).collect();
    tins.dedup();
    let taxpayers = tins
        .into_iter()
        .filter_map(|tin| Some(taxpayer_rows(tin, records.taxpayers.get(tin)?)))
        .collect();
    json_answer(200, &Records { taxpayers, devices })
}

fn taxpayer_rows<'a>(tin: &'a str, taxpayer: &'a Taxpayer) -> TaxpayerRows<'a> {
    let items = taxpayer.items.values().map(|item| &item.row.fields);
    TaxpayerRows {
        tin,
        items: items.collect(),
        compositions: rows(&taxpayer.compositions),
    }
}

fn device_rows<'a>(branch: &'a Branch, device: &'a Device) -> DeviceRows<'a> {
    let purchases = device.purchases.values().map(|kept| &kept.row.fields);
    let movements = device.stock.movements.values().map(|kept| &kept.row.fields);
    let levels = device.stock.levels();
    let reported = device.stock.reported.iter();
    DeviceRows {
        tin: &branch.tin,
        bhf: &branch.bhf,
        customers: rows(&device.branch_data.customers),
        users: rows(&device.branch_data.users),
        insurances: rows(&device.branch_data.insurances),
        import_updates: rows(&device.import_updates),
        purchases: purchases.collect(),
        movements: movements.collect(),
        stock: levels
            .map(|(item, level)| (item.as_str(), *level))
            .collect(),
        reported_stock: reported
            .map(|(item, level)| (item.as_str(), *level))
            .collect(),
    }
}

fn rows<K: Ord>(kept: &Kept<K, Row>) -> Vec<&JsonObject> {
    kept.values().map(|row| &row.fields).collect()
}
