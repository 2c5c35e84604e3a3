//! The control unit's receipt, and what is printed from it.

use jiff::Timestamp;
use risiti_domain::{BuyerName, Environment, KraPin};

use crate::dialect;
use crate::fields::Fields;
use crate::profile::DeviceProfile;
use crate::text::clip;
use crate::time;

/// The longest field of a receipt has 26 characters in KRA's specification.
const TEXT_CHARS_MAX: usize = 64;

/// What KRA signed. Its texts hold no control characters and at most 64 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// `curRcptNo`, or `rcptNo` from a VSCU. It is positive.
    pub receipt_no: i64,
    pub total_receipt_no: Option<i64>,
    pub signature: Option<String>,
    pub internal_data: Option<String>,
    /// The id in the answer, else the device's own.
    pub control_unit_id: Option<String>,
    pub issued_at: Option<Timestamp>,
    /// The buyer that KRA has. Only a look-up tells.
    pub buyer_name: Option<BuyerName>,
    pub buyer_pin: Option<KraPin>,
}

impl Receipt {
    /// Reads a receipt. Without a receipt number it is `None`, because nothing else proves that a
    /// sale was accepted (protocol D7).
    pub(crate) fn read(profile: &DeviceProfile, data: &Fields<'_>) -> Option<Self> {
        let receipt_no = data
            .integer("curRcptNo")
            .or_else(|| data.integer("rcptNo"))
            .filter(|number| *number > 0)?;
        let text = |key| data.text(key).map(|text| clip(&text, TEXT_CHARS_MAX));
        // Sources disagree about the spelling of a VSCU.
        let issued_at = ["sdcDateTime", "vsdcRcptPbctDate", "VSCURcptPbctDate"]
            .iter()
            .find_map(|key| time::parse(&data.text(key)?));
        Some(Self {
            receipt_no,
            total_receipt_no: data.integer("totRcptNo"),
            signature: text("rcptSign"),
            internal_data: text("intrlData"),
            control_unit_id: text("sdcId").or_else(|| profile.sdc_id.clone()),
            issued_at,
            buyer_name: None,
            buyer_pin: None,
        })
    }
}

/// The link behind the QR code. It is `None` without a signature.
pub fn receipt_url(profile: &DeviceProfile, receipt: &Receipt) -> Option<String> {
    let signature = receipt.signature.as_ref()?;
    let kra = match profile.environment {
        Environment::Sandbox => "https://etims-sbx.kra.go.ke",
        Environment::Production => "https://etims.kra.go.ke",
    };
    let portal = match &profile.portal_url {
        Some(portal) => portal.clone(),
        None => kra.parse().ok()?,
    };
    let mut url = dialect::join(&portal, "/common/link/etims/receipt/indexEtimsReceiptData");
    url.set_query(Some(&format!(
        "Data={}{}{signature}",
        profile.pin, profile.branch
    )));
    Some(url.into())
}

/// The control unit's invoice number as printed, such as `KRACU0100000001/1`. It is `None` without
/// a control unit id.
pub fn control_unit_invoice_no(receipt: &Receipt) -> Option<String> {
    receipt
        .control_unit_id
        .as_ref()
        .map(|id| format!("{id}/{}", receipt.receipt_no))
}

#[cfg(test)]
mod tests {
    use risiti_domain::Dialect;

    use super::*;
    use crate::profile::sample;

    fn read(data: &str) -> Option<Receipt> {
        Receipt::read(&sample(Dialect::Legacy), &Fields::read(data).unwrap())
    }

    #[test]
    fn number_and_link_print_as_in_the_facts() {
        let receipt = read(r#"{"curRcptNo": "1", "rcptSign": "ABCD2345EFGH67IJ"}"#).unwrap();
        let profile = sample(Dialect::Legacy);
        assert_eq!(
            control_unit_invoice_no(&receipt).unwrap(),
            "KRACU0100000001/1"
        );
        assert_eq!(
            receipt_url(&profile, &receipt).unwrap(),
            "https://etims-sbx.kra.go.ke/common/link/etims/receipt/indexEtimsReceiptData?Data=P000000001A00ABCD2345EFGH67IJ"
        );
    }

    #[test]
    fn the_portal_can_be_set_and_production_has_its_own() {
        let receipt = read(r#"{"curRcptNo": 1, "rcptSign": "A B&C#"}"#).unwrap();
        let mut profile = sample(Dialect::Legacy);
        profile.portal_url = Some("http://127.0.0.1:9/portal/".parse().unwrap());
        let url = receipt_url(&profile, &receipt).unwrap();
        assert!(
            url.starts_with("http://127.0.0.1:9/portal/common/link/"),
            "{url}"
        );
        assert!(url.ends_with("?Data=P000000001A00A%20B&C%23"), "{url}");
        profile.portal_url = None;
        profile.environment = Environment::Production;
        assert!(
            receipt_url(&profile, &receipt)
                .unwrap()
                .starts_with("https://etims.kra.go.ke/common/")
        );
    }

    #[test]
    fn a_receipt_needs_a_positive_number() {
        for data in [
            "{}",
            r#"{"curRcptNo": 0}"#,
            r#"{"curRcptNo": "x"}"#,
            r#"{"curRcptNo": null, "totRcptNo": 1}"#,
        ] {
            assert_eq!(read(data), None, "{data}");
        }
        let unsigned = read(r#"{"curRcptNo": 7}"#).unwrap();
        assert_eq!(
            (
                unsigned.receipt_no,
                receipt_url(&sample(Dialect::Legacy), &unsigned)
            ),
            (7, None)
        );
    }
}
