//! The graceful end: when both directions of the session stream are finished, each side says goodbye and waits for the other's.

use iroh::endpoint::SendStream;
use osier_core::peers::{Cause, CloseCode};

use super::Link;

/// The one byte of a goodbye.
const GOODBYE: u8 = 1;

/// Sends this node's goodbye, waits for the peer's (or for its close with code 2), then closes with code 2. There is no deadline here:
/// it is the peer manager's, who closes the connection when it passes.
///
/// # Errors
/// The cause, when the connection ended in another way.
pub async fn say_goodbye(link: &Link) -> Result<(), Cause> {
    let outcome = exchange(link).await;
    match outcome {
        Ok(()) | Err(Cause::Closed(CloseCode::Ok)) => {
            link.close(CloseCode::Ok, "goodbye");
            Ok(())
        }
        Err(cause) => Err(cause),
    }
}

async fn exchange(link: &Link) -> Result<(), Cause> {
    let ended = || link.ended().unwrap_or(Cause::Violation("goodbyeReset"));
    // Kept until the end: dropping a stream that is not acknowledged is no reset once it is finished, but holding it costs nothing.
    let _sent: SendStream = {
        let mut stream = link.connection().open_uni().await.map_err(|_| ended())?;
        stream.write_all(&[GOODBYE]).await.map_err(|_| ended())?;
        stream.finish().map_err(|_| ended())?;
        stream
    };
    let mut stream = link.connection().accept_uni().await.map_err(|_| ended())?;
    match stream.read_to_end(1).await {
        Ok(bytes) if bytes == [GOODBYE] => Ok(()),
        Ok(_) => Err(Cause::Violation("goodbye")),
        Err(_) => Err(ended()),
    }
}
