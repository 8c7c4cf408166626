//! Where the run is: the platform and its limits, what the application calls this place, and what is to be applied.

use super::Finding;
use crate::config::{Config, DatabaseUrl};
use crate::error::{Error, Problem};
use crate::migration::Version;
use crate::plan::Plan;
use std::net::{IpAddr, SocketAddr};

/// The hosting platform, if this is one.
pub(super) fn platform(config: &Config) -> Option<Finding> {
    let platform = config.platform.as_ref()?;
    let kind = if platform.release { ", in a release command" } else { "" };
    let found = format!("{}{kind}", platform.name);
    Some(match (platform.time(), platform.budget) {
        (Some(time), Some(budget)) if platform.release && config.lock_timeout >= budget => Finding::warning(
            "platform",
            format!("{found}; {time}, and --lock-timeout alone waits as long"),
            "give --lock-timeout a part of that time",
        ),
        (Some(time), _) => Finding::ok("platform", format!("{found}; {time}")),
        (None, _) => Finding::ok("platform", found),
    })
}

/// Whether `ENVIRONMENT` and the place of the database belong together.
pub(super) fn environment(config: &Config, url: &DatabaseUrl, address: &str) -> Option<Finding> {
    let name = config.environment.as_deref()?;
    let here = is_here(address);
    let place = if here { "on this machine" } else { "elsewhere" };
    let found = format!("ENVIRONMENT is {name}, and the database is {place} ({address})");
    let next = format!(
        "check that {} names the database that is meant: a wrong one is the commonest way to migrate nothing, or too much",
        url.origin
    );
    let doubtful = match name.to_ascii_lowercase().as_str() {
        "production" | "prod" | "staging" => here,
        "development" | "dev" | "local" | "test" | "testing" => !here,
        _ => false,
    };
    Some(if doubtful {
        Finding::warning("environment", found, next)
    } else {
        Finding::ok("environment", found)
    })
}

/// What is applied and what is pending.
pub(super) fn versions(plan: &Plan<'_>, versions: &[Version]) -> Vec<Finding> {
    let disagreements = plan.disagreements();
    if !disagreements.is_empty() {
        let found = format!("the history diverges from the files: {}", disagreements.join("; "));
        return vec![Finding::problem("versions", found, "outgrow status shows every version")];
    }
    let head = versions.last().map_or("", |version| version.label.as_str());
    let pending = plan.pending();
    let found = match pending.len() {
        0 => format!("at head, {head}"),
        1 => format!("1 pending, head is {head}"),
        pending => format!("{pending} pending, head is {head}"),
    };
    let refused: Vec<Problem> = pending.into_iter().flat_map(Version::refusals).collect();
    if !refused.is_empty() {
        return vec![Finding::failed("versions", &Error::Files(refused))];
    }
    vec![Finding::ok("versions", found)]
}

/// The address is this machine's own: its loopback, or a socket's folder.
fn is_here(address: &str) -> bool {
    ip(address).map_or(address.starts_with('/'), |ip| ip.is_loopback())
}

/// Packets to it stay on this machine or in a private network. (RFC 1918, 4193, 3927, 4291, 6598.)
pub(super) fn is_private(address: &str) -> bool {
    match ip(address) {
        Some(IpAddr::V4(ip)) => {
            let shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
            ip.is_loopback() || ip.is_private() || ip.is_link_local() || shared
        }
        Some(IpAddr::V6(ip)) => {
            ip.to_ipv4_mapped().is_some_and(|ip| ip.is_private() || ip.is_loopback())
                || ip.is_loopback()
                || ip.is_unique_local()
                || ip.is_unicast_link_local()
        }
        None => address.starts_with('/'),
    }
}

fn ip(address: &str) -> Option<IpAddr> {
    address.parse::<SocketAddr>().ok().map(|address| address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_networks_are_known() {
        for here in ["127.0.0.1:5432", "[::1]:5432", "/var/run/postgresql:5432"] {
            assert!(is_here(here) && is_private(here), "{here}");
        }
        for near in ["10.1.2.3:1", "[fd12::1]:5432", "[fe80::1]:5432", "100.64.0.1:1", "[::ffff:10.0.0.1]:1"]
        {
            assert!(!is_here(near) && is_private(near), "{near}");
        }
        for far in ["8.8.8.8:5432", "[2001:db8::1]:5432", "100.128.0.1:1", "172.32.0.1:1"] {
            assert!(!is_private(far), "{far}");
        }
    }
}
