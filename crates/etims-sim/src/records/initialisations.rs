//! The records that initialisations leave, which damage the device (`--strict-initialise`).

use crate::refusal::Refusal;

/// How many records KRA has for the serial of a device.
#[derive(Debug, Default)]
pub(crate) struct Initialisations {
    records: u64,
}

impl Initialisations {
    /// Adds the record of one more initialisation. From the third on, KRA no longer finds the one
    /// record of the serial.
    pub(crate) fn add(&mut self) -> Result<(), Refusal> {
        let found = self.check(2);
        self.records += 1;
        found
    }

    /// Items fail a little later than the initialisation itself. Stock, sales and look-ups go on.
    pub(crate) fn check_items(&self) -> Result<(), Refusal> {
        self.check(3)
    }

    fn check(&self, damaging: u64) -> Result<(), Refusal> {
        if self.records < damaging {
            return Ok(());
        }
        Err(Refusal::broken_rule(format!(
            "Query did not return a unique result: {} results were returned",
            self.records
        )))
    }

    /// A new app of the portal leaves one record.
    pub(crate) fn repair(&mut self) {
        self.records = self.records.min(1);
    }
}
