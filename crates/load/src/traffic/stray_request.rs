//! Stray requests belong to no payment. They are forged, unreadable or misdirected, and each has
//! one right answer.

use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::message::{FORM, JSON, Provider, Request};
use super::paystack;
use crate::draw::Draw;
use crate::fleet::{Fleet, Merchant};

/// What must be true of one stray request.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Stray {
    /// Stray requests are numbered after the payments of the storm.
    #[serde(rename = "story")]
    pub(crate) number: u64,
    pub(crate) merchant: String,
    pub(crate) provider: Provider,
    pub(crate) what: String,
    /// The right answer.
    pub(crate) status: u16,
    /// An authentic but unreadable request is refused, and kept as one dead letter however often
    /// it comes.
    pub(crate) kept: bool,
}

pub(crate) struct StrayRequest {
    pub(crate) stray: Stray,
    pub(crate) method: Method,
    pub(crate) request: Request,
    pub(crate) copies: u32,
}

/// Length of the padding that makes a body larger than any webhook may be.
const PADDING: usize = 300 * 1024;

/// The parts of a stray request, before they are assembled.
struct Draft<'a> {
    what: &'static str,
    status: u16,
    merchant: &'a Merchant,
    provider: Provider,
    path: String,
    content_type: &'static str,
    signature: Option<String>,
    body: String,
}

/// Makes the same request for the same seed and number.
pub(crate) fn stray_request(fleet: &Fleet, seed: u64, number: u64) -> StrayRequest {
    let mut draw = Draw::new(seed, number);
    let draft = match draw.below(12) {
        0..=3 => forged(&mut draw, fleet, number),
        4..=7 => unreadable(&mut draw, fleet, number),
        _ => misdirected(&mut draw, fleet, number),
    };
    let kept = draft.status == 422;
    StrayRequest {
        stray: Stray {
            number,
            merchant: draft.merchant.slug.clone(),
            provider: draft.provider,
            what: draft.what.to_owned(),
            status: draft.status,
            kept,
        },
        method: if draft.status == 405 {
            Method::GET
        } else {
            Method::POST
        },
        request: Request {
            path: draft.path,
            content_type: draft.content_type,
            signature: draft.signature,
            body: draft.body.into_bytes(),
        },
        copies: if kept { draw.copies() } else { 1 },
    }
}

fn merchant_with_paystack<'a>(draw: &mut Draw, fleet: &'a Fleet) -> &'a Merchant {
    loop {
        let merchant = draw.choose(&fleet.merchants);
        if !merchant.paystack_keys.is_empty() {
            return merchant;
        }
    }
}

fn stk(checkout_id: &str, receipt: &str) -> String {
    format!(
        r#"{{"Body":{{"stkCallback":{{"MerchantRequestID":"1-1-1","CheckoutRequestID":"{checkout_id}","ResultCode":0,"ResultDesc":"ok","CallbackMetadata":{{"Item":[{{"Name":"Amount","Value":70000}},{{"Name":"MpesaReceiptNumber","Value":"{receipt}"}}]}}}}}}}}"#
    )
}

/// A request whose sender does not know the merchant's secret.
fn forged<'a>(draw: &mut Draw, fleet: &'a Fleet, number: u64) -> Draft<'a> {
    let merchant = merchant_with_paystack(draw, fleet);
    let body = format!(
        r#"{{"event":"charge.success","data":{{"id":{number},"domain":"live","status":"success","reference":"forged-{number}","amount":7000000,"currency":"KES"}}}}"#
    );
    let (what, signature) = match draw.below(4) {
        0 => (
            "a Paystack event signed with another key",
            Some(paystack::sign("sk_live_guessed", body.as_bytes())),
        ),
        1 => ("a Paystack event without a signature", None),
        2 => ("a Paystack event changed after it was signed", {
            let signed = body.replace("7000000", "70000");
            Some(paystack::sign(
                &merchant.paystack_keys[0],
                signed.as_bytes(),
            ))
        }),
        _ => {
            return Draft {
                what: "an M-Pesa callback to a guessed address",
                status: 404,
                merchant,
                provider: Provider::Daraja,
                path: format!("webhooks/daraja/{}/stk", draw.hex(40)),
                content_type: JSON,
                signature: None,
                body: stk(
                    &format!("ws_CO_forged_{number}"),
                    &format!("FORGED{number:04}"),
                ),
            };
        }
    };
    let path = paystack::path(merchant);
    Draft {
        what,
        status: 401,
        merchant,
        provider: Provider::Paystack,
        path,
        content_type: "application/json",
        signature,
        body,
    }
}

