//! The gateway's OAuth access tokens.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::seeded;

/// Bound on the tokens that are valid at once.
const MAX_TOKENS: usize = 10_000;

#[derive(Default)]
pub(crate) struct AccessTokens {
    tokens: HashMap<String, AccessToken>,
    issued: u64,
}

struct AccessToken {
    consumer_key: String,
    expires_at: Instant,
}

impl AccessTokens {
    /// Issues a token to the app with this consumer key, or `None` when too many are valid.
    pub(crate) fn issue(
        &mut self,
        consumer_key: &str,
        seed: u64,
        lifetime: Duration,
    ) -> Option<String> {
        self.issued += 1;
        let parts = [&consumer_key.to_owned(), &self.issued.to_string()];
        let access_token = seeded::base32(seed, "token", &parts, 28);

        let now = Instant::now();
        self.tokens.retain(|_, token| now < token.expires_at);
        if self.tokens.len() >= MAX_TOKENS {
            return None;
        }

        let token = AccessToken {
            consumer_key: consumer_key.to_owned(),
            expires_at: now + lifetime,
        };
        self.tokens.insert(access_token.clone(), token);
        Some(access_token)
    }

    /// The consumer key of the app that owns this token, while the token is valid.
    pub(crate) fn consumer_key(&self, access_token: &str) -> Option<&str> {
        self.tokens
            .get(access_token)
            .filter(|token| Instant::now() < token.expires_at)
            .map(|token| token.consumer_key.as_str())
    }

    pub(crate) fn expire(&mut self, access_token: &str) {
        self.tokens.remove(access_token);
    }

    /// How many tokens were ever issued.
    pub(crate) fn issued(&self) -> u64 {
        self.issued
    }
}
