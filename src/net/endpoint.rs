//! The endpoint: one key, connections through relays alone.

use std::{rc::Rc, sync::Arc};

use iroh::{
    EndpointAddr, EndpointId, RelayConfig, RelayMap, RelayMode, RelayUrl, SecretKey, TransportAddr, Watcher,
    endpoint::{Incoming, QuicTransportConfig, VarInt, presets},
};
use osier_core::{PeerId, peers::Cause};

use super::{Link, cause, face};

/// Names the protocol, with its version, in the TLS handshake.
pub const ALPN: &[u8] = b"/osier/2";

/// Bytes that a peer may have under way on one connection, all streams together.
const RECEIVE_WINDOW: u32 = 8 * 1024 * 1024;
/// Bytes that a peer may have under way on one stream.
const STREAM_RECEIVE_WINDOW: u32 = 2 * 1024 * 1024;
/// Bytes that this node keeps unacknowledged on one connection.
const SEND_WINDOW: u64 = 8 * 1024 * 1024;
/// Streams that a peer may have open each way: the session stream and payloads; the goodbye.
const BIDIRECTIONAL_STREAMS: u32 = 33;
const UNIDIRECTIONAL_STREAMS: u32 = 2;

/// What an endpoint is bound with.
#[derive(Clone, Debug)]
pub struct EndpointOptions {
    /// The Ed25519 secret.
    pub secret_key: [u8; 32],
    /// URLs of relays.
    pub relays: Vec<String>,
}

/// A text that is no URL of a relay.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{url}` is no URL of a relay (http or https): {reason}")]
pub struct RelayUrlError {
    url: String,
    reason: String,
}

/// Why an endpoint could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A relay's URL is none.
    #[error(transparent)]
    Relay(#[from] RelayUrlError),
    /// The transport said no.
    #[error("the endpoint could not be bound: {0}")]
    Transport(String),
}

/// Whom to dial, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DialAddress {
    /// The endpoint id.
    pub id: PeerId,
    /// URLs of relays; those that are none are left out.
    pub relays: Vec<String>,
}

/// An endpoint. Clones are the same endpoint.
#[derive(Clone, Debug)]
pub struct Endpoint {
    inner: iroh::Endpoint,
}

/// A connection that arrived; nothing of it has been read. Dropping it refuses it.
#[derive(Debug)]
pub struct Arrival(Incoming);

/// Whether an id is a public key, so that somebody could have it.
#[must_use]
pub fn is_peer_id(id: &PeerId) -> bool {
    EndpointId::from_bytes(&id.0).is_ok()
}

/// The canonic form of a relay's URL.
///
/// # Errors
/// When it is no URL, or none that a WebSocket can be opened to.
pub fn check_relay_url(text: &str) -> Result<String, RelayUrlError> {
    parse_relay_url(text).map(|url| url.to_string())
}

fn parse_relay_url(text: &str) -> Result<RelayUrl, RelayUrlError> {
    let error = |reason: String| RelayUrlError { url: text.to_owned(), reason };
    let url: RelayUrl = text.parse().map_err(|reason| error(format!("{reason:#}")))?;
    match url.scheme() {
        "http" | "https" if url.host_str().is_some() => Ok(url),
        "http" | "https" => Err(error("no host".into())),
        scheme => Err(error(format!("the scheme is `{scheme}`"))),
    }
}

/// The endpoint id of a secret key.
#[must_use]
pub fn id_of(secret_key: &[u8; 32]) -> PeerId {
    PeerId(*SecretKey::from_bytes(secret_key).public().as_bytes())
}

impl Endpoint {
    /// Binds an endpoint. Does not wait for a relay.
    ///
    /// # Errors
    /// [`BindError`].
    pub async fn bind(options: EndpointOptions) -> Result<Self, BindError> {
        let relays = options.relays.iter().map(|url| parse_relay_url(url)).collect::<Result<Vec<_>, _>>()?;
        let map = RelayMap::from_iter(relays.into_iter().map(|url| RelayConfig::new(url, None)));
        let builder = iroh::Endpoint::builder(presets::Empty)
            .crypto_provider(Arc::new(face::crypto_provider()))
            .secret_key(SecretKey::from_bytes(&options.secret_key))
            .relay_mode(RelayMode::Custom(map))
            .transport_config(transport_config())
            .alpns(vec![ALPN.to_vec()]);
        let inner = face::relays_only(builder).bind().await.map_err(|error| BindError::Transport(format!("{error:#}")))?;
        Ok(Self { inner })
    }

