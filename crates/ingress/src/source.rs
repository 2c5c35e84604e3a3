//! The source address of a request, and whether the merchant's list of sources holds it.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use risiti_domain::AuthenticatedBy;

/// The proxies whose `X-Forwarded-For` is believed.
#[derive(Debug, Clone, Default)]
pub(crate) struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    pub(crate) fn new(ranges: Vec<IpNet>) -> Self {
        Self(ranges)
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|range| range.contains(&address))
    }

    /// The address that connected to our outermost proxy. It is the right-most hop that is not a
    /// trusted proxy.
    ///
    /// Anything left of it is text that the sender chose. An entry that is not an address ends the
    /// walk at the proxy that passed it on.
    pub(crate) fn source<'a>(
        &self,
        peer: IpAddr,
        forwarded_for: impl DoubleEndedIterator<Item = &'a str>,
    ) -> IpAddr {
        let mut source = peer.to_canonical();
        for value in forwarded_for.rev() {
            for hop in value.rsplit(',') {
                if !self.contains(source) {
                    return source;
                }
                match address(hop.trim()) {
                    Some(address) => source = address.to_canonical(),
                    None => return source,
                }
            }
        }
        source
    }
}

/// Reads a hop as proxies write it. Some add a port, and some put an IPv6 address in brackets.
fn address(hop: &str) -> Option<IpAddr> {
    let bare = hop
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(hop);
    bare.parse()
        .ok()
        .or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// The source is not in the merchant's list, and the merchant enforces the list.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SourceRefused;

/// Authenticates a message without a signature by its path secret and, where the merchant has
/// source ranges, by its source.
///
/// An unlisted source is refused only where the merchant enforces its list. Published lists go
/// stale, and Daraja sends a message only once.
pub(crate) fn authenticate_source(
    source: IpAddr,
    allowed: &[IpNet],
    is_enforced: bool,
) -> Result<AuthenticatedBy, SourceRefused> {
    if allowed.is_empty() {
        return Ok(AuthenticatedBy::Path);
    }
    if allowed.iter().any(|range| range.contains(&source)) {
        return Ok(AuthenticatedBy::PathAndSource);
    }
    if is_enforced {
        return Err(SourceRefused);
    }
    Ok(AuthenticatedBy::PathFromUnlistedSource)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn nets(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn source_is_the_right_most_untrusted_hop() {
        let proxies = TrustedProxies::new(nets(&["10.0.0.0/8"]));
        for (peer, headers, expected) in [
            // The peer is no trusted proxy, so the header is the sender's own text.
            ("203.0.113.9", vec!["196.201.214.200"], "203.0.113.9"),
            ("10.0.0.1", vec!["196.201.214.200"], "196.201.214.200"),
            // A forged left-most entry is never reached.
            (
                "10.0.0.1",
                vec!["196.201.214.200, 203.0.113.9"],
                "203.0.113.9",
            ),
            ("10.0.0.1", vec!["203.0.113.9, 10.0.0.2"], "203.0.113.9"),
            (
                "10.0.0.1",
                vec!["196.201.214.200", "203.0.113.9"],
                "203.0.113.9",
            ),
            ("10.0.0.1", vec!["not an address"], "10.0.0.1"),
            ("10.0.0.1", vec![], "10.0.0.1"),
            ("::ffff:10.0.0.1", vec!["::ffff:203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", vec!["[::ffff:203.0.113.9]:4711"], "203.0.113.9"),
            // Some proxies add ports.
            (
                "10.0.0.1",
                vec!["196.201.214.200, 203.0.113.9:4711"],
                "203.0.113.9",
            ),
            ("10.0.0.1", vec!["[2001:db8::1]:4711"], "2001:db8::1"),
            ("10.0.0.1", vec!["[2001:db8::1]"], "2001:db8::1"),
            // An entry that is no address ends the walk, wherever it is.
            (
                "10.0.0.1",
                vec!["196.201.214.200, \u{fffd}, 203.0.113.9"],
                "203.0.113.9",
            ),
            ("10.0.0.1", vec!["196.201.214.200", "\u{fffd}"], "10.0.0.1"),
            ("10.0.0.1", vec!["196.201.214.200", ""], "10.0.0.1"),
            (
                "10.0.0.1",
                vec!["196.201.214.200, unknown, 10.0.0.2"],
                "10.0.0.2",
            ),
            ("10.0.0.1", vec!["196.201.214.200:99999"], "10.0.0.1"),
        ] {
            assert_eq!(
                proxies.source(ip(peer), headers.iter().copied()),
                ip(expected),
                "{peer} {headers:?}"
            );
        }
    }

    #[test]
    fn no_proxy_is_trusted_unless_it_is_set() {
        assert_eq!(
            TrustedProxies::default().source(ip("127.0.0.1"), ["203.0.113.9"].into_iter()),
            ip("127.0.0.1")
        );
    }

    #[test]
    fn unlisted_source_is_refused_only_by_an_enforced_list() {
        let list = nets(&["196.201.0.0/16"]);
        assert_eq!(
            authenticate_source(ip("1.2.3.4"), &[], true),
            Ok(AuthenticatedBy::Path)
        );
        assert_eq!(
            authenticate_source(ip("196.201.214.200"), &list, true),
            Ok(AuthenticatedBy::PathAndSource)
        );
        assert_eq!(
            authenticate_source(ip("1.2.3.4"), &list, false),
            Ok(AuthenticatedBy::PathFromUnlistedSource)
        );
        assert_eq!(
            authenticate_source(ip("1.2.3.4"), &list, true),
            Err(SourceRefused)
        );
    }
}
