//! What the tax authority accepted, by our ids.

use std::collections::HashMap;

use super::views::Invoice;
use crate::fleet::Fleet;
use crate::simulator::Filed;

pub(crate) struct AuthorityRecords<'a> {
    /// Sales and credit notes by their remark, which is our invoice id.
    pub(super) by_remark: HashMap<&'a str, Vec<&'a Filed>>,
    /// Our device ids by the simulator's names of the devices.
    pub(super) devices: HashMap<String, &'a str>,
    /// Merchants by device id.
    pub(super) merchants_of_devices: HashMap<&'a str, &'a str>,
}

impl<'a> AuthorityRecords<'a> {
    pub(crate) fn new(fleet: &'a Fleet, filed: &'a [Filed]) -> Self {
        let mut by_remark: HashMap<_, Vec<&Filed>> = HashMap::new();
        for filed in filed {
            by_remark
                .entry(filed.remark.as_deref().unwrap_or_default())
                .or_default()
                .push(filed);
        }

        let devices = || {
            fleet
                .merchants
                .iter()
                .flat_map(|merchant| merchant.devices.iter().map(move |d| (merchant, d)))
        };

        Self {
            by_remark,
            devices: devices()
                .map(|(_, d)| (d.sim_name(), d.device_id.as_str()))
                .collect(),
            merchants_of_devices: devices()
                .map(|(m, d)| (d.device_id.as_str(), m.slug.as_str()))
                .collect(),
        }
    }

    /// Returns what was accepted under the id of the invoice.
    pub(super) fn accepted(&self, invoice: &Invoice) -> &[&'a Filed] {
        self.by_remark
            .get(invoice.invoice_id.as_str())
            .map_or(&[], Vec::as_slice)
    }
}
