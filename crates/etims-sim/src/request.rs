//! A call of KRA's API, as it was received.

use actix_web::http::header::HeaderMap;
use actix_web::web::Bytes;

use crate::auth::Credentials;
use crate::routes::Call;

/// A request to KRA's API, with the credentials that it carries.
pub(crate) struct KraRequest {
    pub(crate) call: Call,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) credentials: Credentials,
}
