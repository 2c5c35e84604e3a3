//! The W3C trace context by which one webhook can be followed to its receipt.

use actix_web::HttpRequest;

/// The `traceparent` of the request where it is well formed, else a new one.
pub(crate) fn of_request(request: &HttpRequest) -> String {
    let given = request
        .headers()
        .get("traceparent")
        .and_then(|value| value.to_str().ok());
    given
        .filter(|text| is_traceparent(text))
        .map_or_else(new_traceparent, str::to_owned)
}

/// The generator of the thread is enough. The ids only have to differ, and asking the operating
/// system for each costs a system call. The standard forbids zero.
fn new_traceparent() -> String {
    let trace = rand::random_range(1..=u128::MAX);
    let span = rand::random_range(1..=u64::MAX);
    format!("00-{trace:032x}-{span:016x}-01")
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
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn well_formed_traceparent_is_kept() {
        let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let request = TestRequest::post()
            .insert_header(("traceparent", given))
            .to_http_request();
        assert_eq!(of_request(&request), given);
    }

    #[test]
    fn malformed_traceparent_is_replaced() {
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
            let replaced = of_request(&request);
            assert_ne!(replaced, given);
            assert!(is_traceparent(&replaced), "{replaced}");
        }
    }
}
