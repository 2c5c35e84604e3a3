//! Initialisation and code lists.

use risiti_domain::{Dialect, TaxType};
use risiti_etims::{CallError, Client, InitialiseError, Initialised};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::fake_host::{FakeHost, Reply};
use crate::fixture::{facts, profile, test_settings};

async fn host_answering(status: u16, body: Value) -> FakeHost {
    FakeHost::start(move |request| {
        let token = json!({"access_token": "t", "expires_in": 3599});
        let body = if request.method == "GET" {
            token
        } else {
            body.clone()
        }
        .to_string();
        async move { Reply::Answer(status, "", body) }
    })
    .await
}

#[tokio::test]
async fn the_key_is_returned_and_can_be_read_again() {
    for (dialect, path) in [
        (Dialect::Legacy, "/selectInitOsdcInfo"),
        (Dialect::Gateway, "/initialize"),
        (Dialect::Vscu, "/initializer/selectInitInfo"),
    ] {
        let server = host_answering(200, facts("01_init_response.json")).await;
        let device = profile(dialect, &format!("http://{}", server.address));
        let done = Client::new(test_settings())
            .unwrap()
            .initialise(&device)
            .await
            .unwrap();
        let again = Initialised::read(dialect, done.answer.expose_secret()).unwrap();
        for read in [done, again] {
            let key = read.cmc_key.as_ref().unwrap().expose_secret();
            assert_eq!(key, "0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123");
            assert!(!format!("{read:?}").contains(key));
            assert_eq!(read.sdc_id.as_deref(), Some("KRACU0100000001"));
            assert_eq!(read.mrc_no.as_deref(), Some("WIS00000001"));
            assert_eq!(read.taxpayer_name.as_deref(), Some("Baraka Mini Mart Ltd"));
        }
        let request = server.requests().pop().unwrap();
        assert_eq!(request.target, path);
        assert!(!request.headers.contains_key("cmckey"));
        assert_eq!(
            serde_json::from_slice::<Value>(&request.body).unwrap(),
            json!({"tin": "P000000001A", "bhfId": "00", "dvcSrlNo": "SERIAL-1"})
        );
    }
}

#[tokio::test]
async fn a_second_initialisation_returns_no_key() {
    let server = host_answering(
        200,
        facts("06_error_responses.json")["legacy_init_again"]["body"].clone(),
    )
    .await;
    let device = profile(Dialect::Legacy, &format!("http://{}", server.address));
    let error = Client::new(test_settings())
        .unwrap()
        .initialise(&device)
        .await
        .unwrap_err();
    assert!(
        matches!(error, InitialiseError::AlreadyInstalled(_)),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_initialisation_without_a_key_is_no_success() {
    let server = host_answering(
        200,
        json!({"resultCd": "000", "data": {"info": {"sdcId": "KRACU1"}}}),
    )
    .await;
    let device = profile(Dialect::Legacy, &format!("http://{}", server.address));
    let error = Client::new(test_settings())
        .unwrap()
        .initialise(&device)
        .await
        .unwrap_err();
    assert!(
        matches!(error, InitialiseError::Call(CallError::NoAnswer(_))),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_refusal_names_its_cause() {
    let server = host_answering(
        200,
        json!({"resultCd": "910", "resultMsg": "dvcSrlNo : may not be empty"}),
    )
    .await;
    let device = profile(Dialect::Legacy, &format!("http://{}", server.address));
    let error = Client::new(test_settings())
        .unwrap()
        .initialise(&device)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "refused: 910 dvcSrlNo : may not be empty"
    );
}

#[tokio::test]
async fn code_lists_hold_the_tax_rates() {
    let rates: Vec<_> = [("A", "0"), ("B", "16"), ("C", "0"), ("D", ""), ("E", "8")]
        .iter()
        .map(|(code, rate)| json!({"cd": code, "cdNm": format!("{code}-{rate}%"), "userDfnCd1": rate}))
        .collect();
    for (last, expected) in [("0", Some(8)), ("", None)] {
        let mut rates = rates.clone();
        rates[3]["userDfnCd1"] = json!(last);
        let lists = json!({"resultCd": "000", "data": {"clsList": [
            {"cdCls": "04", "cdClsNm": "Taxation Type", "dtlList": rates},
            {"cdCls": "07", "cdClsNm": "Payment", "dtlList": [{"cd": "06", "cdNm": "MOBILE MONEY"}]},
        ]}});
        let server = host_answering(200, lists).await;
        let device = profile(Dialect::Legacy, &format!("http://{}", server.address));
        let list = Client::new(test_settings())
            .unwrap()
            .code_list(&device)
            .await
            .unwrap();
        assert_eq!(list.classes[1].values[0].code, "06");
        assert_eq!(
            list.tax_rates().map(|rates| rates.rate(TaxType::E)),
            expected.map(Into::into)
        );
    }
}

#[tokio::test]
async fn an_empty_code_list_is_no_error() {
    let server = host_answering(
        200,
        facts("07_invoice_details_probe.json")["not_found_gateway"]["body"].clone(),
    )
    .await;
    let device = profile(Dialect::Gateway, &format!("http://{}", server.address));
    let list = Client::new(test_settings())
        .unwrap()
        .code_list(&device)
        .await
        .unwrap();
    assert!(list.classes.is_empty());
}

#[tokio::test]
async fn the_token_check_passes_where_none_is_needed() {
    let client = Client::new(test_settings()).unwrap();
    let nowhere = profile(Dialect::Legacy, "http://127.0.0.1:9");
    client.check_token(&nowhere).await.unwrap();
    let server = host_answering(200, json!({})).await;
    client
        .check_token(&profile(
            Dialect::Gateway,
            &format!("http://{}", server.address),
        ))
        .await
        .unwrap();
}
