//! Fault rules as the simulator's control API takes them.

use serde::Serialize;

use crate::fault::{Fault, Misbehaviour};

#[derive(Serialize)]
pub(crate) struct FaultRule {
    #[serde(rename = "match")]
    calls: CallMatch,
    fault: SimFault,
}

/// Which calls a rule hits.
#[derive(Serialize)]
#[serde(untagged)]
enum CallMatch {
    /// The share of all sales that the seed picks.
    Sales {
        call: Call,
        probability: f64,
        seed: usize,
    },
    /// The next so many calls of any kind.
    Next { call: Call, count: u64 },
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Call {
    Sale,
    Any,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum SimFault {
    AcceptThenDrop,
    Envelope {
        code: &'static str,
        message: &'static str,
        status: u16,
    },
    DownFor {
        ms: u64,
        status: u16,
    },
}

impl FaultRule {
    pub(crate) fn of(fault: &Fault, misbehaviour: Misbehaviour) -> Self {
        let sales = |probability| CallMatch::Sales {
            call: Call::Sale,
            probability,
            seed: fault.number,
        };

        match misbehaviour {
            Misbehaviour::LosesAnswers => Self {
                calls: sales(0.5),
                fault: SimFault::AcceptThenDrop,
            },
            Misbehaviour::Refuses => Self {
                calls: sales(0.3),
                fault: SimFault::Envelope {
                    code: "910",
                    message: "Request parameter error",
                    status: 400,
                },
            },
            Misbehaviour::IsDown => Self {
                calls: CallMatch::Next {
                    call: Call::Any,
                    count: 1,
                },
                fault: SimFault::DownFor {
                    ms: fault.lasts_ms,
                    status: 502,
                },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fault::FaultKind;

    #[test]
    fn rules_have_the_simulators_json() {
        let fault = Fault {
            number: 7,
            at_ms: 0,
            lasts_ms: 1500,
            kind: FaultKind::DiskFull,
        };
        let rule =
            |misbehaviour| serde_json::to_value(FaultRule::of(&fault, misbehaviour)).unwrap();

        assert_eq!(
            rule(Misbehaviour::LosesAnswers),
            json!({
                "match": {"call": "sale", "probability": 0.5, "seed": 7},
                "fault": "accept_then_drop",
            })
        );
        assert_eq!(
            rule(Misbehaviour::Refuses),
            json!({
                "match": {"call": "sale", "probability": 0.3, "seed": 7},
                "fault": {"envelope": {
                    "code": "910", "message": "Request parameter error", "status": 400,
                }},
            })
        );
        assert_eq!(
            rule(Misbehaviour::IsDown),
            json!({
                "match": {"call": "any", "count": 1},
                "fault": {"down_for": {"ms": 1500, "status": 502}},
            })
        );
    }
}
