//! What came of a call, before a dialect puts it into words.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::refusal::Refusal;

#[derive(Debug)]
pub(crate) enum Reply {
    Done(Box<RawValue>),
    /// A look-up that found something. The legacy text of this success differs.
    Found(Box<RawValue>),
    /// Code 001.
    Nothing,
    Refused(Refusal),
    /// A gateway token, with its lifetime in seconds.
    Token(String, u64),
    /// The token is missing, unknown or expired.
    Unauthorised,
    /// The gateway knows the path and has wired it to nothing for the app.
    Unwired,
    /// The simulator keeps no more, or cannot write its journal.
    Full,
}

impl Reply {
    pub(crate) fn done(data: &impl Serialize) -> Self {
        // Maps with string keys and numbers always serialise.
        Self::Done(to_raw_value(data).expect("plain data serialises"))
    }

    /// Ends the keys of receipt numbers with a blank, as the sample of KRA's specification does.
    pub(crate) fn with_padded_keys(self) -> Self {
        let Self::Done(data) = self else {
            return self;
        };
        let text = data
            .get()
            .replace("\"curRcptNo\":", "\"curRcptNo \":")
            .replace("\"totRcptNo\":", "\"totRcptNo \":");
        Self::Done(RawValue::from_string(text).expect("renaming a key keeps JSON valid"))
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
