//! One TLS provider for the whole process.

/// Makes `ring` the provider every rustls client and server of this process uses. Calling it again does nothing.
pub fn install_provider() {
    // An error only says that one is installed already.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
}
