//! Known signatures of known bodies, under a made-up key of Paystack.

use std::path::Path;

use risiti_providers::paystack::verify;

const KEY: &[u8] = b"sk_test_0000000000000000000000000000000000000000";

const P1: &str = r#"{"event":"charge.success","data":{"id":302961,"reference":"ref_0001","amount":150000,"currency":"KES","status":"success"}}"#;
const P4: &str =
    r#"{"event":"charge.success","data":{"reference":"a/b","customer":{"first_name":"Zoë"}}}"#;

/// Three spellings of one JSON value, then two of another, each with its own signature. Only the
/// bytes count.
fn bodies() -> [(String, &'static str); 5] {
    let spaced = P1.replace(':', ": ").replace(',', ", ");
    let escaped = P4.replace('/', r"\/").replace('ë', r"\u00eb");
    [
        (
            P1.to_owned(),
            "403050d05b5db0dee0a8f5f958b5361d42a83274e1aa55ab1c279388934f941c562b1746d602e8e12144dbedb901b996b7d14d51bf4532e993b392f00177e9aa",
        ),
        (
            format!("{P1}\n"),
            "83c4d300accfa08dd8f5267367be4305b70f44a1f64c6adab49a84c7728b23c57e5750e75b7e092019cf29449ac109f687e57e1e3cb923d302f27cbefa6511dd",
        ),
        (
            spaced,
            "1ccfe74c882860887802c8e16afead40d2fa14aa2f46ac031e52ce70c15bf669be8a5255187b8ab15c6294526fe81f40b4d481400b42d9a26b26295ff2cc920e",
        ),
        (
            P4.to_owned(),
            "5f94400bb45e93fcdb89ddad8c7d9c3911169dfd693c5a621ba5c2fd5045ec042475d4fed6afa5240f98df92dd39f06bf4dd66f30ace38bb94cb2d03248b4a97",
        ),
        (
            escaped,
            "8eba978678972871974c61509d88beda6b06e8b788fa860a0ab55359144c57a24ba9b28423d14a3c468a1e59411a3201de1c305ebbd4af919cca726bece2b008",
        ),
    ]
}

/// File, length and signature of every fixture.
const FILES: [(&str, usize, &str); 12] = [
    (
        "charge.dispute.create.json",
        1295,
        "73dd0834329ea7544bad5c1b0be07b5633f0bfa46bd48b66bd78692853384aee9c14049fb236cf9ee8a16d59fd591f8a19556d62e6ca161bb5bf5bdf666407ab",
    ),
    (
        "charge.dispute.resolve.json",
        1312,
        "a3f5ba2983af524c701fe453c4a2935fde8cb5d2182c959f79db5f1450c812b5e1f94c4ca9b55e0764c9c2d69f63e22fcf4b4edd9d6d5ab7bb6bc6e0ac21e9fe",
    ),
    (
        "charge.failed.json",
        766,
        "65e851e858c05801ac38f911b3dbb3ac8dd0806972a1e1914f1f931a90544afa13f453aa27d3866de56c36841dea06beb41fb9499e10f9fac37e1bdd476da275",
    ),
    (
        "charge.success_kes_mobile_money.json",
        1239,
        "d21fea24486bf72a34edcfa0167ca2bb749a57c40b8b44703b738e06f3df6e0b06591b7dd803d941078160d1b5d874dae28562981cb6faf11a686a5bb0f93940",
    ),
    (
        "charge.success_ngn_card.json",
        1329,
        "93983917965595d8c407314c346c7413839e4f3ada925c01d605e8703da9fc52928fcede19b81b593bd08fb755b5836fde0832aab5dd65d6c5b250b34de46833",
    ),
    (
        "charge.success_utf8_metadata.json",
        918,
        "20b1dbe8f5324d0ccd4b9c82b23757bcf1d65bf29988b796d1f1ecc20810e7cc0df8d5704856002f81bd864a4521fcb2a483cd51347658acb43b273fce86a745",
    ),
    (
        "refund.failed.json",
        299,
        "c3267708b358368863357e87a22cfbd00ab4bf2b5a31934022ad5a80985281011af41d293c21959417bf25023d5d7da0969bb3baa22d677cf5c9c56e856e0604",
    ),
    (
        "refund.pending.json",
        288,
        "122f5cbca0f9553884c558678844820f56cbb4566a409759e6a38aecf6a75c6ac241a647a545c0e278cb0818047d85f22526e5bb25550d9cb22317ba72f10c4d",
    ),
    (
        "refund.processed.json",
        302,
        "2601949b38d72b1eb1ce64485cc2bd0c6e760470cf96b6f026b1a54c3808c631d5eeee69b1003e475a61d0e0be5930b133272a6faa1ce330242b18908c94ea10",
    ),
    (
        "transfer.failed.json",
        985,
        "3f41467d645251d1546199e401c1f6d55ed1db7c363047114528f18d5cff6044b82f9a28bf3adf95c85fbea17ab6b50d10d1fc00adf41728ccf1c9c601c321ad",
    ),
    (
        "transfer.reversed.json",
        989,
        "ef153537785e0724ddcbd03c11510ff33391e783805d91e623c7f5738e29ed3ca570d0b0a2dec09972eda53b0739eeaa751da3e2d8d533552d7ada3d75d89119",
    ),
    (
        "transfer.success.json",
        983,
        "40494cba258517e2aa9513782450ea82e392d491a28bf282ae60682c28b3a0a890b4f20beb62530bac4e4fd5639d34b291db116a9effbd100d7fc0a8ec1d8b1c",
    ),
];

#[test]
fn every_spelling_has_its_own_signature() {
    for (i, (body, _)) in bodies().iter().enumerate() {
        for (j, (_, signature)) in bodies().iter().enumerate() {
            assert_eq!(
                verify(body.as_bytes(), signature, KEY),
                i == j,
                "body P{} under P{}",
                i + 1,
                j + 1
            );
        }
    }
}

#[test]
fn every_fixture_verifies_and_no_altered_one_does() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/paystack");
    for (file, length, signature) in FILES {
        let mut body = std::fs::read(root.join(file)).unwrap();
        assert_eq!(body.len(), length, "{file}");
        assert!(verify(&body, signature, KEY), "{file}");
        body[length / 2] ^= 1;
        assert!(!verify(&body, signature, KEY), "{file}");
    }
}

#[test]
fn any_other_header_or_key_is_refused() {
    let [(body, signature), ..] = bodies();
    let verifies = |header: &str, key: &[u8]| verify(body.as_bytes(), header, key);
    assert!(verifies(signature, KEY));
    assert!(verifies(&signature.to_uppercase(), KEY));
    for header in [
        "",
        "0",
        &signature[..126],
        &format!("{signature}00"),
        &"0".repeat(128),
        &"é".repeat(64),
    ] {
        assert!(!verifies(header, KEY), "{header:?}");
    }
    assert!(!verifies(
        signature,
        b"sk_test_0000000000000000000000000000000000000001"
    ));
    assert!(!verifies(signature, b""));
}
