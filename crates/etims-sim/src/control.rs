//! The control API under `/_sim`, for tests and audits. It is not part of KRA's API.

use crate::device::{App, Device};
use crate::envelope::{json_answer, problem};
use crate::fault_rule::FaultRule;
use crate::journal::JournalEntry;
use crate::records::Branch;
use crate::seeded;
use crate::server::Simulator;
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::Ordering;

/// Devices kept at once.
const MAX_DEVICES: usize = 20_000;

type Sim = web::Data<Simulator>;

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/devices", web::post().to(register))
        .route("/devices", web::get().to(devices))
        .route("/faults", web::post().to(add_fault))
        .route("/faults", web::get().to(faults))
        .route("/faults", web::delete().to(clear_faults))
        .route("/faults/{id}", web::delete().to(remove_fault))
        .route("/sales", web::get().to(sales))
        .route("/stats", web::get().to(stats))
        .route("/state", web::delete().to(clear));
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Registration {
    tin: String,
    bhf_id: String,
    dvc_srl_no: String,
    cmc_key: Option<String>,
    #[serde(alias = "next_invoice_no")]
    next_invoice_no: Option<i64>,
    #[serde(alias = "next_receipt_no")]
    next_receipt_no: Option<i64>,
    #[serde(alias = "consumer_key")]
    consumer_key: Option<String>,
    #[serde(alias = "consumer_secret")]
    consumer_secret: Option<String>,
    #[serde(alias = "app_id")]
    app_id: Option<String>,
}

impl Registration {
    pub(crate) fn branch(&self) -> Branch {
        Branch {
            tin: self.tin.clone(),
            bhf: self.bhf_id.clone(),
        }
    }
}

async fn register(sim: Sim, body: web::Bytes) -> HttpResponse {
    let wanted: Registration = match serde_json::from_slice(&body) {
        Ok(wanted) => wanted,
        Err(error) => return problem(400, &error.to_string()),
    };
    if wanted.tin.len() != 11
        || wanted.bhf_id.len() != 2
        || wanted.next_invoice_no.is_some_and(|no| no < 1)
    {
        return problem(400, "tin has 11 characters, bhfId 2, numbers start at 1");
    }
    let branch = wanted.branch();
    let mut records = sim.records();
    if let Some(device) = records.devices.get(&branch) {
        return if device.is_the(&wanted) {
            json_answer(200, &keys(&branch, device))
        } else {
            problem(409, "this tin and bhfId are registered with other values")
        };
    }
    if records.devices.len() >= MAX_DEVICES {
        return problem(507, "too many devices");
    }
    let entry = JournalEntry::Device(wanted.clone());
    if !records.journal.write(&entry) {
        return problem(507, "the journal cannot be written");
    }
    let device = Device::new(&branch, wanted, sim.config.seed);
    let answer = json_answer(201, &keys(&branch, &device));
    records.devices.insert(branch, device);
    answer
}

impl Device {
    pub(crate) fn new(branch: &Branch, wanted: Registration, seed: u64) -> Self {
        let of = [&branch.tin, &branch.bhf];
        let first_invoice_no = wanted.next_invoice_no.unwrap_or(1);
        let first_receipt_no = wanted.next_receipt_no.unwrap_or(first_invoice_no);
        Self {
            serial: wanted.dvc_srl_no,
            cmc_key: wanted.cmc_key,
            sdc_id: format!("KRACU{}", seeded::digits(seed, "sdcId", &of, 10)),
            mrc_no: format!("WIS{}", seeded::digits(seed, "mrcNo", &of, 8)),
            app: App {
                consumer_key: wanted
                    .consumer_key
                    .unwrap_or_else(|| seeded::base32(seed, "consumer key", &of, 32)),
                consumer_secret: wanted
                    .consumer_secret
                    .unwrap_or_else(|| seeded::base32(seed, "secret", &of, 16)),
                app_id: wanted
                    .app_id
                    .unwrap_or_else(|| seeded::uuid(seed, "app", &of)),
            },
            first_invoice_no,
            next_invoice_no: first_invoice_no,
            first_receipt_no,
            next_receipt_no: first_receipt_no,
            sales: Default::default(),
            trader_numbers: HashMap::new(),
            items: Default::default(),
            last_attempt: None,
        }
    }

