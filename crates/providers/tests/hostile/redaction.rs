//! Queue time-out echoes with credentials in any place.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use risiti_hostile::{Json, config, damage};
use risiti_providers::{BodyFormat, Channel, redact};

use crate::guarantees::check;
use crate::package;

const PLANTED: &str = "s3cr3t-pl4nt";

/// An echo without credentials that is damaged and then given a credential at one place.
fn echo_with_a_credential() -> impl Strategy<Value = Json> {
    let text = std::fs::read_to_string(package("fixtures/daraja/queue_timeout_echo.json")).unwrap();
    let Json::Members(members) = Json::read(&text) else {
        panic!("the fixture is an object")
    };
    let bare = members
        .into_iter()
        .filter(|(name, _)| !name.contains("Initiator") && !name.contains("Credential"));
    let name = select(vec![
        "\"InitiatorName\"",
        "\"SecurityCredential\"",
        "\"INITIATORNAME\"",
        "\"securitycredential\"",
        "\" InitiatorName \"",
        "\"\\u0049nitiatorName\"",
        "\"Security\\u0043redential\"",
    ]);
    let value = select(vec![
        format!("\"{PLANTED}\""),
        format!("[\"{PLANTED}\"]"),
        format!("{{\"x\":\"{PLANTED}\"}}"),
        format!("\"\\\"{PLANTED}\""),
        format!("[[{{\"InitiatorName\":\"{PLANTED}\"}}]]"),
    ]);
    (
        damage(Json::Members(bare.collect())),
        name,
        value,
        any::<Index>(),
        any::<Index>(),
    )
        .prop_map(|(mut body, name, value, place, at)| {
            let member = (name.to_owned(), Json::Leaf(value));
            let place = place.index(body.size());
            match body.at(place) {
                Some(Json::Members(members)) => members.insert(at.index(members.len() + 1), member),
                _ => body = Json::Members(vec![member, ("\"x\"".to_owned(), body)]),
            }
            body
        })
}

proptest! {
    #![proptest_config(config("redaction"))]

    #[test]
    fn credentials_are_never_kept(body in echo_with_a_credential()) {
        let body = body.to_string();
        let kept = redact(Channel::DarajaTimeout, body.as_bytes());
        prop_assert!(!String::from_utf8_lossy(&kept).contains(PLANTED));
        check(Channel::DarajaTimeout, BodyFormat::Json, body.as_bytes()).map(drop)?;
    }
}
