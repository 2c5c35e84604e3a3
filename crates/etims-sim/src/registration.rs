//! The registration of a device, as the control API takes it and the journal keeps it.

use serde::{Deserialize, Serialize};

use crate::branch::Branch;

/// What a test wants of a device. The simulator makes up whatever is absent.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Registration {
    pub(crate) tin: String,
    pub(crate) bhf_id: String,
    pub(crate) dvc_srl_no: String,
    pub(crate) cmc_key: Option<String>,
    #[serde(alias = "next_invoice_no")]
    pub(crate) next_invoice_no: Option<i64>,
    #[serde(alias = "next_receipt_no")]
    pub(crate) next_receipt_no: Option<i64>,
    #[serde(alias = "consumer_key")]
    pub(crate) consumer_key: Option<String>,
    #[serde(alias = "consumer_secret")]
    pub(crate) consumer_secret: Option<String>,
    #[serde(alias = "app_id")]
    pub(crate) app_id: Option<String>,
    #[serde(alias = "seeded_items")]
    pub(crate) seeded_items: Option<u16>,
}

impl Registration {
    pub(crate) fn branch(&self) -> Branch {
        Branch {
            tin: self.tin.clone(),
            bhf: self.bhf_id.clone(),
        }
    }
}
