//! Network addresses: `inet`, `cidr` and `macaddr` (Network Address Types; `network_send`, `macaddr_send`).

use super::{Cell, Codec, Misfit, only_text};
use rusqlite::types::ValueRef;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Address families on the wire: the server's own numbers, not the system's (utils/inet.h).
const IPV4: u8 = 2;
const IPV6: u8 = 3;

const NOT_AN_ADDRESS: Misfit = Misfit("text that is no network address");

/// `inet`: an address, with the bits of its network if it is not a host alone.
#[must_use]
pub fn inet() -> Codec {
    network("an IPv4 or IPv6 address, with or without /bits", false)
}

/// `cidr`: a network. An address with bits to the right of its mask is none.
#[must_use]
pub fn cidr() -> Codec {
    network("an IPv4 or IPv6 network, address/bits", true)
}

fn network(expects: &str, whole: bool) -> Codec {
    let encode = move |value: ValueRef<'_>, out: &mut Vec<u8>| {
        let text = std::str::from_utf8(only_text(value)?).map_err(|_| NOT_AN_ADDRESS)?;
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NOT_AN_ADDRESS)?;
        let (family, octets) = match address {
            IpAddr::V4(address) => (IPV4, address.octets().to_vec()),
            IpAddr::V6(address) => (IPV6, address.octets().to_vec()),
        };
        let width = u8::try_from(octets.len() * 8).map_err(|_| NOT_AN_ADDRESS)?;
        let bits = match bits {
            None => width,
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                bits.parse::<u8>().ok().filter(|bits| *bits <= width).ok_or(NOT_AN_ADDRESS)?
            }
            Some(_) => return Err(NOT_AN_ADDRESS),
        };
        if whole && !is_network(&octets, bits) {
            return Err(Misfit("a network with bits set to the right of its mask"));
        }
        out.extend_from_slice(&[family, bits, u8::from(whole), width / 8]);
        out.extend_from_slice(&octets);
        Ok(())
    };
    Codec::new(expects, encode, move |bytes| {
        let (&[family, bits, _, _], octets) = bytes.split_first_chunk::<4>()?;
        let (address, width) = match family {
            IPV4 => (IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?)), 32),
            _ => (IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?)), 128),
        };
        Cell::spelt(if whole || bits < width { format!("{address}/{bits}") } else { address.to_string() })
    })
}

/// Whether all bits after the first `bits` are zero.
fn is_network(octets: &[u8], bits: u8) -> bool {
    octets.iter().zip(0_u8..).all(|(octet, index)| {
        let kept = bits.saturating_sub(index * 8).min(8);
        u32::from(*octet) << kept & 0xff == 0
    })
}

/// `macaddr` (6 bytes) and `macaddr8` (8): hexadecimal, with colons, hyphens, dots or nothing between, or the bytes
/// themselves.
#[must_use]
pub fn mac(width: usize) -> Codec {
    let encode = move |value: ValueRef<'_>, out: &mut Vec<u8>| {
        if let ValueRef::Blob(bytes) = value {
            if bytes.len() != width {
                return Err(Misfit("a blob of another length"));
            }
            out.extend_from_slice(bytes);
            return Ok(());
        }
        let text = only_text(value)?;
        out.extend_from_slice(&hardware(text, width).ok_or(Misfit("text that is no hardware address"))?);
        Ok(())
    };
    Codec::new(format!("a hardware address of {width} bytes, 08:00:2b:01:02:03"), encode, |bytes| {
        let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Cell::spelt(pairs.join(":"))
    })
}

fn hardware(text: &[u8], width: usize) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    let (group, mark) = match () {
        () if text.contains(':') => (2, ":"),
        () if text.contains('-') => (2, "-"),
        () if text.contains('.') => (4, "."),
        () => (2 * width, " "),
    };
    let groups: Vec<&str> = text.split(mark).collect();
    if groups.iter().any(|digits| digits.len() != group || !digits.bytes().all(|d| d.is_ascii_hexdigit())) {
        return None;
    }
    let digits = groups.concat();
    if digits.len() != 2 * width {
        return None;
    }
    (0..width).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_have_no_host_bits() {
        assert!(is_network(&[10, 0, 0, 0], 8));
        assert!(is_network(&[10, 128, 0, 0], 9));
        assert!(!is_network(&[10, 128, 0, 0], 8));
        assert!(is_network(&[0; 16], 0));
        assert!(!is_network(&[0, 0, 0, 1], 31));
        assert!(is_network(&[0, 0, 0, 1], 32));
    }

    #[test]
    fn hardware_addresses() {
        for good in ["08:00:2b:01:02:03", "08-00-2B-01-02-03", "0800.2b01.0203", "08002b010203"] {
            assert_eq!(hardware(good.as_bytes(), 6), Some(vec![8, 0, 0x2b, 1, 2, 3]), "{good}");
        }
        for bad in ["", "08:00:2b:01:02", "8:0:2b:1:2:3", "08:00-2b:01:02:03", "08002b01020g"] {
            assert_eq!(hardware(bad.as_bytes(), 6), None, "{bad}");
        }
    }
}
