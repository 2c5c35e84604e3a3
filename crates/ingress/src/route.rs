//! What a request path asks for.
//!
//! Daraja sends once, and C2B addresses are registered once. So a slash or blank too many must not
//! cost a webhook: empty segments, and blanks around a segment, count for nothing.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use risiti_domain::Provider;
use risiti_providers::Channel;

use crate::merchants::Address;

/// No path of ours has more segments. Of a longer path, only so many are looked at.
const SEGMENTS_MAX: usize = 8;
/// A path secret has 40 characters. Anything longer than this is none.
const SECRET_BYTES_MAX: usize = 64;
/// Segments that are longer or have more digits are not shown, since they may be somebody's data.
const SHOWN_BYTES_MAX: usize = 24;
const SHOWN_DIGITS_MAX: usize = 2;

/// A request path without escapes.
pub(crate) struct RequestPath<'a>(Cow<'a, str>);

/// A path that is served.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) channel: Channel,
    pub(crate) address: Address,
}

impl<'a> RequestPath<'a> {
    /// Takes a path as it stands in a request line.
    pub(crate) fn new(path: &'a str) -> Self {
        Self(percent_decode_str(path).decode_utf8_lossy())
    }

    fn segments(&self) -> impl Iterator<Item = &str> {
        self.0
            .split('/')
            .map(str::trim)
            .filter(|segment| !segment.is_empty())
    }

    /// The route of this path. `None` when nothing is served there.
    pub(crate) fn route(&self) -> Option<Route> {
        let mut segments = self.segments();
        if segments.next() != Some("webhooks") {
            return None;
        }
        let provider = segments.next()?;
        let key = segments.next()?;
        let rest = [segments.next(), segments.next(), segments.next()];

        let channel = match (provider, rest) {
            ("daraja", [Some("stk"), None, _]) => Channel::DarajaStk,
            ("daraja", [Some("c2b"), Some("confirmation"), None]) => Channel::DarajaC2bConfirmation,
            ("daraja", [Some("c2b"), Some("validation"), None]) => Channel::DarajaC2bValidation,
            ("daraja", [Some("result"), None, _]) => Channel::DarajaResult,
            ("daraja", [Some("timeout"), None, _]) => Channel::DarajaTimeout,
            ("paystack", [None, ..]) => Channel::Paystack,
            ("gumroad", [None, ..]) => Channel::Gumroad,
            _ => return None,
        };
        let address = match channel {
            Channel::Paystack => Address::Slug(key.to_owned()),
            _ => Address::Secret(key.to_owned()),
        };
        Some(Route { channel, address })
    }

    /// The provider that this path names, whether or not it is served.
    pub(crate) fn provider(&self) -> Option<Provider> {
        let mut segments = self.segments();
        (segments.next() == Some("webhooks")).then_some(())?;
        segments.next()?.parse().ok()
    }

    /// The segments that may be a path secret.
    pub(crate) fn possible_secrets(&self) -> impl Iterator<Item = &str> {
        self.segments()
            .take(SEGMENTS_MAX)
            .filter(|segment| segment.len() <= SECRET_BYTES_MAX)
    }

    /// The path for the log. What may be a secret, a phone number or other data is left out.
    pub(crate) fn shown(&self) -> String {
        let is_shown = |segment: &str| {
            let digits = segment.bytes().filter(u8::is_ascii_digit).count();
            let is_word = segment
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
            segment.len() <= SHOWN_BYTES_MAX && digits <= SHOWN_DIGITS_MAX && is_word
        };

        self.segments()
            .take(SEGMENTS_MAX)
            .flat_map(|segment| ["/", if is_shown(segment) { segment } else { "…" }])
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(path: &str) -> Option<(Channel, String)> {
        let Route { channel, address } = RequestPath::new(path).route()?;
        let (Address::Secret(key) | Address::Slug(key)) = address;
        Some((channel, key))
    }

    #[test]
    fn each_channel_has_one_path() {
        for (path, channel) in [
            ("/webhooks/daraja/S/stk", Channel::DarajaStk),
            (
                "/webhooks/daraja/S/c2b/confirmation",
                Channel::DarajaC2bConfirmation,
            ),
            (
                "/webhooks/daraja/S/c2b/validation",
                Channel::DarajaC2bValidation,
            ),
            ("/webhooks/daraja/S/result", Channel::DarajaResult),
            ("/webhooks/daraja/S/timeout", Channel::DarajaTimeout),
            ("/webhooks/paystack/S", Channel::Paystack),
            ("/webhooks/gumroad/S", Channel::Gumroad),
        ] {
            assert_eq!(route(path), Some((channel, "S".to_owned())), "{path}");
            for other in [
                format!("{path}/x"),
                format!("/x{path}"),
                path[1..].replace('/', ""),
            ] {
                assert_eq!(route(&other), None, "{other}");
            }
        }
    }

    #[test]
    fn slashes_and_blanks_too_many_count_for_nothing() {
        for path in [
            "/webhooks/daraja/S/stk/",
            "//webhooks//daraja/S///stk//",
            "/webhooks/daraja/S/stk%20",
            "/webhooks/daraja/%20S%20/stk%09/%20",
            "/webhooks/daraja/S/%73tk",
        ] {
            let expected = Some((Channel::DarajaStk, "S".to_owned()));
            assert_eq!(route(path), expected, "{path}");
        }
        for path in [
            "/webhooks/daraja/S/STK",
            "/webhooks/daraja/S/s tk",
            "/webhooks/daraja//stk",
            "/webhooks/daraja/../stk/x",
            "/webhooks/daraja/%ff/%zz",
            "x:80",
            "*",
            "",
        ] {
            assert_eq!(route(path), None, "{path}");
        }
    }

    #[test]
    fn path_is_shown_without_what_may_be_somebodys() {
        let secret = "0".repeat(40);
        let path = format!("/webhooks/daraja/{secret}/C2B/Confirmation/254708374149/%0a{secret}");
        assert_eq!(
            RequestPath::new(&path).shown(),
            "/webhooks/daraja/…/C2B/Confirmation/…/…"
        );
        let long = RequestPath::new(&"/x".repeat(1_000)).shown();
        assert_eq!(long.len(), 2 * SEGMENTS_MAX);
    }
}
