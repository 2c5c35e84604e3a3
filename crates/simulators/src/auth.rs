//! Who is calling, by the rules of each dialect.

use crate::books::{Books, Branch, Device, not_valid};
use crate::config::{Config, Dialect};
use crate::draw;
use crate::envelope::Reply;
use crate::fields::Fields;
use crate::refusal::{Mistake, Refusal};
use crate::routes::Call;
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::time::Instant;

/// The identity a request claims, from headers and body as the dialect has it.
#[derive(Debug, Default, Clone)]
pub(crate) struct Claim {
    pub(crate) branch: Option<Branch>,
    cmc_key: Option<String>,
    bearer: Option<String>,
    app_id: Option<String>,
    /// `tin` or `bhfId` of the body differ from the headers.
    torn: bool,
}

impl Claim {
    pub(crate) fn of(dialect: Dialect, call: Call, headers: &HeaderMap, fields: &Fields<'_>) -> Self {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = |name: &str| fields.optional_text(name, 255).ok().flatten();
        let in_body = dialect == Dialect::Vscu || call == Call::Initialise;
        let either = |name: &str| match dialect {
            _ if in_body => body(name),
            Dialect::Gateway => header(name),
            _ => header(name).or_else(|| body(name)),
        };
        let differs = |name: &str| header(name).zip(body(name)).is_some_and(|(header, body)| header != body);
        let branch = either("tin").zip(either("bhfId")).map(|(tin, bhf)| Branch { tin, bhf });
        let bearer =
            header(AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer ").map(str::to_owned));
        let torn = !in_body && (differs("tin") || differs("bhfId"));
        Self { branch, cmc_key: either("cmcKey"), bearer, app_id: header("apigee_app_id"), torn }
    }

    /// The device this claim proves to be.
    ///
    /// # Errors
    /// What the dialect answers to a caller it does not know.
    pub(crate) fn check<'a>(
        &self,
        books: &'a mut Books,
        config: &Config,
    ) -> Result<(Branch, &'a mut Device), Reply> {
        if config.dialect == Dialect::Gateway {
            self.check_token(books)?;
        }
        let keyless = config.dialect == Dialect::Vscu;
        let Some(branch) = self.branch.clone().filter(|_| keyless || self.cmc_key.is_some()) else {
            return Err(missing("tin, bhfId or cmcKey cannot be Null"));
        };
        if self.torn {
            return Err(Reply::Refused(Refusal::field("tin", "", "body and header differ")));
        }
        let known = books.devices.get_mut(&branch);
        let device = known.ok_or_else(|| Reply::Refused(unknown_branch(config.dialect)))?;
        let key_right = device.cmc_key.is_some() && (keyless || device.cmc_key == self.cmc_key);
        if !key_right {
            return Err(Reply::Refused(not_valid()));
        }
        if config.dialect == Dialect::Gateway && self.app_id.as_ref() != Some(&device.app.app_id) {
            return Err(Reply::Refused(app_id(self.app_id.is_none())));
        }
        Ok((branch, device))
    }

    /// The token is good; on initialisation nothing more is known yet.
    pub(crate) fn check_token(&self, books: &Books) -> Result<(), Reply> {
        let token = self.bearer.as_ref().and_then(|token| books.tokens.get(token));
        match token {
            Some((_, until)) if Instant::now() < *until => Ok(()),
            _ => Err(Reply::Unauthorised),
        }
    }

    /// Ends the life of the token in this request.
    pub(crate) fn expire_token(&self, books: &mut Books) {
        if let Some(token) = &self.bearer {
            books.tokens.remove(token);
        }
    }
}

fn missing(gateway: &str) -> Reply {
    Reply::Refused(Refusal::new(Mistake::Auth, "900", "There is no Header Information", gateway.into()))
}

/// A wrong branch makes the gateway vague (a day was lost to that); the others say what it is.
fn unknown_branch(dialect: Dialect) -> Refusal {
    match dialect {
        Dialect::Gateway => Refusal::new(Mistake::Auth, "901", "", "Please try again later".into()),
        Dialect::Legacy => not_valid(),
        Dialect::Vscu => Refusal::new(Mistake::Auth, "E04", "Device or branch not found", String::new()),
    }
}

fn app_id(absent: bool) -> Refusal {
    let text = if absent { "apigee_app_id cannot be Null" } else { "Invalid apigee_app_id" };
    Refusal::new(Mistake::Auth, "900", "", text.into())
}

/// Answers the token call: HTTP Basic with the consumer key and secret of a known app.
pub(crate) fn issue_token(books: &mut Books, config: &Config, headers: &HeaderMap, query: &str) -> Reply {
    if !query.split('&').any(|pair| pair == "grant_type=client_credentials") {
        return Reply::Unauthorised;
    }
    let basic = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
    let decoded =
        basic.and_then(|text| STANDARD.decode(text).ok()).and_then(|bytes| String::from_utf8(bytes).ok());
    let Some((key, secret)) = decoded.as_deref().and_then(|pair| pair.split_once(':')) else {
        return Reply::Unauthorised;
    };
    let known = |device: &Device| device.app.consumer_key == key && device.app.consumer_secret == secret;
    if !books.devices.values().any(known) {
        return Reply::Unauthorised;
    }
    let now = Instant::now();
    books.tokens.retain(|_, (_, until)| now < *until);
    books.tokens_issued += 1;
    let key = key.to_owned();
    let token = draw::base32(config.seed, "token", &[&key, &books.tokens_issued.to_string()], 28);
    books.tokens.insert(token.clone(), (key, now + config.token_ttl));
    Reply::Token(token, config.token_ttl.as_secs())
}
