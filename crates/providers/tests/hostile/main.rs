//! From request to event, under bad input at scale: `make fuzz CASES=1000000` is the long form, and
//! `tests/corpus` comes first. Targets and their numbers are in `risiti-hostile`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod amounts;
mod bodies;
mod envelopes;
mod forms;
mod promises;
mod redaction;
mod schoolbook;
mod signatures;
mod work;

use std::path::{Path, PathBuf};

use risiti_providers::{Account, BodyFormat, Channel};

/// The account whose pings the fixtures are.
fn account() -> Account {
    Account {
        gumroad_seller_id: Some("kL0psVL2admJSYRNs-OCMg==".to_owned()),
        paystack_live: Some(true),
    }
}

fn package(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

/// `tests/corpus/CHANNEL/…`: the channel by the folder's name, forms by the ending `.form`.
fn hand_made() -> Vec<(String, Channel, BodyFormat, Vec<u8>)> {
    let of = |(name, body): (String, Vec<u8>)| {
        let path = Path::new(&name);
        let channel = path
            .parent()
            .unwrap()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        let is_form = path.extension().is_some_and(|ending| ending == "form");
        (
            name,
            channel,
            if is_form {
                BodyFormat::Form
            } else {
                BodyFormat::Json
            },
            body,
        )
    };
    risiti_hostile::corpus(&package("tests/corpus"))
        .into_iter()
        .map(of)
        .collect()
}