    /// Registering the same device again is no error.
    fn is_the(&self, wanted: &Registration) -> bool {
        let same = |wanted: &Option<String>, ours: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == ours)
        };
        self.serial == wanted.dvc_srl_no
            && same(&wanted.cmc_key, self.cmc_key.as_deref().unwrap_or_default())
            && same(&wanted.consumer_key, &self.app.consumer_key)
            && same(&wanted.consumer_secret, &self.app.consumer_secret)
            && same(&wanted.app_id, &self.app.app_id)
            && wanted
                .next_invoice_no
                .is_none_or(|no| no == self.first_invoice_no)
    }
}

fn keys(branch: &Branch, device: &Device) -> Value {
    json!({
        "tin": branch.tin, "bhfId": branch.bhf, "dvcSrlNo": device.serial, "cmcKey": device.cmc_key,
        "sdcId": device.sdc_id, "mrcNo": device.mrc_no, "dvcId": device.device_id(),
        "consumer_key": device.app.consumer_key, "consumer_secret": device.app.consumer_secret,
        "app_id": device.app.app_id, "next_invoice_no": device.next_invoice_no,
    })
}

async fn devices(sim: Sim) -> HttpResponse {
    let records = sim.records();
    let devices: Vec<_> = records
        .devices
        .iter()
        .map(|(branch, device)| keys(branch, device))
        .collect();
    json_answer(200, &json!({ "devices": devices }))
}

async fn add_fault(sim: Sim, body: web::Bytes) -> HttpResponse {
    let rule: FaultRule = match serde_json::from_slice(&body) {
        Ok(rule) => rule,
        Err(error) => return problem(400, &error.to_string()),
    };
    if let Err(reason) = rule.check(sim.config.dialect) {
        return problem(400, reason);
    }
    match sim.fault_script().add(rule) {
        Some(id) => json_answer(201, &json!({ "id": id })),
        None => problem(507, "too many fault rules"),
    }
}

async fn faults(sim: Sim) -> HttpResponse {
    json_answer(200, &json!({ "faults": sim.fault_script().list() }))
}

async fn clear_faults(sim: Sim) -> HttpResponse {
    sim.fault_script().clear();
    HttpResponse::NoContent().finish()
}

async fn remove_fault(sim: Sim, id: web::Path<u64>) -> HttpResponse {
    if sim.fault_script().remove(*id) {
        HttpResponse::NoContent().finish()
    } else {
        problem(404, "no such rule")
    }
}

#[derive(Deserialize)]
struct Page {
    /// `tin` or `tin/bhfId`.
    device: Option<String>,
    #[serde(default)]
    offset: usize,
    limit: Option<usize>,
}

async fn sales(sim: Sim, page: web::Query<Page>) -> HttpResponse {
    let records = sim.records();
    let wanted = |branch: &Branch| {
        page.device
            .as_ref()
            .is_none_or(|device| branch.tin == *device || branch.to_string() == *device)
    };
    let all = records.devices.iter().filter(|(branch, _)| wanted(branch));
    let all =
        all.flat_map(|(branch, device)| device.sales.values().map(move |filed| (branch, filed)));
    let page = all.skip(page.offset).take(page.limit.unwrap_or(usize::MAX));
    let sales: Vec<_> = page.map(|(branch, filed)| filed.listed(branch)).collect();
    json_answer(200, &json!({ "sales": sales }))
}

async fn stats(sim: Sim) -> HttpResponse {
    json_answer(200, &sim.stats())
}

async fn clear(sim: Sim) -> HttpResponse {
    sim.epoch.fetch_add(1, Ordering::SeqCst);
    let mut records = sim.records();
    if !records.journal.write(&JournalEntry::Cleared) {
        return problem(507, "the journal cannot be written");
    }
    records.clear();
    drop(records);
    sim.fault_script().clear();
    sim.traffic.clear();
    HttpResponse::NoContent().finish()
}
