//! Payload streams: one bidirectional stream per large payload, a request one way, the reply the other.
//!
//! What the bytes mean is `osier_core::payload`'s business.

use std::rc::Rc;

use iroh::endpoint::{RecvStream, SendStream, VarInt};
use osier_core::peers::Cause;

use super::Link;

/// Behind the session stream, whose messages are small and awaited.
const PRIORITY: i32 = -1;
/// Bytes read at once.
const READ_SIZE: usize = 256 * 1024;
/// Stream error code: the other side is not interested any more.
const GIVEN_UP: VarInt = VarInt::from_u32(1);

/// Why a payload stream broke.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamBroken {
    /// The peer gave up this stream alone.
    GivenUp,
    /// The connection ended.
    Connection(Cause),
}

/// The asker's side of a payload stream: the reply. Dropping it tells the peer to stop.
#[derive(Debug)]
pub struct PayloadReply {
    link: Rc<Link>,
    recv: RecvStream,
    _send: SendStream,
}

/// Sends a request on a new stream. Waits while the peer allows no more streams.
///
/// # Errors
/// When the stream broke.
pub async fn open_payload_stream(link: Rc<Link>, request: &[u8]) -> Result<PayloadReply, StreamBroken> {
    let (mut send, recv) = link.connection().open_bi().await.map_err(|_| broken(&link))?;
    send.write_all(request).await.map_err(|_| broken(&link))?;
    send.finish().map_err(|_| broken(&link))?;
    Ok(PayloadReply { link, recv, _send: send })
}

impl PayloadReply {
    /// The next bytes of the reply, `None` after the last.
    ///
    /// # Errors
    /// When the stream broke.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, StreamBroken> {
        match self.recv.read_chunk(READ_SIZE).await {
            Ok(chunk) => Ok(chunk.map(|bytes| bytes.to_vec())),
            Err(_) => Err(broken(&self.link)),
        }
    }
}

/// The server's side of a payload stream. Dropping it before [`PayloadStream::finish`] resets it.
#[derive(Debug)]
pub struct PayloadStream {
    link: Rc<Link>,
    send: SendStream,
    recv: RecvStream,
}

/// The next payload stream that the peer opens.
///
/// # Errors
/// The cause, when the connection ended.
pub async fn accept_payload_stream(link: Rc<Link>) -> Result<PayloadStream, Cause> {
    match link.connection().accept_bi().await {
        Ok((send, recv)) => {
            // Fails only when the stream is over already, which the first write shows.
            let _ = send.set_priority(PRIORITY);
            Ok(PayloadStream { link, send, recv })
        }
        Err(_) => Err(link.ended().unwrap_or(Cause::Lost)),
    }
}

impl PayloadStream {
    /// The request, as bytes. `None`: it is longer than `limit`.
    ///
    /// # Errors
    /// When the stream broke.
    pub async fn request(&mut self, limit: usize) -> Result<Option<Vec<u8>>, StreamBroken> {
        match self.recv.read_to_end(limit).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(iroh::endpoint::ReadToEndError::TooLong) => Ok(None),
            Err(_) => Err(broken(&self.link)),
        }
    }

    /// Sends bytes of the reply. Waits for the transport.
    ///
    /// # Errors
    /// When the stream broke.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), StreamBroken> {
        self.send.write_all(bytes).await.map_err(|_| broken(&self.link))
    }

    /// Ends the reply.
    pub fn finish(mut self) {
        // A stream that the peer stopped is over as well.
        let _ = self.send.finish();
    }

    /// Ends the reply early: the payload changed, or could not be read.
    pub fn give_up(mut self) {
        let _ = self.send.reset(GIVEN_UP);
    }
}

fn broken(link: &Link) -> StreamBroken {
    link.ended().map_or(StreamBroken::GivenUp, StreamBroken::Connection)
}
