//! Fault rules as the simulator's control API takes them.

use rust_decimal::Decimal;
use serde::Serialize;

#[derive(Serialize, Debug)]
pub(crate) struct FaultRule {
    #[serde(rename = "match")]
    pub(crate) calls: CallMatch,
    pub(crate) fault: SimFault,
}

/// Which calls a rule hits. An absent part matches all calls.
#[derive(Serialize, Debug)]
pub(crate) struct CallMatch {
    pub(crate) call: Call,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) amount: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) device: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) every_nth: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) probability: Option<f64>,
    /// The seed of the draws by `probability`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seed: Option<u64>,
    /// How many calls to let pass before the first hit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) skip: Option<u64>,
    /// How many calls to hit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<u64>,
}

#[derive(Serialize, Clone, Copy, Debug)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Call {
    Sale,
    Lookup,
}

#[derive(Serialize, Clone, Debug)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SimFault {
    AcceptThenDrop,
    DropBeforeAccept,
    DeliverLate {
        ms: u64,
        hold_ms: u64,
    },
    Slow {
        ms: u64,
    },
    LookupLag {
        count: u32,
    },
    Status {
        code: u16,
        retry_after: u64,
        accept: bool,
    },
    Html {
        status: u16,
        accept: bool,
    },
    BlankPaddedKeys,
    ExpiredToken,
    Envelope {
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<&'static str>,
        message: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
    },
    DownFor {
        ms: u64,
        /// The status of answers. Connections are refused where this is none.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
    },
}

impl CallMatch {
    pub(crate) fn sales() -> Self {
        Self::all(Call::Sale)
    }

    pub(crate) fn look_ups() -> Self {
        Self::all(Call::Lookup)
    }

    fn all(call: Call) -> Self {
        Self {
            call,
            amount: None,
            device: None,
            every_nth: None,
            probability: None,
            seed: None,
            skip: None,
            count: None,
        }
    }
}

impl SimFault {
    pub(crate) fn envelope(code: &'static str, message: &'static str) -> Self {
        Self::Envelope {
            code: Some(code),
            message,
            status: None,
        }
    }
}
