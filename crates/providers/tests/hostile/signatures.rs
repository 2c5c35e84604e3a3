//! Paystack's signature fits only one body under one key.

use hmac::{Hmac, Mac as _};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use risiti_hostile::{Body, any_bytes, config, damage_bytes};
use risiti_providers::paystack::verify;
use sha2::Sha512;

use crate::package;

fn signed(body: &[u8], key: &[u8]) -> String {
    let mut mac = Hmac::<Sha512>::new_from_slice(key).unwrap();
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

fn bodies() -> impl Strategy<Value = (Body, Body)> {
    let files = risiti_hostile::corpus(&package("fixtures/paystack"));
    let files: Vec<Body> = files.into_iter().map(|(_, body)| Body(body)).collect();
    prop_oneof![select(files), any_bytes(200)]
        .prop_flat_map(|body| (Just(body.clone()), damage_bytes(body.0)))
}

proptest! {
    #![proptest_config(config("signature"))]

    #[test]
    fn signature_fits_only_its_own_body_and_key(
        (Body(body), Body(other)) in bodies(),
        // To HMAC a key and the same key with NULs behind it are equal, so the keys here hold none.
        key in "sk_(live|test)_[0-9a-f]{8,40}",
        other_key in "sk_(live|test)_[0-9a-f]{8,40}",
        at in any::<Index>(),
        header in ".{0,140}",
    ) {
        let signature = signed(&body, key.as_bytes());
        prop_assert!(verify(&body, &signature, key.as_bytes()));
        let spelled = format!(" {} ", signature.to_uppercase());
        prop_assert!(verify(&body, &spelled, key.as_bytes()));
        prop_assert_eq!(verify(&other, &signature, key.as_bytes()), other == body);
        prop_assert_eq!(verify(&body, &signature, other_key.as_bytes()), other_key == key);
        prop_assert!(!verify(&body, &signature, b""));
        prop_assert!(!verify(&body, &header, key.as_bytes()));
        let at = at.index(signature.len());
        let mut wrong = signature.clone().into_bytes();
        wrong[at] = if wrong[at] == b'0' { b'1' } else { b'0' };
        prop_assert!(!verify(&body, std::str::from_utf8(&wrong).unwrap(), key.as_bytes()));
        prop_assert!(!verify(&body, &signature[..at], key.as_bytes()));
    }
}
