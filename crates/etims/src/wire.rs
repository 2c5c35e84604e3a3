//! The sales request as KRA names it (OSCU specification v2.0, 3.3.6), in the order of its table.
//!
//! We have nothing for a field of type `()`, and it travels as null.

use risiti_domain::TaxType;
use rust_decimal::Decimal;
use serde::ser::{Error as _, SerializeMap as _};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// A JSON number that is written from a decimal's own digits, never through a float. Whole
/// shillings print without a fraction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Number(pub(crate) Decimal);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sale<'a> {
    pub(crate) tin: &'a str,
    pub(crate) bhf_id: &'a str,
    pub(crate) trd_invc_no: String,
    pub(crate) invc_no: i64,
    /// It is 0 for a sale, because null broke the stock call's field of this name.
    pub(crate) org_invc_no: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cust_tin: Option<Option<&'a str>>,
    pub(crate) cust_nm: &'a str,
    pub(crate) sales_ty_cd: &'static str,
    pub(crate) rcpt_ty_cd: &'static str,
    pub(crate) pmt_ty_cd: &'static str,
    pub(crate) sales_stts_cd: &'static str,
    pub(crate) cfm_dt: String,
    pub(crate) sales_dt: String,
    pub(crate) stock_rls_dt: String,
    pub(crate) cncl_req_dt: (),
    pub(crate) cncl_dt: (),
    pub(crate) rfd_dt: Option<String>,
    pub(crate) rfd_rsn_cd: Option<&'static str>,
    pub(crate) tot_item_cnt: usize,
    #[serde(flatten)]
    pub(crate) taxes: Taxes,
    pub(crate) tot_taxbl_amt: Number,
    pub(crate) tot_tax_amt: Number,
    pub(crate) tot_amt: Number,
    pub(crate) prchr_acptc_yn: &'static str,
    pub(crate) remark: String,
    pub(crate) regr_id: &'static str,
    pub(crate) regr_nm: &'static str,
    pub(crate) modr_id: &'static str,
    pub(crate) modr_nm: &'static str,
    pub(crate) receipt: ReceiptHead<'a>,
    pub(crate) item_list: Vec<Line>,
}

/// The sums of taxable amounts, the rates and the sums of taxes, in the order of `TaxType::ALL`.
/// Types that the invoice does not use have their real rates too.
#[derive(Default)]
pub(crate) struct Taxes {
    pub(crate) taxable: [Number; 5],
    pub(crate) rates: [Number; 5],
    pub(crate) tax: [Number; 5],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReceiptHead<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cust_tin: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cust_mbl_no: Option<String>,
    pub(crate) rcpt_pbct_dt: String,
    pub(crate) trde_nm: Option<String>,
    pub(crate) adrs: (),
    pub(crate) top_msg: (),
    pub(crate) btm_msg: (),
    pub(crate) prchr_acptc_yn: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line {
    pub(crate) item_seq: usize,
    pub(crate) item_cd: String,
    pub(crate) item_cls_cd: String,
    pub(crate) item_nm: String,
    pub(crate) bcd: (),
    pub(crate) pkg_unit_cd: &'static str,
    pub(crate) pkg: Number,
    pub(crate) qty_unit_cd: &'static str,
    pub(crate) qty: Number,
    pub(crate) prc: Number,
    pub(crate) sply_amt: Number,
    pub(crate) dc_rt: Number,
    pub(crate) dc_amt: Number,
    pub(crate) isrcc_cd: (),
    pub(crate) isrcc_nm: (),
    pub(crate) isrc_rt: (),
    pub(crate) isrc_amt: (),
    pub(crate) tax_ty_cd: TaxType,
    pub(crate) taxbl_amt: Number,
    pub(crate) tax_amt: Number,
    pub(crate) tot_amt: Number,
}

/// The body of every call but the sale. Which fields are set depends on the call.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Query<'a> {
    pub(crate) tin: &'a str,
    pub(crate) bhf_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) invc_no: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dvc_srl_no: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_req_dt: Option<&'a str>,
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits = self.0.normalize().to_string();
        RawValue::from_string(digits)
            .map_err(S::Error::custom)?
            .serialize(serializer)
    }
}

impl Serialize for Taxes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(15))?;
        for (prefix, row) in [
            ("taxblAmt", &self.taxable),
            ("taxRt", &self.rates),
            ("taxAmt", &self.tax),
        ] {
            for (tax_type, number) in TaxType::ALL.iter().zip(row) {
                map.serialize_entry(&format!("{prefix}{tax_type}"), number)?;
            }
        }
        map.end()
    }
}

impl<'a> Query<'a> {
    pub(crate) fn new(tin: &'a str, bhf_id: &'a str) -> Self {
        Self {
            tin,
            bhf_id,
            invc_no: None,
            dvc_srl_no: None,
            last_req_dt: None,
        }
    }
}

/// Serialises one of the structs above.
pub(crate) fn bytes(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("string keys and plain decimals always serialise")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_print_their_exact_digits() {
        for (decimal, json) in [
            ("1000.00", "1000"),
            ("86.21", "86.21"),
            ("86.20", "86.2"),
            ("0.00", "0"),
            ("0.01", "0.01"),
            ("999999999999.99", "999999999999.99"),
            ("0.1", "0.1"),
        ] {
            assert_eq!(
                serde_json::to_string(&Number(decimal.parse().unwrap())).unwrap(),
                json
            );
        }
    }

    proptest! {
        #[test]
        fn a_printed_number_reads_back_unchanged(cents in 0i64..100_000_000_000_000) {
            let decimal = Decimal::new(cents, 2);
            let json = serde_json::to_string(&Number(decimal)).unwrap();
            prop_assert_eq!(json.parse::<Decimal>().unwrap(), decimal);
        }
    }
}
