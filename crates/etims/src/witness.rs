//! Letting a caller see what goes over the wire, to show it to KRA. Off unless asked for.

use std::fmt;
use std::sync::Arc;

/// One request and what came back. Without headers and query, which carry credentials; the bodies may hold
/// some too, and blanking those is for whoever keeps them.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub request: &'a [u8],
    /// `None` when no whole answer came.
    pub status: Option<u16>,
    pub answer: &'a [u8],
}

/// Called with every exchange, in the order of the answers.
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
