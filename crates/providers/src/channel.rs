//! The channel of a webhook, its encoding, and what the parser must know of the account.

use std::fmt;
use std::str::FromStr;

use risiti_domain::{Provider, UnknownName};

/// The kind of webhook by route and message family. It decides how the body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    DarajaStk,
    DarajaC2bValidation,
    DarajaC2bConfirmation,
    DarajaResult,
    DarajaTimeout,
    Paystack,
    Gumroad,
}

impl Channel {
    pub const ALL: &'static [Self] = &[
        Self::DarajaStk,
        Self::DarajaC2bValidation,
        Self::DarajaC2bConfirmation,
        Self::DarajaResult,
        Self::DarajaTimeout,
        Self::Paystack,
        Self::Gumroad,
    ];

    /// The name in message headers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DarajaStk => "daraja_stk",
            Self::DarajaC2bValidation => "daraja_c2b_validation",
            Self::DarajaC2bConfirmation => "daraja_c2b_confirmation",
            Self::DarajaResult => "daraja_result",
            Self::DarajaTimeout => "daraja_timeout",
            Self::Paystack => "paystack",
            Self::Gumroad => "gumroad",
        }
    }

    pub const fn provider(self) -> Provider {
        match self {
            Self::DarajaStk
            | Self::DarajaC2bValidation
            | Self::DarajaC2bConfirmation
            | Self::DarajaResult
            | Self::DarajaTimeout => Provider::Daraja,
            Self::Paystack => Provider::Paystack,
            Self::Gumroad => Provider::Gumroad,
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Channel {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL
            .iter()
            .copied()
            .find(|channel| channel.as_str() == text);
        found.ok_or_else(|| UnknownName {
            what: "channel",
            name: text.to_owned(),
        })
    }
}

/// How a body is encoded. Only Gumroad sends forms, and only for some accounts. The other channels
/// ignore it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyFormat {
    Json,
    Form,
}

impl BodyFormat {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Form => "form",
        }
    }
}

impl FromStr for BodyFormat {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "json" => Ok(Self::Json),
            "form" => Ok(Self::Form),
            other => Err(UnknownName {
                what: "body format",
                name: other.to_owned(),
            }),
        }
    }
}

/// What the parser must know of the merchant's account. It travels with the message, so that a
/// worker reads a body exactly as ingress did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The account's seller. A ping that names another seller is never money. `None` means that the
    /// account names no seller, and nothing is compared.
    pub gumroad_seller_id: Option<String>,
    /// Whether the key that verified the signature is a live one (`sk_live_…`).
    pub paystack_live: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_to_itself() {
        for channel in Channel::ALL {
            assert_eq!(channel.as_str().parse(), Ok(*channel));
            assert!(channel.as_str().starts_with(channel.provider().as_str()));
        }
        for format in [BodyFormat::Json, BodyFormat::Form] {
            assert_eq!(format.as_str().parse(), Ok(format));
        }
        assert!("stk".parse::<Channel>().is_err());
        assert!("xml".parse::<BodyFormat>().is_err());
    }
}
