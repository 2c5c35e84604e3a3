//! W3C trace context: the sender's, or one of ours, so that one webhook can be followed to its receipt.

use actix_web::HttpRequest;
use uuid::Uuid;

/// A `traceparent` for the message: the request's own when it is well formed.
pub(crate) fn parent(request: &HttpRequest) -> String {
    let given = request
        .headers()
        .get("traceparent")
        .and_then(|v| v.to_str().ok());
    given
        .filter(|text| is_traceparent(text))
        .map_or_else(fresh, str::to_owned)
}

fn fresh() -> String {
    let span = Uuid::now_v7().as_u64_pair().1;
    format!("00-{}-{span:016x}-01", Uuid::now_v7().simple())
}

fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let hex = |part: &str, digits: usize| {
        part.len() == digits && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let zero = |part: &str| part.bytes().all(|b| b == b'0');
    matches!(parts[..], ["00", trace, span, flags]
        if hex(trace, 32) && hex(span, 16) && hex(flags, 2) && !zero(trace) && !zero(span))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn a_well_formed_parent_is_kept() {
        let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let request = TestRequest::post()
            .insert_header(("traceparent", given))
            .to_http_request();
        assert_eq!(parent(&request), given);
    }

    #[test]
    fn anything_else_gets_a_fresh_one() {
        for given in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "99-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-99",
        ] {
            let request = TestRequest::post()
                .insert_header(("traceparent", given))
                .to_http_request();
            let made = parent(&request);
            assert_ne!(made, given);
            assert!(is_traceparent(&made), "{made}");
        }
    }
}
