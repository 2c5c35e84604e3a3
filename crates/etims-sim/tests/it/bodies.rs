//! Right requests of the calls beside sales, as KRA's tables have them.

use serde_json::{Value, json};

use crate::fixture::{PIN, Sim, with_changes};

/// An item class of KRA's sandbox.
pub(crate) const CLASS: &str = "1010150100";
/// The first item of a PIN, which is goods.
pub(crate) const GOODS: &str = "KE2NTNO0000001";

/// The body of a look-up that asks for everything.
pub(crate) fn look_up() -> Value {
    json!({"tin": PIN, "bhfId": "00", "lastReqDt": "20200101000000"})
}

/// Adds the users who every write names.
fn with_users(mut body: Value) -> Value {
    for (name, user) in [("regrId", "till-1"), ("regrNm", "Till One")] {
        body[name] = json!(user);
        body[name.replace("regr", "modr")] = json!(user);
    }
    body
}

/// Goods of tax type B in numbers, under this code.
pub(crate) fn item(code: &str) -> Value {
    with_users(json!({
        "itemCd": code,
        "itemClsCd": CLASS,
        "itemTyCd": code.get(2..3).unwrap_or("2"),
        "itemNm": "Regulator",
        "itemStdNm": null,
        "orgnNatCd": "KE",
        "pkgUnitCd": "NT",
        "qtyUnitCd": "NO",
        "taxTyCd": "B",
        "btchNo": null,
        "bcd": null,
        "dftPrc": 116,
        "grpPrcL1": null,
        "addInfo": null,
        "sftyQty": null,
        "isrcAplcbYn": "N",
        "useYn": "Y",
    }))
}

/// A line of goods of tax type B at 116 shillings each.
fn goods_line(code: &str, quantity: u32) -> Value {
    json!({
        "itemSeq": 1,
        "itemCd": code,
        "itemClsCd": CLASS,
        "itemNm": "Regulator",
        "bcd": null,
        "pkgUnitCd": "NT",
        "pkg": quantity,
        "qtyUnitCd": "NO",
        "qty": quantity,
        "itemExprDt": null,
        "prc": 116,
        "splyAmt": 116 * quantity,
        "totDcAmt": 0,
        "taxblAmt": 100 * quantity,
        "taxTyCd": "B",
        "taxAmt": 16 * quantity,
        "totAmt": 116 * quantity,
    })
}

/// A movement of goods, e.g. of kind 02, which is a purchase, or 11, which is a sale.
pub(crate) fn movement(number: u32, kind: &str, code: &str, quantity: u32) -> Value {
    with_users(json!({
        "sarNo": number,
        "orgSarNo": 0,
        "regTyCd": "M",
        "custTin": null,
        "custNm": null,
        "custBhfId": null,
        "sarTyCd": kind,
        "ocrnDt": "20260305",
        "totItemCnt": 1,
        "totTaxblAmt": 100 * quantity,
        "totTaxAmt": 16 * quantity,
        "totAmt": 116 * quantity,
        "remark": null,
        "itemList": [goods_line(code, quantity)],
    }))
}

pub(crate) fn level(code: &str, quantity: u32) -> Value {
    with_users(json!({"itemCd": code, "rsdQty": quantity}))
}

pub(crate) fn customer() -> Value {
    with_users(json!({
        "custNo": "C0001",
        "custTin": "A012345678Y",
        "custNm": "Wanjiru Kamau",
        "adrs": null,
        "telNo": "0700000001",
        "email": null,
        "faxNo": null,
        "useYn": "Y",
        "remark": null,
    }))
}

pub(crate) fn user() -> Value {
    with_users(json!({
        "userId": "cashier-1",
        "userNm": "Cashier One",
        "pwd": "random-and-thrown-away",
        "adrs": null,
        "cntc": null,
        "authCd": null,
        "remark": null,
        "useYn": "Y",
    }))
}

pub(crate) fn insurance() -> Value {
    with_users(json!({
        "isrccCd": "INS1",
        "isrccNm": "Afya Cover",
        "isrcRt": 10,
        "useYn": "Y",
    }))
}

