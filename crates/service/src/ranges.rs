//! Address ranges as people write them in settings.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Bits before the IPv4 address in an IPv4-mapped IPv6 address.
const MAPPED_PREFIX: u8 = 96;

/// Reads an address range. A single address is a range of one, and bits beyond the prefix are
/// cleared. A range of IPv4-mapped addresses becomes the IPv4 range it stands for, because the
/// source of a request is always compared in that form.
///
/// # Errors
/// A sentence fragment that says what is accepted.
pub fn parse_range(text: &str) -> Result<IpNet, String> {
    let net = text
        .parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| "expected an address range such as 196.201.212.0/24")?;
    canonical_range(net.trunc())
        .ok_or_else(|| "holds IPv4-mapped addresses: write them as an IPv4 range".to_owned())
}

/// The range in the form that sources have. `None` when it has none: a part of it is IPv4-mapped
/// and the rest is not.
#[must_use]
pub fn canonical_range(net: IpNet) -> Option<IpNet> {
    let IpNet::V6(net) = net else {
        return Some(net);
    };
    let mapped: Ipv6Net =
        Ipv6Net::new_assert(Ipv4Addr::UNSPECIFIED.to_ipv6_mapped(), MAPPED_PREFIX);
    if mapped.contains(&net) {
        let address = net.network().to_ipv4_mapped()?;
        let prefix = net.prefix_len() - MAPPED_PREFIX;
        return Ipv4Net::new(address, prefix).ok().map(IpNet::V4);
    }
    // All of IPv6 is a range that people mean. Others around the mapped addresses are mistakes.
    let is_partly_mapped = net.contains(&mapped) && net.prefix_len() > 0;
    (!is_partly_mapped).then_some(IpNet::V6(net))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_in_the_form_that_sources_have() {
        for (text, expected) in [
            ("196.201.212.7/24", "196.201.212.0/24"),
            ("196.201.212.7", "196.201.212.7/32"),
            ("::ffff:196.201.212.0/120", "196.201.212.0/24"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::FFFF:196.201.212.7", "196.201.212.7/32"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("2001:db8::1/32", "2001:db8::/32"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(parse_range(text).unwrap().to_string(), expected, "{text}");
        }
        for text in [
            "196.201.212",
            "everyone",
            "::ffff:10.0.0.0/95",
            "::/16",
            "10.0.0.0/33",
        ] {
            assert!(parse_range(text).is_err(), "{text}");
        }
    }
}
