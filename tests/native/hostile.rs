//! Peers that speak garbage: each ends its own connection, with the code that says why, and nothing else.

use iroh::{
    EndpointAddr, EndpointId, RelayConfig, RelayMap, RelayMode, TransportAddr,
    endpoint::{Connection, ConnectionError, RecvStream, SendStream, presets},
};
use osier::{
    Events, Intent, Node,
    net::ALPN,
    node::{Access, Area, Mode, NamespaceId, PeerEvent, PeerId, StoreEvent, SubspaceId},
};
use osier_core::{
    Generation, Role,
    sync::{
        Channel, Hello, Limits,
        frame::{encode_frame, encode_hello_frame},
    },
};
use willow25::prelude::SubspaceSecret;

use crate::harness::{Relay, arrival, event, init, reconciled, share, soon, space, write};

/// A bare iroh endpoint.
async fn stranger(relay: &Relay) -> iroh::Endpoint {
    let map = RelayMap::from_iter([RelayConfig::new(relay.url.parse().unwrap(), None)]);
    iroh::Endpoint::builder(presets::Minimal).relay_mode(RelayMode::Custom(map)).clear_ip_transports().bind().await.unwrap()
}

async fn dial(endpoint: &iroh::Endpoint, relay: &Relay, node: &Node, alpn: &[u8]) -> Result<Connection, iroh::endpoint::ConnectError> {
    let id = EndpointId::from_bytes(&node.id().0).unwrap();
    let address = EndpointAddr::from_parts(id, [TransportAddr::Relay(relay.url.parse().unwrap())]);
    soon("the connection", endpoint.connect(address, alpn)).await
}

/// A Hello as an honest dialer signs it, but for `spoil`.
fn hello(connection: &Connection, me: &iroh::Endpoint, spoil: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut context = me.id().as_bytes().to_vec();
    context.extend_from_slice(connection.remote_id().as_bytes());
    let mut secret = [0; 32];
    connection.export_keying_material(&mut secret, b"osier session secret 1", &context).unwrap();
    let receiver = SubspaceSecret::from_bytes(&[5; 32]);
    let hello = Hello {
        max_payload_power: 14,
        limits: Limits::default(),
        generation: Generation { instance: [1; 16], counter: 1 },
        receiver: receiver.corresponding_subspace_id(),
    };
    let mut bytes = hello.sign(Role::Alfie, &secret, &receiver);
    spoil(&mut bytes);
    encode_hello_frame(&bytes)
}

/// The code that the other side closes with.
async fn close_code(connection: &Connection) -> u64 {
    match soon("the close", connection.closed()).await {
        ConnectionError::ApplicationClosed(close) => close.error_code.into_inner(),
        other => panic!("not closed by the application: {other:?}"),
    }
}

/// Two honest nodes in a live session; what a stranger does must not show there.
struct Honest {
    relay: Relay,
    target: Node,
    other: Node,
    namespace: NamespaceId,
    user: SubspaceId,
    news: Events<StoreEvent>,
    _intent: Intent,
}

impl Honest {
    async fn start() -> Self {
        let relay = Relay::start().await;
        let (target, other) = (relay.node().await, relay.node().await);
        let (user, namespace) = space(&target).await;
        share(&target, &namespace, Access::Write, &other).await;
        let news = other.subscribe(namespace.clone(), Area::full(), None);
        let intent = other.sync(target.address(), init(Mode::Live));
        reconciled(&intent.events()).await;
        Self { relay, target, other, namespace, user, news, _intent: intent }
    }

    /// Writes at the target and waits until the other has it.
    async fn go_on(&self, path: &str) {
        write(&self.target, &self.namespace, &self.user, path, b"still fine").await;
        arrival(&self.news, path).await;
    }

    async fn stop(self) {
        self.target.shutdown().await;
        self.other.shutdown().await;
    }
}

/// The session stream of a stranger whose Hello was accepted.
async fn admitted(endpoint: &iroh::Endpoint, honest: &Honest) -> (Connection, SendStream, RecvStream) {
    let connection = dial(endpoint, &honest.relay, &honest.target, ALPN).await.unwrap();
    let (mut send, mut recv) = connection.open_bi().await.unwrap();
    send.write_all(&hello(&connection, endpoint, |_| {})).await.unwrap();
    // The answer: length 146 and a Hello.
    let mut answer = [0; 147];
    soon("the answer", recv.read_exact(&mut answer)).await.unwrap();
    assert_eq!(answer[..2], [146, 1]);
    (connection, send, recv)
}