pub(crate) fn composition(made: &str, part: &str, quantity: u32) -> Value {
    with_users(json!({"itemCd": made, "cpstItemCd": part, "cpstQty": quantity}))
}

/// The approval of an imported item as the list has it.
pub(crate) fn import_update(listed: &Value, code: &str) -> Value {
    with_users(json!({
        "taskCd": listed["taskCd"],
        "dclDe": listed["dclDe"],
        "itemSeq": listed["itemSeq"],
        "hsCd": listed["hsCd"],
        "itemClsCd": CLASS,
        "itemCd": code,
        "imptItemSttsCd": "3",
        "remark": "counted and put on the shelf",
    }))
}

/// The purchase of one line of type B of a listed sale of 1,160 shillings, as this item.
pub(crate) fn purchase(number: u32, listed: &Value, code: &str) -> Value {
    let mut body = with_users(json!({
        "invcNo": number,
        "orgInvcNo": 0,
        "spplrTin": listed["spplrTin"],
        "spplrBhfId": listed["spplrBhfId"],
        "spplrNm": listed["spplrNm"],
        "spplrInvcNo": listed["spplrInvcNo"],
        "regTyCd": "M",
        "pchsTyCd": "N",
        "rcptTyCd": "P",
        "pmtTyCd": "01",
        "pchsSttsCd": "02",
        "cfmDt": "20260305141500",
        "pchsDt": "20260305",
        "wrhsDt": null,
        "cnclReqDt": null,
        "cnclDt": null,
        "rfdDt": null,
        "totItemCnt": 1,
        "totTaxblAmt": 1000,
        "totTaxAmt": 160,
        "totAmt": 1160,
        "remark": null,
    }));
    for (tax_type, rate) in [("A", 0), ("B", 16), ("C", 0), ("D", 0), ("E", 8)] {
        body[format!("taxblAmt{tax_type}")] = json!(if tax_type == "B" { 1000 } else { 0 });
        body[format!("taxRt{tax_type}")] = json!(rate);
        body[format!("taxAmt{tax_type}")] = json!(if tax_type == "B" { 160 } else { 0 });
    }
    body["itemList"] = json!([{
        "itemSeq": 1,
        "itemCd": code,
        "itemClsCd": CLASS,
        "itemNm": "Regulator",
        "bcd": null,
        "spplrItemClsCd": null,
        "spplrItemCd": null,
        "spplrItemNm": null,
        "pkgUnitCd": "NT",
        "pkg": 1,
        "qtyUnitCd": "NO",
        "qty": 10,
        "prc": 116,
        "splyAmt": 1160,
        "dcRt": 0,
        "dcAmt": 0,
        "taxblAmt": 1000,
        "taxTyCd": "B",
        "taxAmt": 160,
        "totAmt": 1160,
        "itemExprDt": null,
    }]);
    body
}

impl Sim {
    /// Sends a body that must be taken.
    pub(crate) async fn keep(&self, path: &str, body: &Value) {
        let answer = self.post(path, body).await;
        assert_eq!(answer.code(), "000", "{path}: {answer:?}");
    }

    /// Sends a body with changes that the gateway must refuse with a text that contains `text`.
    pub(crate) async fn refuse(
        &self,
        path: &str,
        body: &Value,
        changes: &[(&str, Value)],
        text: &str,
    ) {
        let answer = self.post(path, &with_changes(body.clone(), changes)).await;
        assert_eq!(answer.body["responseBody"], Value::Null, "{answer:?}");
        assert!(
            answer.text().contains(text),
            "{path}, {changes:?}: {:?} lacks {text:?}",
            answer.text()
        );
    }

    /// The rows of a list.
    pub(crate) async fn list(&self, path: &str, name: &str) -> Vec<Value> {
        let answer = self.post(path, &look_up()).await;
        answer.data()[name].as_array().cloned().unwrap_or_default()
    }

    /// What the simulator keeps for the device of branch 00, beside sales.
    pub(crate) async fn records(&self) -> Value {
        let records = self.get("/_sim/records").await;
        records["devices"][0].clone()
    }
}
