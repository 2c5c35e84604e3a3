//! Who is calling, by the rules of each dialect.

use crate::config::{Config, Dialect};
use crate::device::Device;
use crate::envelope::Reply;
use crate::fields::Fields;
use crate::records::{Branch, KraRecords, not_valid};
use crate::refusal::{Mistake, Refusal};
use crate::routes::Call;
use crate::seeded;
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::time::Instant;

/// The identity a request claims, from headers and body as the dialect has it.
#[derive(Debug, Default, Clone)]
pub(crate) struct Credentials {
    pub(crate) branch: Option<Branch>,
    cmc_key: Option<String>,
    bearer: Option<String>,
    app_id: Option<String>,
    /// `tin` or `bhfId` of the body differ from the headers.
    torn: bool,
}

impl Credentials {
    pub(crate) fn of(
        dialect: Dialect,
        call: Call,
        headers: &HeaderMap,
        fields: &Fields<'_>,
    ) -> Self {
        let header = |name: &str| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let body = |name: &str| fields.optional_text(name, 255).ok().flatten();
        let in_body = dialect == Dialect::Vscu || call == Call::Initialise;
        let either = |name: &str| match dialect {
            _ if in_body => body(name),
            Dialect::Gateway => header(name),
            _ => header(name).or_else(|| body(name)),
        };
        let differs = |name: &str| {
            header(name)
                .zip(body(name))
                .is_some_and(|(header, body)| header != body)
        };
        let branch = either("tin")
            .zip(either("bhfId"))
            .map(|(tin, bhf)| Branch { tin, bhf });
        let bearer = header(AUTHORIZATION.as_str())
            .and_then(|value| value.strip_prefix("Bearer ").map(str::to_owned));
        let torn = !in_body && (differs("tin") || differs("bhfId"));
        Self {
            branch,
            cmc_key: either("cmcKey"),
            bearer,
            app_id: header("apigee_app_id"),
            torn,
        }
    }

    /// The device these credentials prove to be.
    ///
    /// # Errors
    /// What the dialect answers to a caller it does not know.
    pub(crate) fn check(&self, records: &mut KraRecords, config: &Config) -> Result<Branch, Reply> {
        let consumer_key = match config.dialect {
            Dialect::Gateway => Some(self.check_token(records)?.to_owned()),
            _ => None,
        };
        let keyless = config.dialect == Dialect::Vscu;
        let branch = self.branch.clone().ok_or_else(|| missing("tin or bhfId"))?;
        if self.cmc_key.is_none() && !keyless {
            return Err(missing("cmcKey"));
        }
        if self.torn {
            return Err(Reply::Refused(Refusal::field(
                "tin",
                "",
                "body and header differ",
            )));
        }
        let device = records
            .devices
            .get(&branch)
            .ok_or_else(|| Reply::Refused(unknown_branch(config.dialect)))?;
        if device.cmc_key.is_none() || !(keyless || device.cmc_key == self.cmc_key) {
            return Err(Reply::Refused(not_valid()));
        }
        match consumer_key {
            Some(key) => self.check_app(device, &key).map(|()| branch),
            None => Ok(branch),
        }
    }

    /// The app that a living token belongs to.
    pub(crate) fn check_token<'a>(&self, records: &'a KraRecords) -> Result<&'a str, Reply> {
        self.bearer
            .as_ref()
            .and_then(|token| records.consumer_key(token))
            .ok_or(Reply::Unauthorised)
    }

    fn check_app(&self, device: &Device, consumer_key: &str) -> Result<(), Reply> {
        let text = match &self.app_id {
            None => "apigee_app_id cannot be Null",
            Some(id) if *id != device.app.app_id => "Invalid apigee_app_id",
            _ if device.app.consumer_key != consumer_key => "Invalid apigee_app_id for this token",
            _ => return Ok(()),
        };
        Err(Reply::Refused(Refusal::new(
            Mistake::Auth,
            "900",
            "",
            text.into(),
        )))
    }

    /// Ends the life of the token in this request.
    pub(crate) fn expire_token(&self, records: &mut KraRecords) {
        if let Some(token) = &self.bearer {
            records.expire_token(token);
        }
    }
}

fn missing(name: &str) -> Reply {
    let text = format!("{name} cannot be Null");
    Reply::Refused(Refusal::new(
        Mistake::Auth,
        "900",
        "There is no Header Information",
        text,
    ))
}

/// A wrong branch makes the gateway vague (a day was lost to that); the others say what it is.
fn unknown_branch(dialect: Dialect) -> Refusal {
    match dialect {
        Dialect::Gateway => Refusal::new(Mistake::Auth, "901", "", "Please try again later".into()),
        Dialect::Legacy => not_valid(),
        Dialect::Vscu => Refusal::new(
            Mistake::Auth,
            "E04",
            "Device or branch not found",
            String::new(),
        ),
    }
}

/// Answers the token call: HTTP Basic with the consumer key and secret of a known app.
pub(crate) fn issue_token(
    records: &mut KraRecords,
    config: &Config,
    headers: &HeaderMap,
    query: &str,
) -> Reply {
    if !query
        .split('&')
        .any(|pair| pair == "grant_type=client_credentials")
    {
        return Reply::Unauthorised;
    }
    let basic = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
    let decoded = basic
        .and_then(|text| STANDARD.decode(text).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let Some((key, secret)) = decoded.as_deref().and_then(|pair| pair.split_once(':')) else {
        return Reply::Unauthorised;
    };
    let known =
        |device: &Device| device.app.consumer_key == key && device.app.consumer_secret == secret;
    if !records.devices.values().any(known) {
        return Reply::Unauthorised;
    }
    records.tokens_issued += 1;
    let token = seeded::base32(
        config.seed,
        "token",
        &[&key.to_owned(), &records.tokens_issued.to_string()],
        28,
    );
    if !records.keep_token(
        token.clone(),
        key.to_owned(),
        Instant::now() + config.token_ttl,
    ) {
        return Reply::Full;
    }
    Reply::Token(token, config.token_ttl.as_secs())
}
