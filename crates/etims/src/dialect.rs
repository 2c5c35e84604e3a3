//! The differences between KRA's three dialects: paths, headers, and what they refuse.

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use risiti_domain::Dialect;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::profile::DeviceProfile;

/// The calls that KRA offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Initialise,
    CodeList,
    SaveSale,
    FindInvoice,
}

/// A setting of the device that is missing or cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("device has no usable {0}")]
pub(crate) struct Unusable(pub(crate) &'static str);

/// The paths of an action, the likelier spelling first. There is none where the dialect has no such
/// call.
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
        // KRA's Postman collection spells it both ways.
        (Action::FindInvoice, Dialect::Gateway) => {
            &["/selectInvoiceDetail", "/selectInvoiceDetails"]
        }
        (Action::FindInvoice, Dialect::Vscu) => &[],
    }
}

/// Joins base and path, whether or not the base ends in a slash. A query of the base is dropped.
pub(crate) fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url.set_query(None);
    url.set_fragment(None);
    url
}

/// Builds the headers of one call. The gateway's `token` comes from its token host.
pub(crate) fn headers(
    profile: &DeviceProfile,
    action: Action,
    token: Option<&SecretString>,
) -> Result<HeaderMap, Unusable> {
    let mut headers = HeaderMap::new();
    headers.insert(
        reqwest::header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    if profile.dialect == Dialect::Vscu {
        return Ok(headers);
    }
    headers.insert(
        HeaderName::from_static("tin"),
        plain_header(&profile.pin, "pin")?,
    );
    headers.insert(
        HeaderName::from_static("bhfid"),
        plain_header(&profile.branch, "branch")?,
    );
    if action != Action::Initialise {
        let key = profile.cmc_key.as_ref().ok_or(Unusable("cmcKey"))?;
        headers.insert(
            HeaderName::from_static("cmckey"),
            secret_header(key.expose_secret(), "cmcKey")?,
        );
    }
    if profile.dialect == Dialect::Gateway {
        let settings = profile.token.as_ref().ok_or(Unusable("token settings"))?;
        let token = token.ok_or(Unusable("token"))?.expose_secret();
        headers.insert(
            AUTHORIZATION,
            secret_header(&format!("Bearer {token}"), "token")?,
        );
        headers.insert(
            HeaderName::from_static("apigee_app_id"),
            secret_header(&settings.app_id, "app id")?,
        );
    }
    Ok(headers)
}

/// The field `custTin`. For a buyer who gave no PIN it is null. A VSCU then gets no such field,
/// because one integrator saw it refuse null.
pub(crate) fn buyer_pin(dialect: Dialect, pin: Option<&str>) -> Option<Option<&str>> {
    (pin.is_some() || dialect != Dialect::Vscu).then_some(pin)
}

fn plain_header(text: &str, what: &'static str) -> Result<HeaderValue, Unusable> {
    if text.trim().is_empty() {
        return Err(Unusable(what));
    }
    HeaderValue::from_str(text.trim()).map_err(|_| Unusable(what))
}

fn secret_header(text: &str, what: &'static str) -> Result<HeaderValue, Unusable> {
    let mut value = plain_header(text, what)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::sample;

    #[test]
    fn a_base_joins_with_or_without_a_slash() {
        for (base, joined) in [
            (
                "https://kra.test/etims-api",
                "https://kra.test/etims-api/saveItem",
            ),
            (
                "https://kra.test/etims-api/",
                "https://kra.test/etims-api/saveItem",
            ),
            (
                "https://kra.test/etims-api// ",
                "https://kra.test/etims-api/saveItem",
            ),
            ("http://kra.test:8088", "http://kra.test:8088/saveItem"),
            ("http://kra.test/v1?x=1#y", "http://kra.test/v1/saveItem"),
        ] {
            assert_eq!(
                join(&Url::parse(base).unwrap(), "/saveItem").as_str(),
                joined,
                "{base:?}"
            );
        }
    }

    #[test]
    fn each_dialect_has_its_headers() {
        let token = SecretString::from("the-token");
        let names = |dialect, action| {
            let headers = headers(&sample(dialect), action, Some(&token)).unwrap();
            let mut names: Vec<_> = headers
                .keys()
                .map(|name| name.as_str().to_owned())
                .collect();
            names.sort();
            names
        };
        assert_eq!(
            names(Dialect::Legacy, Action::SaveSale),
            ["bhfid", "cmckey", "content-type", "tin"]
        );
        assert_eq!(
            names(Dialect::Legacy, Action::Initialise),
            ["bhfid", "content-type", "tin"]
        );
        assert_eq!(
            names(Dialect::Gateway, Action::FindInvoice),
            [
                "apigee_app_id",
                "authorization",
                "bhfid",
                "cmckey",
                "content-type",
                "tin"
            ]
        );
        assert_eq!(names(Dialect::Vscu, Action::SaveSale), ["content-type"]);
    }

    #[test]
    fn secret_headers_are_sensitive_and_missing_ones_named() {
        let mut profile = sample(Dialect::Gateway);
        let token = SecretString::from("the-token");
        let headers = super::headers(&profile, Action::SaveSale, Some(&token)).unwrap();
        for name in ["authorization", "cmckey", "apigee_app_id"] {
            assert!(headers[name].is_sensitive(), "{name}");
        }
        assert_eq!(
            super::headers(&profile, Action::SaveSale, None).unwrap_err(),
            Unusable("token")
        );
        profile.cmc_key = Some(SecretString::from("two\nlines"));
        assert_eq!(
            super::headers(&profile, Action::SaveSale, Some(&token)).unwrap_err(),
            Unusable("cmcKey")
        );
        profile.cmc_key = None;
        assert_eq!(
            super::headers(&profile, Action::SaveSale, Some(&token)).unwrap_err(),
            Unusable("cmcKey")
        );
    }
}
