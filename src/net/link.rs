//! One connection: closing it with a code, knowing why it ended, measuring it.

use iroh::endpoint::{Connection, VarInt};
use osier_core::{
    PeerId,
    peers::{Cause, CloseCode},
};

use super::cause;

/// A connection whose handshake is done. It is closed with code 0 when the last reference is dropped.
#[derive(Debug)]
pub struct Link {
    connection: Connection,
}

/// What there is to measure on a connection.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct LinkStats {
    /// URL of the relay that the selected path runs through.
    pub relay: Option<String>,
    /// Round trip time on the selected path, in milliseconds.
    pub rtt_millis: Option<f64>,
    /// Bytes sent, everything included.
    pub bytes_sent: u64,
    /// Bytes received, everything included.
    pub bytes_received: u64,
}

impl Link {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection }
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The peer, as TLS authenticated it.
    #[must_use]
    pub fn peer(&self) -> PeerId {
        PeerId(*self.connection.remote_id().as_bytes())
    }

    /// Closes the connection. The first close counts.
    pub fn close(&self, code: CloseCode, reason: &str) {
        self.connection.close(VarInt::from_u32(code.number().into()), reason.as_bytes());
    }

    /// Why the connection ended, asked of the connection itself; `None` while it is open.
    #[must_use]
    pub fn ended(&self) -> Option<Cause> {
        self.connection.close_reason().as_ref().map(cause::of_connection)
    }

    /// Waits for the connection to end, for any reason.
    pub async fn closed(&self) -> Cause {
        cause::of_connection(&self.connection.closed().await)
    }

    /// 32 bytes that only the two ends of this very connection know.
    ///
    /// # Errors
    /// When TLS has none to give.
    pub(super) fn export(&self, label: &[u8], context: &[u8]) -> Result<[u8; 32], Cause> {
        let mut secret = [0; 32];
        self.connection.export_keying_material(&mut secret, label, context).map_err(|_| Cause::Failed("keyExport"))?;
        Ok(secret)
    }

    /// Measurements of this moment.
    #[must_use]
    pub fn stats(&self) -> LinkStats {
        let stats = self.connection.stats();
        let paths = self.connection.paths();
        let selected = paths.iter().find(iroh::endpoint::Path::is_selected).or_else(|| paths.iter().next());
        LinkStats {
            relay: selected.as_ref().and_then(|path| match path.remote_addr() {
                iroh::TransportAddr::Relay(url) => Some(url.to_string()),
                _ => None,
            }),
            rtt_millis: selected.as_ref().map(|path| path.rtt().as_secs_f64() * 1000.0),
            bytes_sent: stats.udp_tx.bytes,
            bytes_received: stats.udp_rx.bytes,
        }
    }
}
