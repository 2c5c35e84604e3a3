//! Requests that are nobody's payment: forged, malformed, lost. Each has one right answer.

use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::draw::Draw;
use crate::fleet::{Fleet, Merchant};
use crate::message::{FORM, JSON, Provider, Request};
use crate::paystack;

/// Of one such request, what must be true.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Stray {
    /// Numbered after the stories of the storm.
    pub(crate) story: u64,
    pub(crate) merchant: String,
    pub(crate) provider: Provider,
    pub(crate) what: String,
    pub(crate) status: u16,
    /// Authentic yet unreadable: refused, and kept as one dead letter however often it comes.
    pub(crate) kept: bool,
}

pub(crate) struct Noise {
    pub(crate) stray: Stray,
    pub(crate) method: Method,
    pub(crate) request: Request,
    pub(crate) copies: u32,
}

/// Larger than any webhook may be.
const TOO_LARGE: usize = 300 * 1024;

struct Sketch<'a> {
    what: &'static str,
    status: u16,
    merchant: &'a Merchant,
    provider: Provider,
    path: String,
    content_type: &'static str,
    signature: Option<String>,
    body: String,
}

/// The noise of that number.
pub(crate) fn noise(fleet: &Fleet, seed: u64, number: u64) -> Noise {
    let mut draw = Draw::new(seed, number);
    let sketch = match draw.below(12) {
        0..=3 => forged(&mut draw, fleet, number),
        4..=7 => unreadable(&mut draw, fleet, number),
        _ => misdirected(&mut draw, fleet, number),
    };
    let kept = sketch.status == 422;
    Noise {
        stray: Stray {
            story: number,
            merchant: sketch.merchant.slug.clone(),
            provider: sketch.provider,
            what: sketch.what.to_owned(),
            status: sketch.status,
            kept,
        },
        method: if sketch.status == 405 {
            Method::GET
        } else {
            Method::POST
        },
        request: Request {
            path: sketch.path,
            content_type: sketch.content_type,
            signature: sketch.signature,
            body: sketch.body.into_bytes(),
        },
        copies: if kept { draw.copies() } else { 1 },
    }
}

fn with_paystack<'a>(draw: &mut Draw, fleet: &'a Fleet) -> &'a Merchant {
    loop {
        let merchant = draw.one(&fleet.merchants);
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

/// Whoever sends these does not know the merchant's secret.
fn forged<'a>(draw: &mut Draw, fleet: &'a Fleet, number: u64) -> Sketch<'a> {
    let merchant = with_paystack(draw, fleet);
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
            let honest = body.replace("7000000", "70000");
            Some(paystack::sign(
                &merchant.paystack_keys[0],
                honest.as_bytes(),
            ))
        }),
        _ => {
            return Sketch {
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
    Sketch {
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

/// From the gateway, by all that can be told, and not in a shape it documents.
fn unreadable<'a>(draw: &mut Draw, fleet: &'a Fleet, number: u64) -> Sketch<'a> {
    let merchant = draw.one(&fleet.merchants);
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
    Sketch {
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

/// To the wrong door, or too large for it.
fn misdirected<'a>(draw: &mut Draw, fleet: &'a Fleet, number: u64) -> Sketch<'a> {
    let merchant = draw.one(&fleet.merchants);
    let body = stk(&format!("ws_CO_lost_{number}"), &format!("LOST{number:06}"));
    let door = format!("webhooks/daraja/{}/stk", merchant.webhook_secret);
    let (what, status, path, content_type, body) = match draw.below(5) {
        0 => (
            "a callback that calls itself plain text",
            415,
            door,
            "text/plain",
            body,
        ),
        1 => (
            "a callback of 300 KiB",
            413,
            door,
            JSON,
            format!("{body}{}", " ".repeat(TOO_LARGE)),
        ),
        2 => ("somebody's browser", 405, door, JSON, String::new()),
        3 => (
            "a Paystack event for a merchant nobody knows",
            404,
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
    Sketch {
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
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_refusal_is_asked_for() {
        let fleet = crate::fleet::tests::sample();
        let noises: Vec<Noise> = (0..1000).map(|number| noise(&fleet, 1, number)).collect();
        let statuses: BTreeSet<u16> = noises.iter().map(|noise| noise.stray.status).collect();
        assert_eq!(
            statuses.into_iter().collect::<Vec<_>>(),
            [401, 404, 405, 413, 415, 422]
        );
        assert!(
            noises
                .iter()
                .all(|noise| noise.stray.kept == (noise.stray.status == 422))
        );
    }

    #[test]
    fn no_two_unreadable_bodies_are_alike() {
        let fleet = crate::fleet::tests::sample();
        let mut seen = BTreeSet::new();
        for number in 0..500 {
            let noise = noise(&fleet, 1, number);
            assert!(!noise.stray.kept || seen.insert(noise.request.body));
        }
    }
}
