//! Addresses that a device of KRA's production system must not have. Real sales would go over plain
//! text, to this machine, or to a cloud's metadata service.

use std::net::IpAddr;

use risiti_domain::{Dialect, Environment};
use risiti_service::BadSetting;
use url::{Host, Url};

use crate::flags;

/// The addresses of a device as they would be in use.
pub(crate) struct Addresses<'a> {
    pub(crate) environment: Environment,
    pub(crate) dialect: Dialect,
    /// Each with its flag.
    pub(crate) urls: Vec<(&'static str, &'a Url)>,
}

impl Addresses<'_> {
    /// Refuses what a production device must not have. For a sandbox everything is allowed.
    pub(crate) fn check(&self) -> Result<(), BadSetting> {
        if self.environment != Environment::Production {
            return Ok(());
        }
        for (flag, url) in &self.urls {
            if let Some(problem) = problem(url, self.dialect) {
                let hint = format!(
                    "{problem}; for a test against a simulator add {}",
                    flags::ALLOW_TEST_ADDRESS
                );
                return Err(BadSetting::new(*flag, hint));
            }
        }
        Ok(())
    }
}

fn problem(url: &Url, dialect: Dialect) -> Option<&'static str> {
    let reach = reach(url);
    if reach == Reach::LinkLocal {
        return Some("a production device must not have a link-local address");
    }
    // KRA's VSCU is a program on the trader's own machine, which speaks plain HTTP.
    if dialect == Dialect::Vscu {
        return None;
    }
    if reach == Reach::ThisMachine {
        return Some("a production device must not have an address of this machine");
    }
    (url.scheme() != "https").then_some("a production device needs https://")
}

#[derive(Debug, PartialEq, Eq)]
enum Reach {
    ThisMachine,
    LinkLocal,
    Elsewhere,
}

fn reach(url: &Url) -> Reach {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).to_canonical(),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let is_local = name == "localhost" || name.ends_with(".localhost");
            return match is_local {
                true => Reach::ThisMachine,
                false => Reach::Elsewhere,
            };
        }
        None => return Reach::Elsewhere,
    };
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    if is_link_local {
        Reach::LinkLocal
    } else if address.is_loopback() || address.is_unspecified() {
        Reach::ThisMachine
    } else {
        Reach::Elsewhere
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(environment: Environment, dialect: Dialect, url: &str) -> Result<(), BadSetting> {
        let url: Url = url.parse().unwrap();
        let urls = vec![("--base-url", &url)];
        Addresses {
            environment,
            dialect,
            urls,
        }
        .check()
    }

    #[test]
    fn production_needs_https_to_another_machine() {
        let production = Environment::Production;
        assert!(
            check(
                production,
                Dialect::Legacy,
                "https://etims-api.kra.go.ke/etims-api"
            )
            .is_ok()
        );
        for url in [
            "http://etims-api.kra.go.ke/",
            "https://localhost/",
            "https://LOCALHOST./",
            "https://kra.localhost/",
            "https://127.9.9.9/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://0.0.0.0/",
            "https://2130706433/",
            "https://169.254.169.254/",
            "https://[fe80::1]/",
        ] {
            for dialect in [Dialect::Legacy, Dialect::Gateway] {
                assert!(check(production, dialect, url).is_err(), "{url}");
            }
            assert!(check(Environment::Sandbox, Dialect::Legacy, url).is_ok());
        }
    }

    #[test]
    fn vscu_runs_on_the_traders_own_machine() {
        let check = |url| check(Environment::Production, Dialect::Vscu, url);
        assert!(check("http://localhost:8088/").is_ok());
        assert!(check("http://192.168.1.9:8088/").is_ok());
        assert!(check("http://169.254.169.254/").is_err());
    }
}
