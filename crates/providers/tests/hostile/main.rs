//! Bad input at scale, from request to event. `tests/corpus` comes first. `make fuzz CASES=1000000`
//! is the long form. The targets and their numbers are in `risiti-hostile`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod amounts;
mod bodies;
mod cost;
mod envelopes;
mod forms;
mod guarantees;
mod redaction;
mod schoolbook;
mod signatures;

use std::path::{Path, PathBuf};

use risiti_providers::{Account, BodyFormat, Channel};

/// The account that the fixtures belong to.
fn account() -> Account {
    Account {
        gumroad_seller_id: Some("kL0psVL2admJSYRNs-OCMg==".to_owned()),
        paystack_live: Some(true),
    }
}

fn package(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

/// The inputs of `tests/corpus`. The folder names the channel, and the ending `.form` marks forms.
fn corpus() -> Vec<(String, Channel, BodyFormat, Vec<u8>)> {
    let input = |(name, body): (String, Vec<u8>)| {
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
        .map(input)
        .collect()
}
