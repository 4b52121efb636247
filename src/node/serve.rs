//! Payloads that a peer asks for, each on a stream of its own: beside the session, which says what the peer may have.

use std::rc::Rc;

use n0_future::{FuturesUnordered, StreamExt as _};
use osier_core::payload::PayloadRequest;
use tokio::sync::{mpsc, oneshot};

use super::{inner::Inner, session::Command, transfer};
use crate::net::{Link, PayloadStream, accept_payload_stream};

/// Serves payload streams as long as the connection lives. How many at a time is bounded by the transport.
pub(super) async fn serve_payloads(node: Rc<Inner>, link: Rc<Link>, commands: mpsc::UnboundedSender<Command>) {
    let mut serving = FuturesUnordered::new();
    loop {
        tokio::select! {
            stream = accept_payload_stream(link.clone()) => match stream {
                Ok(stream) => serving.push(serve_one(node.clone(), stream, commands.clone())),
                Err(_) => return,
            },
            Some(()) = serving.next(), if !serving.is_empty() => {}
        }
    }
}

async fn serve_one(node: Rc<Inner>, mut stream: PayloadStream, commands: mpsc::UnboundedSender<Command>) {
    let Ok(bytes) = stream.request(PayloadRequest::MAX_LEN).await else { return };
    let Some(request) = bytes.and_then(|bytes| PayloadRequest::decode(&bytes).ok()) else {
        let _ = commands.send(Command::BadRequest);
        return;
    };
    let (reply, answer) = oneshot::channel();
    let asked = commands.send(Command::Authorise { request: request.clone(), reply });
    if let (Ok(()), Ok(authorised)) = (asked, answer.await) {
        // A stream that broke concerns the peer that asked, who knows.
        let _ = transfer::serve(&node, stream, &request, authorised).await;
    }
}
