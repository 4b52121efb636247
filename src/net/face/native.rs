//! The endpoint outside a browser.

use iroh::endpoint::Builder;
use rustls::crypto::CryptoProvider;

/// Ring, in its own order.
pub(super) fn crypto_provider() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}

/// Binds no socket for direct connections.
pub(super) fn relays_only(builder: Builder) -> Builder {
    builder.clear_ip_transports()
}