    /// This node's endpoint id.
    #[must_use]
    pub fn id(&self) -> PeerId {
        PeerId(*self.inner.id().as_bytes())
    }

    /// Connects to a peer. There is no deadline of its own but the transport's (30 s).
    ///
    /// # Errors
    /// The cause, as the peer manager needs it.
    pub async fn dial(&self, address: &DialAddress) -> Result<Rc<Link>, Cause> {
        let id = EndpointId::from_bytes(&address.id.0).map_err(|_| Cause::Unreachable)?;
        let relays = address.relays.iter().filter_map(|url| parse_relay_url(url).ok()).map(TransportAddr::Relay);
        let address = EndpointAddr::from_parts(id, relays);
        if address.is_empty() {
            return Err(Cause::Unreachable);
        }
        let connection = self.inner.connect(address, ALPN).await.map_err(|error| {
            tracing::debug!(peer = %id.fmt_short(), "dial failed: {error:#}");
            cause::of_connect(&error)
        })?;
        Ok(Rc::new(Link::new(connection)))
    }

    /// The next connection that arrives; `None` when the endpoint is closed.
    pub async fn accept(&self) -> Option<Arrival> {
        self.inner.accept().await.map(Arrival)
    }

    /// Calls back with the state of the home relays, now and whenever it changes, until the endpoint is closed.
    pub async fn watch_relays(&self, mut changed: impl FnMut(Vec<HomeRelay>)) {
        let mut watcher = self.inner.home_relay_status();
        let mut status = watcher.get();
        loop {
            changed(status.iter().map(HomeRelay::of).collect());
            tokio::select! {
                updated = watcher.updated() => match updated {
                    Ok(updated) => status = updated,
                    Err(_) => return,
                },
                _ = self.inner.closed() => return,
            }
        }
    }

    /// Closes every connection and waits until the peers know, some seconds at most.
    pub async fn close(&self) {
        self.inner.close().await;
    }
}

/// How a home relay stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HomeRelay {
    /// Its URL.
    pub url: String,
    /// Whether it is connected.
    pub connected: bool,
    /// What it said, if it denied this node.
    pub denied: Option<String>,
    /// Why the last attempt at it failed, for people.
    pub failure: Option<String>,
}

impl HomeRelay {
    fn of(status: &iroh::endpoint::RelayStatus) -> Self {
        Self {
            url: status.url().to_string(),
            connected: status.is_connected(),
            denied: status.auth_denied_reason().map(str::to_owned),
            failure: status.last_error().map(|error| format!("{error:#}")),
        }
    }
}

impl Arrival {
    /// Refuses it before the handshake.
    pub fn refuse(self) {
        self.0.refuse();
    }

    /// Finishes the handshake.
    ///
    /// # Errors
    /// The cause, as the peer manager needs it.
    pub async fn accept(self) -> Result<Rc<Link>, Cause> {
        let accepting = self.0.accept().map_err(|error| cause::of_connection(&error))?;
        let connection = accepting.await.map_err(|error| cause::of_connecting(&error))?;
        Ok(Rc::new(Link::new(connection)))
    }
}

fn transport_config() -> QuicTransportConfig {
    QuicTransportConfig::builder()
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW))
        .stream_receive_window(VarInt::from_u32(STREAM_RECEIVE_WINDOW))
        .send_window(SEND_WINDOW)
        .max_concurrent_bidi_streams(VarInt::from_u32(BIDIRECTIONAL_STREAMS))
        .max_concurrent_uni_streams(VarInt::from_u32(UNIDIRECTIONAL_STREAMS))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_urls_are_relays() {
        assert_eq!(check_relay_url("http://127.0.0.1:3340"), Ok("http://127.0.0.1:3340/".into()));
        for bad in ["", "relay", "ftp://relay.example", "http://", "127.0.0.1:3340", "file:///relay"] {
            assert!(check_relay_url(bad).is_err(), "{bad}");
        }
    }
}
