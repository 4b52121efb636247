//! The exchange of Hellos that makes a connection a session's.
//!
//! The dialer opens the session stream and speaks first; the acceptor reads, lets the peer manager decide, and only then answers. Deadlines
//! are the peer manager's: a future here that takes too long is dropped.

use std::rc::Rc;

use iroh::endpoint::{RecvStream, SendStream};
use osier_core::{
    Generation, PeerId, Role,
    peers::Cause,
    sync::{FrameReader, Hello, HelloError, Limits, frame::encode_hello_frame},
};
use willow25::prelude::{SubspaceId, SubspaceSecret};

use super::Link;

/// Label of the TLS exporter.
const EXPORTER_LABEL: &[u8] = b"osier session secret 1";

/// What this node says about itself in a Hello, but for what is fresh in each.
#[derive(Clone, Debug)]
pub struct OwnHello {
    /// Payloads of at most 2^this bytes may be sent to this node unasked.
    pub max_payload_power: u8,
    /// Resources that a peer may use.
    pub limits: Limits,
}

/// An incoming connection whose Hello was read and verified.
#[derive(Debug)]
pub struct Greeted {
    /// The connection.
    pub link: Rc<Link>,
    /// What the peer said.
    pub hello: Hello,
    secret: [u8; 32],
    send: SendStream,
    recv: RecvStream,
    early: Vec<u8>,
}

/// A connection on which both Hellos were exchanged: all that a session needs.
#[derive(Debug)]
pub struct Established {
    /// The connection.
    pub link: Rc<Link>,
    /// This node's end of it.
    pub role: Role,
    /// Known to the two ends of this connection alone.
    pub session_secret: [u8; 32],
    /// The secret of this node's receiver key, fresh and for this session only.
    pub receiver_secret: SubspaceSecret,
    /// What this node said.
    pub own_hello: Hello,
    /// What the peer said.
    pub peer_hello: Hello,
    /// The session stream, outwards.
    pub send: SendStream,
    /// The session stream, inwards.
    pub recv: RecvStream,
    /// What arrived behind the peer's Hello.
    pub early: Vec<u8>,
}

/// The dialer's part, on a fresh connection. On failure the connection is closed with the code that the cause asks for.
///
/// # Errors
/// The cause, as the peer manager needs it.
pub async fn establish(link: Rc<Link>, me: PeerId, own: &OwnHello, generation: Generation) -> Result<Established, Cause> {
    let result = dialer(&link, me, own, generation).await;
    close_on_failure(&link, result)
}

/// The acceptor's first part: reads and verifies the dialer's Hello. On failure the connection is closed.
///
/// # Errors
/// The cause, as the peer manager needs it.
pub async fn greet(link: Rc<Link>, me: PeerId) -> Result<Greeted, Cause> {
    let result = acceptor(&link, me).await;
    close_on_failure(&link, result)
}

impl Greeted {
    /// The acceptor's second part: answers with its own Hello. On failure the connection is closed.
    ///
    /// # Errors
    /// The cause, as the peer manager needs it.
    pub async fn answer(mut self, own: &OwnHello, generation: Generation) -> Result<Established, Cause> {
        let (own_hello, receiver_secret) = fresh_hello(own, generation);
        let bytes = encode_hello_frame(&own_hello.sign(Role::Betty, &self.secret, &receiver_secret));
        let sent = self.send.write_all(&bytes).await.map_err(|_| ended(&self.link));
        close_on_failure(&self.link, sent)?;
        Ok(Established {
            link: self.link,
            role: Role::Betty,
            session_secret: self.secret,
            receiver_secret,
            own_hello,
            peer_hello: self.hello,
            send: self.send,
            recv: self.recv,
            early: self.early,
        })
    }
}

async fn dialer(link: &Rc<Link>, me: PeerId, own: &OwnHello, generation: Generation) -> Result<Established, Cause> {
    let session_secret = session_secret(link, me, link.peer())?;
    let (mut send, mut recv) = link.connection().open_bi().await.map_err(|_| ended(link))?;
    let (own_hello, receiver_secret) = fresh_hello(own, generation);
    let bytes = encode_hello_frame(&own_hello.sign(Role::Alfie, &session_secret, &receiver_secret));
    send.write_all(&bytes).await.map_err(|_| ended(link))?;
    let (peer_hello, early) = read_hello(link, &mut recv, Role::Betty, &session_secret).await?;
    let link = link.clone();
    Ok(Established { link, role: Role::Alfie, session_secret, receiver_secret, own_hello, peer_hello, send, recv, early })
}

async fn acceptor(link: &Rc<Link>, me: PeerId) -> Result<Greeted, Cause> {
    let secret = session_secret(link, link.peer(), me)?;
    let (send, mut recv) = link.connection().accept_bi().await.map_err(|_| ended(link))?;
    let (hello, early) = read_hello(link, &mut recv, Role::Alfie, &secret).await?;
    Ok(Greeted { link: link.clone(), hello, secret, send, recv, early })
}

fn session_secret(link: &Link, alfie: PeerId, betty: PeerId) -> Result<[u8; 32], Cause> {
    let mut context = [0; 64];
    context[..32].copy_from_slice(&alfie.0);
    context[32..].copy_from_slice(&betty.0);
    link.export(EXPORTER_LABEL, &context)
}

fn fresh_hello(own: &OwnHello, generation: Generation) -> (Hello, SubspaceSecret) {
    let secret = SubspaceSecret::from_bytes(&crate::platform::random());
    let receiver: SubspaceId = secret.corresponding_subspace_id();
    (Hello { max_payload_power: own.max_payload_power, limits: own.limits, generation, receiver }, secret)
}

async fn read_hello(link: &Link, recv: &mut RecvStream, sender: Role, secret: &[u8; 32]) -> Result<(Hello, Vec<u8>), Cause> {
    let mut reader = FrameReader::default();
    loop {
        if let Some(bytes) = reader.next_hello().map_err(|error| Cause::Violation(error.code()))? {
            let hello = Hello::verify(&bytes, sender, secret).map_err(|error| cause_of_hello(&error))?;
            return Ok((hello, reader.pending().to_vec()));
        }
        match recv.read_chunk(4096).await {
            Ok(Some(chunk)) => reader.push(&chunk),
            Ok(None) => return Err(Cause::Violation("helloMissing")),
            Err(_) => return Err(ended(link)),
        }
    }
}

fn cause_of_hello(error: &HelloError) -> Cause {
    match error {
        HelloError::Version { .. } => Cause::NoCommonVersion,
        HelloError::Undecodable { .. } | HelloError::BadValue(_) | HelloError::Signature => Cause::Violation(error.code()),
    }
}

/// Why a stream of a connection failed: asked of the connection. If that is still open, the peer reset the session stream.
fn ended(link: &Link) -> Cause {
    link.ended().unwrap_or(Cause::Violation("sessionStreamReset"))
}

fn close_on_failure<T>(link: &Link, result: Result<T, Cause>) -> Result<T, Cause> {
    if let Err(cause) = &result {
        link.close(cause.close_code(), "establish failed");
    }
    result
}
