//! Where KRA's three fronts differ: paths, headers, and what they refuse.

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use risiti_domain::Dialect;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::profile::DeviceProfile;

/// What is asked of KRA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Initialise,
    CodeList,
    SaveSale,
    FindInvoice,
}

/// A setting that is missing or cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("device has no usable {0}")]
pub(crate) struct Unusable(pub(crate) &'static str);

/// The paths of an action, the likelier spelling first; none where the front has no such call.
pub(crate) fn paths(dialect: Dialect, action: Action) -> &'static [&'static str] {
    match (action, dialect) {
        (Action::Initialise, Dialect::Legacy) => &["/selectInitOsdcInfo"],
        (Action::Initialise, Dialect::Gateway) => &["/initialize"],
        (Action::Initialise, Dialect::Vscu) => &["/initializer/selectInitInfo"],
        (Action::CodeList, Dialect::Legacy | Dialect::Gateway) => &["/selectCodeList"],
        (Action::CodeList, Dialect::Vscu) => &["/code/selectCodes"],
        (Action::SaveSale, Dialect::Legacy) => &["/saveTrnsSalesOsdc"],
        (Action::SaveSale, Dialect::Gateway) => &["/sendSalesTransaction"],
        (Action::SaveSale, Dialect::Vscu) => &["/trnsSales/saveSales"],
        (Action::FindInvoice, Dialect::Legacy) => &["/selectInvoiceDetails"],
        // KRA's Postman set spells it both ways.
        (Action::FindInvoice, Dialect::Gateway) => &["/selectInvoiceDetail", "/selectInvoiceDetails"],
        (Action::FindInvoice, Dialect::Vscu) => &[],
    }
}

/// Joins, whether or not the base ends in a slash. A query of the base is dropped.
pub(crate) fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url.set_query(None);
    url.set_fragment(None);
    url
}

/// The headers of one call. The gateway's `token` comes from its token host.
pub(crate) fn headers(
    profile: &DeviceProfile,
    action: Action,
    token: Option<&SecretString>,
) -> Result<HeaderMap, Unusable> {
    let mut headers = HeaderMap::new();
    headers.insert(reqwest::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if profile.dialect == Dialect::Vscu {
        return Ok(headers);
    }
    headers.insert(HeaderName::from_static("tin"), plain(&profile.pin, "pin")?);
    headers.insert(HeaderName::from_static("bhfid"), plain(&profile.branch, "branch")?);
    if action != Action::Initialise {
        let key = profile.cmc_key.as_ref().ok_or(Unusable("cmcKey"))?;
        headers.insert(HeaderName::from_static("cmckey"), secret(key.expose_secret(), "cmcKey")?);
    }
    if profile.dialect == Dialect::Gateway {
        let settings = profile.token.as_ref().ok_or(Unusable("token settings"))?;
        let token = token.ok_or(Unusable("token"))?.expose_secret();
        headers.insert(AUTHORIZATION, secret(&format!("Bearer {token}"), "token")?);
        headers.insert(HeaderName::from_static("apigee_app_id"), secret(&settings.app_id, "app id")?);
    }
    Ok(headers)
}

/// `custTin` of a customer who gave none: null, but one integrator saw a VSCU refuse null.
pub(crate) fn walk_in_buyer(dialect: Dialect) -> Option<()> {
    (dialect != Dialect::Vscu).then_some(())
}

fn plain(text: &str, what: &'static str) -> Result<HeaderValue, Unusable> {
    if text.trim().is_empty() {
        return Err(Unusable(what));
    }
    HeaderValue::from_str(text.trim()).map_err(|_| Unusable(what))
}

fn secret(text: &str, what: &'static str) -> Result<HeaderValue, Unusable> {
    let mut value = plain(text, what)?;
    value.set_sensitive(true);
    Ok(value)
}
