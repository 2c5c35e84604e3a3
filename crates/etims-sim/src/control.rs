//! The control API under `/_sim`, for tests and audits. It is not part of KRA's API.

mod apps;
mod certification;
mod kept_rows;

use std::sync::atomic::Ordering;

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::branch::Branch;
use crate::device::Device;
use crate::faults::rule::FaultRule;
use crate::journal::JournalEntry;
use crate::registration::Registration;
use crate::render::json_answer;
use crate::simulator::Simulator;

/// Bound on the registered devices.
const MAX_DEVICES: usize = 20_000;

/// Bound on the items that a PIN holds from the start.
const MAX_SEEDED_ITEMS: u16 = 1000;

type Sim = web::Data<Simulator>;

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/devices", web::post().to(register_device))
        .route("/devices", web::get().to(list_devices))
        .route("/devices/app", web::put().to(apps::replace))
        .route("/certification", web::get().to(certification::show))
        .route("/records", web::get().to(kept_rows::list))
        .route("/faults", web::post().to(add_fault))
        .route("/faults", web::get().to(list_faults))
        .route("/faults", web::delete().to(clear_faults))
        .route("/faults/{id}", web::delete().to(remove_fault))
        .route("/sales", web::get().to(list_sales))
        .route("/stats", web::get().to(stats))
        .route("/state", web::delete().to(clear_state));
}

async fn register_device(sim: Sim, body: web::Bytes) -> HttpResponse {
    let registration: Registration = match serde_json::from_slice(&body) {
        Ok(registration) => registration,
        Err(error) => return error_answer(400, &error.to_string()),
    };
    if registration.tin.len() != 11
        || registration.bhf_id.len() != 2
        || registration
            .next_invoice_no
            .is_some_and(|number| number < 1)
    {
        return error_answer(400, "tin has 11 characters, bhfId 2, numbers start at 1");
    }
    if registration
        .seeded_items
        .is_some_and(|count| count > MAX_SEEDED_ITEMS)
    {
        return error_answer(400, "a PIN holds at most 1,000 items from the start");
    }

    let branch = registration.branch();
    let mut records = sim.records();
    if let Some(device) = records.devices.get(&branch) {
        return if device.is_registered_as(&registration) {
            json_answer(200, &device_keys(&branch, device))
        } else {
            error_answer(409, "this tin and bhfId are registered with other values")
        };
    }
    if records.devices.len() >= MAX_DEVICES {
        return error_answer(507, "too many devices");
    }
    let entry = JournalEntry::Device(registration.clone());
    if records.journal.write(&entry).is_err() {
        return error_answer(507, "the journal cannot be written");
    }

    let device = Device::new(&branch, registration, sim.config.seed);
    let answer = json_answer(201, &device_keys(&branch, &device));
    records.add_device(branch, device);
    answer
}

async fn list_devices(sim: Sim) -> HttpResponse {
    let records = sim.records();
    let devices: Vec<_> = records
        .devices
        .iter()
        .map(|(branch, device)| device_keys(branch, device))
        .collect();
    json_answer(200, &json!({ "devices": devices }))
}

fn device_keys(branch: &Branch, device: &Device) -> Value {
    json!({
        "tin": branch.tin,
        "bhfId": branch.bhf,
        "dvcSrlNo": device.serial,
        "cmcKey": device.cmc_key,
        "sdcId": device.sdc_id,
        "mrcNo": device.mrc_no,
        "dvcId": device.device_id(),
        "consumer_key": device.app.consumer_key,
        "consumer_secret": device.app.consumer_secret,
        "app_id": device.app.app_id,
        "next_invoice_no": device.next_invoice_no,
    })
}

async fn add_fault(sim: Sim, body: web::Bytes) -> HttpResponse {
    let rule: FaultRule = match serde_json::from_slice(&body) {
        Ok(rule) => rule,
        Err(error) => return error_answer(400, &error.to_string()),
    };
    if let Err(reason) = rule.check(sim.config.dialect) {
        return error_answer(400, reason);
    }
    match sim.fault_script().add(rule) {
        Some(id) => json_answer(201, &json!({ "id": id })),
        None => error_answer(507, "too many fault rules"),
    }
}

async fn list_faults(sim: Sim) -> HttpResponse {
    json_answer(200, &json!({ "faults": sim.fault_script().list() }))
}

async fn clear_faults(sim: Sim) -> HttpResponse {
    sim.fault_script().clear();
    HttpResponse::NoContent().finish()
}

async fn remove_fault(sim: Sim, id: web::Path<u64>) -> HttpResponse {
    match sim.fault_script().remove(*id) {
        Some(_) => HttpResponse::NoContent().finish(),
        None => error_answer(404, "no such rule"),
    }
}

/// The devices that an answer is about: all without parameters.
#[derive(Deserialize)]
struct DeviceQuery {
    /// `tin` or `tin/bhfId`.
    device: Option<String>,
}

impl DeviceQuery {
    fn means(&self, branch: &Branch) -> bool {
        let device = self.device.as_ref();
        device.is_none_or(|device| branch.is_named(device))
    }
}

#[derive(Deserialize)]
struct SalesQuery {
    /// `tin` or `tin/bhfId`.
    device: Option<String>,
    #[serde(default)]
    offset: usize,
    limit: Option<usize>,
}

async fn list_sales(sim: Sim, query: web::Query<SalesQuery>) -> HttpResponse {
    let records = sim.records();
    let wanted = |branch: &Branch| {
        query
            .device
            .as_ref()
            .is_none_or(|device| branch.is_named(device))
    };
    let sales: Vec<_> = records
        .devices
        .iter()
        .filter(|(branch, _)| wanted(branch))
        .flat_map(|(branch, device)| device.sales.values().map(move |filed| (branch, filed)))
        .skip(query.offset)
        .take(query.limit.unwrap_or(usize::MAX))
        .map(|(branch, filed)| filed.audit_row(branch))
        .collect();
    json_answer(200, &json!({ "sales": sales }))
}

async fn stats(sim: Sim) -> HttpResponse {
    json_answer(200, &sim.stats())
}

async fn clear_state(sim: Sim) -> HttpResponse {
    sim.epoch.fetch_add(1, Ordering::SeqCst);
    let mut records = sim.records();
    if records.journal.write(&JournalEntry::Cleared).is_err() {
        return error_answer(507, "the journal cannot be written");
    }
    records.clear();
    drop(records);
    sim.fault_script().clear();
    sim.traffic.clear();
    HttpResponse::NoContent().finish()
}

fn error_answer(status: u16, detail: &str) -> HttpResponse {
    json_answer(status, &json!({ "error": detail }))
}
