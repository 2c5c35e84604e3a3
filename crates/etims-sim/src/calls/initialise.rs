//! The initialisation of a device, which hands out its key exactly once.

use serde_json::json;

use crate::auth::Credentials;
use crate::config::{Config, Dialect};
use crate::fields::Fields;
use crate::journal::JournalEntry;
use crate::records::KraRecords;
use crate::refusal::{Refusal, RefusalKind};
use crate::reply::Reply;
use crate::seeded;

/// Fields that the call must have, with the names that the gateway gives them in refusals.
const REQUIRED: [(&str, &str); 3] = [("tin", "Tin"), ("bhfId", "BhfId"), ("dvcSrlNo", "DvcSrlNo")];

pub(crate) const TAXPAYER_NAME: &str = "Baraka Mini Mart Ltd";

/// # Errors
/// 901 for a device or serial that is not approved, 902 for a device that is initialised.
pub(crate) fn initialise(
    records: &mut KraRecords,
    config: &Config,
    credentials: &Credentials,
    body: &[u8],
) -> Result<Reply, Reply> {
    if config.dialect == Dialect::Gateway {
        credentials.check_token(records)?;
    }
    let fields = Fields::of_body(body)?;
    for (name, label) in REQUIRED {
        if fields.raw(name).is_none() {
            let message = format!("Request parameter error[<{name}> : may not be empty]");
            let gateway_message = format!("Missing {label}");
            let refusal = Refusal::new(RefusalKind::Fields, "910", &message, gateway_message);
            return Err(refusal.into());
        }
    }

    let serial = fields.text("dvcSrlNo", 100)?;
    let branch = credentials
        .branch
        .clone()
        .ok_or_else(Refusal::invalid_device)?;
    let device = records
        .devices
        .get_mut(&branch)
        .filter(|device| device.serial == serial)
        .ok_or_else(Refusal::invalid_device)?;
    if config.strict_initialise && config.dialect == Dialect::Gateway {
        device.initialisations.add()?;
    }
    if device.cmc_key.is_some() {
        let message = "This device is installed";
        return Err(Refusal::coded(RefusalKind::Auth, "902", message).into());
    }

    let parts = [&branch.tin, &branch.bhf, &device.serial];
    let cmc_key = seeded::hex(config.seed, "cmcKey", &parts, 52);
    let entry = JournalEntry::Initialised {
        branch: branch.clone(),
        cmc_key: cmc_key.clone(),
    };
    if records.journal.write(&entry).is_err() {
        return Ok(Reply::Full);
    }
    device.cmc_key = Some(cmc_key.clone());
    Ok(Reply::done(&json!({ "info": {
        "tin": branch.tin,
        "taxprNm": TAXPAYER_NAME,
        "bsnsActv": "Retail of groceries",
        "bhfId": branch.bhf,
        "bhfNm": "Headquarter",
        "bhfOpenDt": "20240102",
        "prvncNm": "Nairobi",
        "dstrtNm": "Westlands",
        "sctrNm": "Parklands",
        "locDesc": "Shop 4, Sample Plaza",
        "hqYn": "Y",
        "mgrNm": "Test Manager",
        "mgrTelNo": "0700000000",
        "mgrEmail": "manager@example.test",
        "dvcId": device.device_id(),
        "sdcId": device.sdc_id,
        "mrcNo": device.mrc_no,
        "cmcKey": cmc_key,
    }})))
}
