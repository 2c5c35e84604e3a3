//! Shows a caller what goes over the wire, as evidence for KRA. It is off by default.

use std::fmt;
use std::sync::Arc;

/// One request and its answer. Headers and query are left out, because they carry credentials. The
/// bodies may hold some too, and whoever keeps them has to blank those.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub request: &'a [u8],
    /// It is `None` when no whole answer came.
    pub status: Option<u16>,
    pub answer: &'a [u8],
}

/// A function that is called with every exchange, in the order of the answers.
#[derive(Clone)]
pub struct Witness(Arc<dyn Fn(&Exchange<'_>) + Send + Sync>);

impl Witness {
    pub fn new(see: impl Fn(&Exchange<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(see))
    }

    pub(crate) fn see(&self, exchange: &Exchange<'_>) {
        (self.0)(exchange);
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Witness")
    }
}