/// A request that is authentic, but has no shape that the gateway documents.
fn unreadable<'a>(draw: &mut Draw, fleet: &'a Fleet, number: u64) -> Draft<'a> {
    let merchant = draw.choose(&fleet.merchants);
    let (what, route, body) = match draw.below(5) {
        0 => (
            "an M-Pesa callback that breaks off",
            "stk",
            format!(r#"{{"Body":{{"stkCallback":{{"MerchantRequestID":"cut-{number}","Che"#),
        ),
        1 => (
            "an M-Pesa callback full of nulls",
            "stk",
            format!(
                r#"{{"Body":{{"stkCallback":{{"MerchantRequestID":null,"CheckoutRequestID":null,"ResultCode":null,"ResultDesc":"{number}"}}}}}}"#
            ),
        ),
        2 => (
            "a confirmation with a comma in its amount",
            "c2b/confirmation",
            format!(
                r#"{{"TransactionType":"Pay Bill","TransID":"COMMA{number}","TransTime":"20261123101010","TransAmount":"1,000.00","BusinessShortCode":"600000"}}"#
            ),
        ),
        3 => (
            "a confirmation with a NUL in its receipt",
            "c2b/confirmation",
            format!(
                r#"{{"TransID":"NUL\u0000{number}","TransTime":"20261123101010","TransAmount":"10","BusinessShortCode":"600000"}}"#
            ),
        ),
        _ => (
            "something that is not JSON",
            "result",
            format!("<html>{number}</html>"),
        ),
    };
    Draft {
        what,
        status: 422,
        merchant,
        provider: Provider::Daraja,
        path: format!("webhooks/daraja/{}/{route}", merchant.webhook_secret),
        content_type: JSON,
        signature: None,
        body,
    }
}

/// A request with the wrong address, method, type or size.
fn misdirected<'a>(draw: &mut Draw, fleet: &'a Fleet, number: u64) -> Draft<'a> {
    let merchant = draw.choose(&fleet.merchants);
    let body = stk(&format!("ws_CO_lost_{number}"), &format!("LOST{number:06}"));
    let stk_path = format!("webhooks/daraja/{}/stk", merchant.webhook_secret);
    let (what, status, path, content_type, body) = match draw.below(5) {
        0 => {
            let merchant = merchant_with_paystack(draw, fleet);
            return Draft {
                what: "a Paystack event that calls itself plain text",
                status: 401,
                merchant,
                provider: Provider::Paystack,
                path: paystack::path(merchant),
                content_type: "text/plain",
                signature: None,
                body,
            };
        }
        1 => (
            "a callback of 300 KiB",
            413,
            stk_path,
            JSON,
            format!("{body}{}", " ".repeat(PADDING)),
        ),
        2 => (
            "a GET request, as of a browser",
            405,
            stk_path,
            JSON,
            String::new(),
        ),
        3 => (
            "a Paystack event for an unknown merchant",
            401,
            "webhooks/paystack/nobody".to_owned(),
            JSON,
            body,
        ),
        _ => {
            let other = fleet
                .merchants
                .iter()
                .find(|merchant| merchant.gumroad_seller.is_none());
            let secret = other.map_or("0", |merchant| merchant.webhook_secret.as_str());
            let path = format!("webhooks/gumroad/{secret}");
            (
                "a ping for a merchant without Gumroad",
                404,
                path,
                FORM,
                "resource_name=sale&sale_id=lost".to_owned(),
            )
        }
    };
    Draft {
        what,
        status,
        merchant,
        provider: Provider::Daraja,
        path,
        content_type,
        signature: None,
        body,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::fleet::tests::sample;

    #[test]
    fn every_refusal_occurs() {
        let fleet = sample();
        let requests: Vec<StrayRequest> = (0..1000)
            .map(|number| stray_request(&fleet, 1, number))
            .collect();
        let statuses: BTreeSet<u16> = requests
            .iter()
            .map(|request| request.stray.status)
            .collect();
        assert_eq!(
            statuses.into_iter().collect::<Vec<_>>(),
            [401, 404, 405, 413, 422]
        );
        assert!(
            requests
                .iter()
                .all(|request| request.stray.kept == (request.stray.status == 422))
        );
    }

    #[test]
    fn unreadable_bodies_are_unique() {
        let fleet = sample();
        let mut seen = BTreeSet::new();
        for number in 0..500 {
            let StrayRequest { stray, request, .. } = stray_request(&fleet, 1, number);
            assert!(!stray.kept || seen.insert(request.body));
        }
    }
}