#[tokio::test]
async fn a_bad_hello_closes_with_its_code_and_touches_nobody_else() {
    let honest = Honest::start().await;
    type Case = (&'static str, u64, fn(Vec<u8>) -> Vec<u8>);
    let cases: [Case; 5] = [
        ("too long", 8, |_| vec![0xfd, 0xff, 0xff]),
        ("cut short", 8, |mut hello| {
            hello.truncate(80);
            hello
        }),
        ("a length not in its shortest form", 8, |_| vec![0xfd, 0x00, 0x92]),
        ("another version", 6, |mut hello| {
            hello[1] = 99;
            hello
        }),
        ("a wrong signature", 8, |mut hello| {
            let last = hello.len() - 1;
            hello[last] ^= 1;
            hello
        }),
    ];
    for (name, code, spoil) in cases {
        let endpoint = stranger(&honest.relay).await;
        let connection = dial(&endpoint, &honest.relay, &honest.target, ALPN).await.unwrap();
        let (mut send, _recv) = connection.open_bi().await.unwrap();
        send.write_all(&spoil(hello(&connection, &endpoint, |_| {}))).await.unwrap();
        let _ = send.finish();
        assert_eq!(close_code(&connection).await, code, "{name}");
        honest.go_on(&format!("after/{name}")).await;
        endpoint.close().await;
    }
    honest.stop().await;
}

#[tokio::test]
async fn a_hello_for_another_connection_is_refused() {
    let honest = Honest::start().await;
    let endpoint = stranger(&honest.relay).await;
    let first = dial(&endpoint, &honest.relay, &honest.target, ALPN).await.unwrap();
    let second = dial(&endpoint, &honest.relay, &honest.target, ALPN).await.unwrap();
    let (mut send, _recv) = second.open_bi().await.unwrap();
    send.write_all(&hello(&first, &endpoint, |_| {})).await.unwrap();
    assert_eq!(close_code(&second).await, 8);
    honest.go_on("after").await;
    endpoint.close().await;
    honest.stop().await;
}

#[tokio::test]
async fn garbage_in_a_session_ends_that_session_alone() {
    let honest = Honest::start().await;
    let frame = |channel, message: &[u8]| {
        let mut bytes = Vec::new();
        encode_frame(&mut bytes, channel, message);
        bytes
    };
    let cases: [(&str, Vec<u8>); 6] = [
        ("an unknown channel", vec![9, 1, 0]),
        ("a frame that is too long", vec![1, 0xfe, 0xff, 0xff, 0xff, 0xff]),
        ("an undecodable control message", frame(Channel::Control, &[0xff; 40])),
        ("an undecodable fingerprint", frame(Channel::Reconciliation, &[0xff, 0xff])),
        ("an entry that was not announced", frame(Channel::Data, &[0b0010_0000; 200])),
        ("a capability for nothing", frame(Channel::Capability, &[0; 100])),
    ];
    for (name, bytes) in cases {
        let endpoint = stranger(&honest.relay).await;
        let (connection, mut send, _recv) = admitted(&endpoint, &honest).await;
        send.write_all(&bytes).await.unwrap();
        assert_eq!(close_code(&connection).await, 8, "{name}");
        honest.go_on(&format!("after/{name}")).await;
        endpoint.close().await;
    }
    honest.stop().await;
}

#[tokio::test]
async fn a_stream_that_ends_in_the_middle_of_a_frame_is_a_violation() {
    let honest = Honest::start().await;
    let endpoint = stranger(&honest.relay).await;
    let (connection, mut send, _recv) = admitted(&endpoint, &honest).await;
    send.write_all(&[0, 20, 1, 2, 3]).await.unwrap();
    send.finish().unwrap();
    assert_eq!(close_code(&connection).await, 8);
    honest.go_on("after").await;
    endpoint.close().await;
    honest.stop().await;
}

#[tokio::test]
async fn a_payload_request_that_is_none_is_a_violation() {
    let honest = Honest::start().await;
    for garbage in [vec![0xff; 20], vec![0; 40_000]] {
        let endpoint = stranger(&honest.relay).await;
        let (connection, _send, _recv) = admitted(&endpoint, &honest).await;
        let (mut asks, _answer) = connection.open_bi().await.unwrap();
        // The other side may stop reading before all is written.
        let _ = asks.write_all(&garbage).await;
        let _ = asks.finish();
        assert_eq!(close_code(&connection).await, 8);
        honest.go_on(&format!("after/{}", garbage.len())).await;
        endpoint.close().await;
    }
    honest.stop().await;
}

#[tokio::test]
async fn another_protocol_gets_no_connection() {
    let honest = Honest::start().await;
    let endpoint = stranger(&honest.relay).await;
    assert!(dial(&endpoint, &honest.relay, &honest.target, b"/something/else").await.is_err());
    honest.go_on("after").await;
    endpoint.close().await;
    honest.stop().await;
}

#[tokio::test]
async fn a_peer_that_vanishes_without_a_word_is_forgotten() {
    let honest = Honest::start().await;
    let peers = honest.target.watch_peers();
    let endpoint = stranger(&honest.relay).await;
    let (connection, send, recv) = admitted(&endpoint, &honest).await;
    let gone = PeerId(*endpoint.id().as_bytes());
    drop((send, recv, connection));
    event("gone", &peers, |event| matches!(event, PeerEvent::Gone { peer } if *peer == gone).then_some(())).await;
    honest.go_on("after").await;
    endpoint.close().await;
    honest.stop().await;
}

#[tokio::test]
async fn connections_without_a_hello_are_few_per_peer_and_the_oldest_gives_way() {
    let honest = Honest::start().await;
    let endpoint = stranger(&honest.relay).await;
    let mut silent = Vec::new();
    for _ in 0..5 {
        silent.push(dial(&endpoint, &honest.relay, &honest.target, ALPN).await.unwrap());
    }
    assert_eq!(close_code(&silent[0]).await, 7);
    assert!(silent[1..].iter().all(|connection| connection.close_reason().is_none()));
    honest.go_on("after").await;
    endpoint.close().await;
    honest.stop().await;
}

#[tokio::test]
async fn a_payload_stream_that_asks_for_nothing_holds_up_no_other() {
    let honest = Honest::start().await;
    let endpoint = stranger(&honest.relay).await;
    let (connection, _send, _recv) = admitted(&endpoint, &honest).await;
    let (mut idle, _answer) = connection.open_bi().await.unwrap();
    idle.write_all(&[0]).await.unwrap();
    let (mut asks, _answer) = connection.open_bi().await.unwrap();
    asks.write_all(&[0xff; 20]).await.unwrap();
    asks.finish().unwrap();
    assert_eq!(close_code(&connection).await, 8, "the second was read, too");
    endpoint.close().await;
    honest.stop().await;
}
