//! The endpoint in a browser.

use iroh::endpoint::Builder;
use rustls::{CipherSuite, crypto::CryptoProvider};

/// Ring, with ChaCha20-Poly1305 first: in WebAssembly AES has no hardware path.
pub(super) fn crypto_provider() -> CryptoProvider {
    let mut provider = rustls::crypto::ring::default_provider();
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_CHACHA20_POLY1305_SHA256);
    provider
}

/// Nothing but relays can be reached from a browser.
pub(super) fn relays_only(builder: Builder) -> Builder {
    builder
}
