use serde_json::json;

use super::*;
use crate::fleet::tests::sample;

fn filed(number: i64, kind: &str, remark: &str) -> Filed {
    serde_json::from_value(json!({
        "tin": "P051000001X", "bhfId": "00", "invcNo": number, "orgInvcNo": null, "rcptTyCd": kind,
        "remark": remark, "trdInvcNo": "UIS1", "totAmt": "10", "curRcptNo": number.to_string(),
        "rcptSign": "SIGN", "intrlData": "DATA",
    }))
    .unwrap()
}

fn invoice(state: &str, filed: Option<&Filed>) -> Invoice {
    Invoice {
        invoice_id: "i".to_owned(),
        device_id: "duka-00".to_owned(),
        is_sale: true,
        state: state.to_owned(),
        invoice_no: filed.map(|filed| filed.number),
        reason: None,
        receipt_no: filed.map(|filed| filed.receipt_no.clone()),
        receipt_signature: filed.map(|filed| filed.signature.clone()),
        internal_data: filed.map(|filed| filed.internal_data.clone()),
    }
}

/// What the audit finds wrong with an invoice, given what the authority accepted.
fn wrongs(invoice: Invoice, filed: &[Filed]) -> Vec<String> {
    let fleet = sample();
    let mut breaches = Breaches::default();
    check_invoice(
        &invoice,
        Law::OneReceipt,
        &AuthorityRecords::new(&fleet, filed),
        &mut breaches,
    );
    breaches.0.into_iter().map(|breach| breach.what).collect()
}

#[test]
fn invoice_is_filed_or_given_up_for_a_reason() {
    let sale = filed(1, "S", "i");
    assert!(wrongs(invoice("success", Some(&sale)), std::slice::from_ref(&sale)).is_empty());
    let refused = Invoice {
        reason: Some("910".to_owned()),
        ..invoice("dead", None)
    };
    assert!(wrongs(refused.clone(), &[]).is_empty());
    assert_eq!(
        wrongs(refused, std::slice::from_ref(&sale)),
        ["is dead, and the tax authority has it"]
    );
    assert_eq!(
        wrongs(invoice("dead", None), &[]),
        ["is dead without a reason"]
    );
    assert_eq!(wrongs(invoice("pending", None), &[]), ["is still pending"]);
    assert_eq!(
        wrongs(invoice("submitting", None), std::slice::from_ref(&sale)),
        ["is still submitting"]
    );
    let unknown = wrongs(invoice("success", Some(&sale)), &[]);
    assert_eq!(
        unknown,
        ["has a receipt that the tax authority does not know"]
    );
    let other = Invoice {
        receipt_no: Some("2".to_owned()),
        ..invoice("success", Some(&sale))
    };
    assert_eq!(
        wrongs(other, &[sale]),
        ["has other numbers than the tax authority (1 on P051000001X/00)"]
    );
}
