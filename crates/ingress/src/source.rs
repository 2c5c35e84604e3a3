//! Where a request came from, and whether the merchant's list knows the place.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use risiti_domain::AuthenticatedBy;

/// Proxies whose `X-Forwarded-For` is believed.
#[derive(Debug, Clone, Default)]
pub(crate) struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    pub(crate) fn new(ranges: Vec<IpNet>) -> Self {
        Self(ranges)
    }

    /// The address that spoke to the outermost proxy of ours: the right-most hop that is not a trusted proxy.
    ///
    /// Anything left of it is text the sender chose. An entry that is no address ends the walk at the
    /// proxy that passed it on.
    pub(crate) fn source<'a>(
        &self,
        peer: IpAddr,
        forwarded_for: impl DoubleEndedIterator<Item = &'a str>,
    ) -> IpAddr {
        let mut source = peer.to_canonical();
        for value in forwarded_for.rev() {
            for hop in value.rsplit(',') {
                if !self.0.iter().any(|range| range.contains(&source)) {
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

/// A hop as proxies write it: an address, with a port at some, an IPv6 one in brackets at some.
fn address(hop: &str) -> Option<IpAddr> {
    let bare = hop
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(hop);
    bare.parse()
        .ok()
        .or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// Judges a message that carries no signature: the path secret, and the merchant's source ranges if it has any.
///
/// `None` only where the merchant enforces its list: published lists go stale and Daraja calls once.
pub(crate) fn judge_source(
    source: IpAddr,
    allowed: &[IpNet],
    enforced: bool,
) -> Option<AuthenticatedBy> {
    if allowed.is_empty() {
        return Some(AuthenticatedBy::Path);
    }
    if allowed.iter().any(|range| range.contains(&source)) {
        return Some(AuthenticatedBy::PathAndSource);
    }
    (!enforced).then_some(AuthenticatedBy::PathFromUnlistedSource)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn nets(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|t| t.parse().unwrap()).collect()
    }

    #[test]
    fn the_right_most_untrusted_hop_is_the_source() {
        let proxies = TrustedProxies::new(nets(&["10.0.0.0/8"]));
        for (peer, headers, expected) in [
            // Nobody trusted spoke: the header is the sender's own text.
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
            // Ports, as some proxies add them.
            (
                "10.0.0.1",
                vec!["196.201.214.200, 203.0.113.9:4711"],
                "203.0.113.9",
            ),
            ("10.0.0.1", vec!["[2001:db8::1]:4711"], "2001:db8::1"),
            ("10.0.0.1", vec!["[2001:db8::1]"], "2001:db8::1"),
            // Garbage ends the walk, wherever the sender puts it.
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
    fn no_proxy_is_trusted_unless_named() {
        assert_eq!(
            TrustedProxies::default().source(ip("127.0.0.1"), ["203.0.113.9"].into_iter()),
            ip("127.0.0.1")
        );
    }

    #[test]
    fn an_unlisted_source_is_refused_only_where_the_list_is_enforced() {
        let list = nets(&["196.201.0.0/16"]);
        assert_eq!(
            judge_source(ip("1.2.3.4"), &[], true),
            Some(AuthenticatedBy::Path)
        );
        assert_eq!(
            judge_source(ip("196.201.214.200"), &list, true),
            Some(AuthenticatedBy::PathAndSource)
        );
        assert_eq!(
            judge_source(ip("1.2.3.4"), &list, false),
            Some(AuthenticatedBy::PathFromUnlistedSource)
        );
        assert_eq!(judge_source(ip("1.2.3.4"), &list, true), None);
    }
}
