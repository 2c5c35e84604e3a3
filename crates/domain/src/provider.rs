//! The providers, and how a webhook of theirs was authenticated.

use serde::{Deserialize, Serialize};

use crate::names::named;

named!(Provider, "provider", { Daraja = "daraja", Paystack = "paystack", Gumroad = "gumroad" });

named!(
    /// What showed that a webhook comes from its provider.
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
    fn unknown_name_is_reported_with_its_kind() {
        let error = "mpesa".parse::<Provider>().unwrap_err();
        assert_eq!(error.to_string(), "unknown provider \"mpesa\"");
    }
}
