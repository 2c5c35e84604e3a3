//! The control unit's receipt, and what is printed from it.

use jiff::Timestamp;

use crate::profile::DeviceProfile;

/// What KRA signed. Texts are free of control characters and at most 64 characters long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// `curRcptNo` (`rcptNo` from a VSCU); positive.
    pub receipt_no: i64,
    pub total_receipt_no: Option<i64>,
    pub signature: Option<String>,
    pub internal_data: Option<String>,
    /// From the answer, else the device's own.
    pub control_unit_id: Option<String>,
    pub issued_at: Option<Timestamp>,
}

/// The link behind the QR code; `None` without a signature.
pub fn receipt_url(_profile: &DeviceProfile, _receipt: &Receipt) -> Option<String> {
    None
}

/// The control unit's invoice number as printed, `KRACU0100000001/1`; `None` without a control unit id.
pub fn control_unit_invoice_no(receipt: &Receipt) -> Option<String> {
    receipt.control_unit_id.as_ref().map(|id| format!("{id}/{}", receipt.receipt_no))
}
