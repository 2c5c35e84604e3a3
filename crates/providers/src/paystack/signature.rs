//! Paystack's signature over the raw body.

use hmac::{Hmac, Mac};
use sha2::Sha512;

/// Whether `signature_header` (128 hex digits) is the HMAC-SHA512 of exactly these bytes under the
/// API secret key. The comparison takes constant time. An empty key verifies nothing.
pub fn verify(body: &[u8], signature_header: &str, secret_key: &[u8]) -> bool {
    let mut signature = [0u8; 64];
    if secret_key.is_empty()
        || hex::decode_to_slice(signature_header.trim(), &mut signature).is_err()
    {
        return false;
    }

    let mut mac =
        Hmac::<Sha512>::new_from_slice(secret_key).expect("HMAC takes a key of any length");
    mac.update(body);
    mac.verify_slice(&signature).is_ok()
}
