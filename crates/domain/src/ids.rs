//! One id type per thing, so that a payment can never be passed where an invoice is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            pub const fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

id!(
    /// The id of a webhook that was made durable. It is a version 7 UUID, so that ids sort by the
    /// time of receipt.
    EventId
);
id!(MerchantId);
id!(PaymentId);
id!(InvoiceId);
id!(
    /// The id of what lets a webhook in: a merchant's path secret or a signing key. It is no secret.
    CredentialId
);
id!(
    /// The id of a tax device, which is one environment, PIN and branch at KRA. Each device has one
    /// lane.
    DeviceId
);
