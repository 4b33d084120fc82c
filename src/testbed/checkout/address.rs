//! Public addresses: those that lead to the same host from everywhere, and not to this host or its network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Networks of IPv4 that are not public, from IANA's registry of special addresses: first address and length of the
/// prefix.
const SPECIAL_V4: [([u8; 4], u32); 17] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    // Contains the metadata services of clouds.
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 31, 196, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    // Metadata service of another cloud, whose address only looks public.
    ([168, 63, 129, 16], 32),
    // Multicast, and the reserved networks above it.
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];

/// Networks within 2000::/3 that are not public, or that stand for an address of IPv4.
const SPECIAL_V6: [([u16; 2], u32); 4] =
    [([0x2001, 0x0000], 23), ([0x2001, 0x0db8], 32), ([0x2002, 0x0000], 16), ([0x3fff, 0x0000], 20)];

/// Whether an address is public.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = address.to_bits();
    !SPECIAL_V4.iter().any(|(network, length)| (bits ^ u32::from_be_bytes(*network)).leading_zeros() >= *length)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, .., high, low] = address.segments();
    // Behind NAT64, every server of IPv4 has an address in this network.
    if address.segments().starts_with(&[0x64, 0xff9b, 0, 0, 0, 0]) {
        return is_public_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    }
    let bits = u32::from(a) << 16 | u32::from(b);
    let is_within =
        |[a, b]: [u16; 2], length: u32| (bits ^ (u32::from(a) << 16 | u32::from(b))).leading_zeros() >= length;
    a & 0xe000 == 0x2000 && !SPECIAL_V6.iter().any(|(network, length)| is_within(*network, *length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_special_is_not_public() {
        for address in [
            "0.0.0.0",
            "10.255.255.255",
            "100.127.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.31.0.1",
            "192.0.0.192",
            "192.0.2.1",
            "192.168.0.1",
            "198.19.255.255",
            "203.0.113.9",
            "168.63.129.16",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:8.8.8.8",
            "::8.8.8.8",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "93.184.216.34",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "2a00:1450::1",
            "64:ff9b::8.8.8.8",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }
}
