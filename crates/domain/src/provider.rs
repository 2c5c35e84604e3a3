//! Payment gateways, and how a webhook of theirs was believed.

use serde::{Deserialize, Serialize};

/// A stored or configured name that is none of the known ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} {name:?}")]
pub struct UnknownName {
    pub what: &'static str,
    pub name: String,
}

/// Names an enum by fixed text: the same word in code, table, metric and document.
macro_rules! named {
    ($(#[$doc:meta])* $type:ident, $what:literal, { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $type {
            $(#[serde(rename = $text)] $variant),+
        }

        impl $type {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),+
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::UnknownName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    other => Err($crate::UnknownName { what: $what, name: other.to_owned() }),
                }
            }
        }
    };
}
pub(crate) use named;

named!(Provider, "provider", { Daraja = "daraja", Paystack = "paystack", Gumroad = "gumroad" });

named!(
    /// Why a webhook was believed to come from its provider.
    AuthenticatedBy, "authentication", {
        Signature = "signature",
        Path = "path",
        PathAndSource = "path+source",
        PathFromUnlistedSource = "path+unlisted_source",
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for provider in Provider::ALL {
            assert_eq!(provider.as_str().parse::<Provider>(), Ok(*provider));
        }
        for by in AuthenticatedBy::ALL {
            assert_eq!(by.as_str().parse::<AuthenticatedBy>(), Ok(*by));
        }
    }

    #[test]
    fn an_unknown_name_says_what_it_is_not() {
        let error = "mpesa".parse::<Provider>().unwrap_err();
        assert_eq!(error.to_string(), "unknown provider \"mpesa\"");
    }
}
