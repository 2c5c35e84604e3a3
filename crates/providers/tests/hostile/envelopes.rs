//! Message headers as anybody with access to the broker could set them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;
use risiti_hostile::config;
use risiti_providers::{Envelope, EnvelopeError};

const NAMES: &[&str] = &[
    "risiti-event-id",
    "risiti-merchant-id",
    "risiti-channel",
    "risiti-format",
    "risiti-kind",
    "risiti-delivery-key",
    "risiti-authenticated-by",
    "risiti-received-at",
    "traceparent",
    "risiti-gumroad-seller-id",
    "risiti-paystack-live",
    "risiti-unreadable-field",
    "risiti-unreadable-problem",
    "risiti-dead-letter-id",
    "",
    "Risiti-Channel",
];

const VALUES: &[&str] = &[
    "01890a5d-ac96-774b-bcce-b302099a8057",
    "01890a5dac96774bbcceb302099a8057",
    "{01890a5d-ac96-774b-bcce-b302099a8057}",
    "00000000-0000-0000-0000-000000000000",
    "daraja_stk",
    "paystack",
    "gumroad",
    "json",
    "form",
    "path",
    "signature",
    "true",
    "false",
    "2026-09-28T07:15:31.123456789Z",
    "-009999-01-02T00:00:00Z",
    "9999-12-30T00:00:00Z",
    "2026-09-28T07:15:60Z",
    "hush4f",
    "254708374149",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "",
    " ",
    "\0",
];

fn valid_headers() -> BTreeMap<String, String> {
    let pairs = [(0, 0), (1, 0), (2, 4), (3, 7), (6, 9), (7, 13)];
    pairs
        .iter()
        .map(|(name, value)| (NAMES[*name].to_owned(), VALUES[*value].to_owned()))
        .collect()
}

proptest! {
    #![proptest_config(config("envelope"))]

    #[test]
    fn any_headers_are_read_or_named_as_wrong(changes in proptest::collection::vec(
        (select(NAMES), prop_oneof![select(VALUES).prop_map(str::to_owned), ".{0,40}"], any::<bool>()), 0..6)
    ) {
        let mut headers = valid_headers();
        prop_assert!(Envelope::from_headers(&headers).is_ok());
        for (name, value, remove) in changes {
            if remove {
                headers.remove(name);
            } else {
                headers.insert(name.to_owned(), value);
            }
        }
        match Envelope::from_headers(&headers) {
            Ok(envelope) => {
                let written = envelope.to_headers();
                prop_assert!(Envelope::from_headers(&written) == Ok(envelope.clone()));
                prop_assert!(written.keys().all(|name| headers.contains_key(name)));
            }
            Err(EnvelopeError::Missing(name)) => prop_assert!(!headers.contains_key(name)),
            Err(EnvelopeError::Invalid(name)) => prop_assert!(headers.contains_key(name)),
        }
    }
}
