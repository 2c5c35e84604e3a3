//! Device initialisation: the key is handed out once, ever.

use crate::auth::Credentials;
use crate::config::{Config, Dialect};
use crate::envelope::Reply;
use crate::fields::Fields;
use crate::journal::JournalEntry;
use crate::records::{KraRecords, not_valid};
use crate::refusal::{Mistake, Refusal};
use crate::seeded;
use serde_json::json;

/// # Errors
/// 901 for a device or serial that is not approved, 902 the second time.
pub(crate) fn initialise(
    records: &mut KraRecords,
    config: &Config,
    credentials: &Credentials,
    body: &[u8],
) -> Result<Reply, Reply> {
    if config.dialect == Dialect::Gateway {
        credentials.check_token(records)?;
    }
    let fields = Fields::of_body(body).map_err(Reply::Refused)?;
    for (name, label) in [("tin", "Tin"), ("bhfId", "BhfId"), ("dvcSrlNo", "DvcSrlNo")] {
        if fields.raw(name).is_none() {
            let message = format!("Request parameter error[<{name}> : may not be empty]");
            return Err(Reply::Refused(Refusal::new(
                Mistake::Fields,
                "910",
                &message,
                format!("Missing {label}"),
            )));
        }
    }
    let serial = fields.text("dvcSrlNo", 100).map_err(Reply::Refused)?;
    let branch = credentials
        .branch
        .clone()
        .ok_or_else(|| Reply::Refused(not_valid()))?;
    let device = records
        .devices
        .get_mut(&branch)
        .filter(|device| device.serial == serial);
    let device = device.ok_or_else(|| Reply::Refused(not_valid()))?;
    if device.cmc_key.is_some() {
        return Err(Reply::Refused(Refusal::coded(
            Mistake::Auth,
            "902",
            "This device is installed",
        )));
    }
    let key = seeded::hex(
        config.seed,
        "cmcKey",
        &[&branch.tin, &branch.bhf, &device.serial],
        52,
    );
    let entry = JournalEntry::Initialised {
        branch: branch.clone(),
        cmc_key: key.clone(),
    };
    if !records.journal.write(&entry) {
        return Ok(Reply::Full);
    }
    device.cmc_key = Some(key.clone());
    Ok(Reply::done(&json!({ "info": {
        "tin": branch.tin, "taxprNm": "Baraka Mini Mart Ltd", "bsnsActv": "Retail of groceries",
        "bhfId": branch.bhf, "bhfNm": "Headquarter", "bhfOpenDt": "20240102", "prvncNm": "Nairobi",
        "dstrtNm": "Westlands", "sctrNm": "Parklands", "locDesc": "Shop 4, Sample Plaza", "hqYn": "Y",
        "mgrNm": "Test Manager", "mgrTelNo": "0700000000", "mgrEmail": "manager@example.test",
        "dvcId": device.device_id(), "sdcId": device.sdc_id, "mrcNo": device.mrc_no, "cmcKey": key,
    }})))
}
