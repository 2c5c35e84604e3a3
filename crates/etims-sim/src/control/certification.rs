//! `GET /_sim/certification`: KRA's page of the automated test, for each device.

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::{DeviceQuery, Sim};
use crate::render::json_answer;

pub(super) async fn show(sim: Sim, query: web::Query<DeviceQuery>) -> HttpResponse {
    let records = sim.records();
    let pages: Vec<Value> = records
        .devices
        .iter()
        .filter(|(branch, _)| query.means(branch))
        .map(|(branch, device)| {
            json!({
                "tin": branch.tin,
                "bhfId": branch.bhf,
                "passed": device.test_page.passed(),
                "rows": device.test_page.rows(),
            })
        })
        .collect();
    json_answer(200, &json!({ "devices": pages }))
}
