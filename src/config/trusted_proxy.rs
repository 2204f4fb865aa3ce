//! Trusted proxies in flags: addresses and networks.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

/// Parses a network in canonical form: an IPv4-mapped IPv6 network becomes an IPv4 network.
pub(super) fn parse(text: &str) -> Result<IpNet, &'static str> {
    const RULE: &str = "must be an address or a network, such as 10.0.0.0/8";
    const MIXED: &str = "must not mix IPv6 and IPv4: write the IPv4 networks of ::ffff:0:0/96 as IPv4";
    let text = text.trim();
    let address = || text.parse().map(|address: IpAddr| address.into());
    let network: IpNet = text.parse().or_else(|_| address()).map_err(|_| RULE)?;
    let IpNet::V6(mapped) = network else { return Ok(network) };
    let Some(address) = mapped.addr().to_ipv4_mapped() else { return Ok(network) };
    let length = mapped.prefix_len().checked_sub(96).ok_or(MIXED)?;
    Ipv4Net::new(address, length).map(IpNet::V4).map_err(|_| RULE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_network_with_blanks_or_ipv4_mapped_is_canonical() {
        for (text, read) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            (" 10.0.0.1 ", "10.0.0.1/32"),
            ("\t2001:db8::/32", "2001:db8::/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:a00:1", "10.0.0.1/32"),
            ("::FFFF:10.0.0.1/128", "10.0.0.1/32"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(parse(text).map(|network| network.to_string()), Ok(read.to_owned()), "{text}");
        }
        for text in [
            "",
            " ",
            "proxy.example",
            "10.0.0.0/33",
            "10.0.0",
            "::ffff:10.0.0.0/129",
            "::ffff:0:0/95",
            "::ffff:10.0.0.0/8",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
