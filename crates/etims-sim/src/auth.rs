//! Who is calling, by the rules of each dialect.

use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::branch::Branch;
use crate::config::{Config, Dialect};
use crate::device::Device;
use crate::fields::Fields;
use crate::records::KraRecords;
use crate::refusal::{Refusal, RefusalKind};
use crate::reply::Reply;
use crate::routes::Call;

/// The credentials of a request, from its headers and body as the dialect has it.
#[derive(Debug, Default, Clone)]
pub(crate) struct Credentials {
    pub(crate) branch: Option<Branch>,
    cmc_key: Option<String>,
    access_token: Option<String>,
    app_id: Option<String>,
    /// Whether the body has another `tin` or `bhfId` than the headers.
    body_contradicts_headers: bool,
}

impl Credentials {
    pub(crate) fn read(
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
        let body_only = dialect == Dialect::Vscu || call == Call::Initialise;
        let find = |name: &str| match dialect {
            _ if body_only => body(name),
            Dialect::Gateway => header(name),
            _ => header(name).or_else(|| body(name)),
        };
        let differs = |name: &str| {
            header(name)
                .zip(body(name))
                .is_some_and(|(header, body)| header != body)
        };

        let branch = find("tin")
            .zip(find("bhfId"))
            .map(|(tin, bhf)| Branch { tin, bhf });
        let access_token = header(AUTHORIZATION.as_str())
            .and_then(|value| value.strip_prefix("Bearer ").map(str::to_owned));
        Self {
            branch,
            cmc_key: find("cmcKey"),
            access_token,
            app_id: header("apigee_app_id"),
            body_contradicts_headers: !body_only && (differs("tin") || differs("bhfId")),
        }
    }

    /// The device that the credentials prove.
    ///
    /// # Errors
    /// What the dialect replies to a caller that it does not know.
    pub(crate) fn authenticate(
        &self,
        records: &KraRecords,
        config: &Config,
    ) -> Result<Branch, Reply> {
        let consumer_key = match config.dialect {
            Dialect::Gateway => Some(self.check_token(records)?),
            _ => None,
        };
        let branch = self
            .branch
            .as_ref()
            .ok_or_else(|| missing_header("tin or bhfId"))?;
        let needs_key = config.dialect != Dialect::Vscu;
        if self.cmc_key.is_none() && needs_key {
            return Err(missing_header("cmcKey").into());
        }
        if self.body_contradicts_headers {
            return Err(Refusal::invalid_field("tin", "", "body and header differ").into());
        }

        let device = records
            .devices
            .get(branch)
            .ok_or_else(|| unknown_branch(config.dialect))?;
        let initialised = device.cmc_key.is_some();
        if !initialised || (needs_key && device.cmc_key != self.cmc_key) {
            return Err(Refusal::invalid_device().into());
        }
        if let Some(consumer_key) = consumer_key {
            self.check_app(device, consumer_key)?;
        }
        Ok(branch.clone())
    }

    /// The consumer key of the app that owns the access token.
    pub(crate) fn check_token<'a>(&self, records: &'a KraRecords) -> Result<&'a str, Reply> {
        self.access_token
            .as_ref()
            .and_then(|access_token| records.access_tokens.consumer_key(access_token))
            .ok_or(Reply::Unauthorised)
    }

    fn check_app(&self, device: &Device, consumer_key: &str) -> Result<(), Refusal> {
        let text = match &self.app_id {
            None => "apigee_app_id cannot be Null",
            Some(id) if *id != device.app.app_id => "Invalid apigee_app_id",
            _ if device.app.consumer_key != consumer_key => "Invalid apigee_app_id for this token",
            _ => return Ok(()),
        };
        Err(Refusal::new(RefusalKind::Auth, "900", "", text.into()))
    }

    /// Expires the access token of this request.
    pub(crate) fn expire_token(&self, records: &mut KraRecords) {
        if let Some(access_token) = &self.access_token {
            records.access_tokens.expire(access_token);
        }
    }
}

fn missing_header(name: &str) -> Refusal {
    let message = "There is no Header Information";
    let gateway_message = format!("{name} cannot be Null");
    Refusal::new(RefusalKind::Auth, "900", message, gateway_message)
}

/// The gateway is vague about a wrong branch, which once cost a day. The other dialects say what
/// is wrong.
fn unknown_branch(dialect: Dialect) -> Refusal {
    match dialect {
        Dialect::Gateway => {
            let text = "Please try again later";
            Refusal::new(RefusalKind::Auth, "901", "", text.into())
        }
        Dialect::Legacy => Refusal::invalid_device(),
        Dialect::Vscu => {
            let message = "Device or branch not found";
            Refusal::new(RefusalKind::Auth, "E04", message, String::new())
        }
    }
}

/// Replies to the token call, which has HTTP Basic with the consumer key and secret of an app.
pub(crate) fn issue_token(
    records: &mut KraRecords,
    config: &Config,
    headers: &HeaderMap,
    query: &str,
) -> Reply {
    let asks_for_token = query
        .split('&')
        .any(|pair| pair == "grant_type=client_credentials");
    let basic = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Basic "))
        .and_then(|text| STANDARD.decode(text).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let Some((key, secret)) = basic.as_deref().and_then(|pair| pair.split_once(':')) else {
        return Reply::Unauthorised;
    };
    let known = records
        .devices
        .values()
        .any(|device| device.app.consumer_key == key && device.app.consumer_secret == secret);
    if !asks_for_token || !known {
        return Reply::Unauthorised;
    }

    match records
        .access_tokens
        .issue(key, config.seed, config.token_ttl)
    {
        Some(access_token) => Reply::Token(access_token, config.token_ttl.as_secs()),
        None => Reply::Full,
    }
}
