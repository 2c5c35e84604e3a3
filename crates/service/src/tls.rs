//! One TLS provider for the whole process.

/// Makes `ring` the TLS provider of every rustls client and server in this process. A second call
/// does nothing.
pub fn install_provider() {
    // The only error is that a provider is installed already.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
}
