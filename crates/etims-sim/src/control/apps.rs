//! `PUT /_sim/devices/app`: a device gets a new app of the portal, with other keys. KRA then finds
//! one record of its serial again, however often it was initialised.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::{Sim, device_keys, error_answer};
use crate::branch::Branch;
use crate::device::App;
use crate::render::json_answer;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewApp {
    tin: String,
    #[serde(rename = "bhfId")]
    bhf_id: String,
    consumer_key: String,
    consumer_secret: String,
    app_id: String,
}

pub(super) async fn replace(sim: Sim, body: web::Bytes) -> HttpResponse {
    let new: NewApp = match serde_json::from_slice(&body) {
        Ok(new) => new,
        Err(error) => return error_answer(400, &error.to_string()),
    };
    let branch = Branch {
        tin: new.tin,
        bhf: new.bhf_id,
    };
    let mut records = sim.records();
    let Some(device) = records.devices.get_mut(&branch) else {
        return error_answer(404, "no such device");
    };
    device.app = App {
        consumer_key: new.consumer_key,
        consumer_secret: new.consumer_secret,
        app_id: new.app_id,
    };
    device.initialisations.repair();
    json_answer(200, &device_keys(&branch, device))
}
