//! A module with iroh and nothing else, built as the shipped one is: two endpoints in one page and a stream between them.
//!
//! It is the baseline of throughput, of latency and of memory per connection (iroh's default configuration, no Willow), and of size.

#![cfg(target_arch = "wasm32")]

use std::cell::RefCell;
use std::rc::Rc;

use iroh::endpoint::{Connection, RecvStream, SendStream, presets};
use iroh::{Endpoint, EndpointAddr, EndpointId, RelayConfig, RelayMap, RelayMode, RelayUrl};
use wasm_bindgen::prelude::*;

const ALPN: &[u8] = b"osier-bench/raw";
const PIECE: usize = 64 * 1024;

/// Two endpoints with a connection between them, through a relay.
#[wasm_bindgen]
pub struct RawLink {
    endpoints: [Endpoint; 2],
    sender: Connection,
    receiver: Connection,
    /// Both ends of a stream for pings, once there was one.
    ping: Option<[(SendStream, RecvStream); 2]>,
}

#[wasm_bindgen]
impl RawLink {
    /// Binds both endpoints to the relay at this URL and connects them.
    pub async fn open(relay: String) -> Result<RawLink, JsError> {
        let url: RelayUrl = relay.parse()?;
        let (dialer, acceptor) = (bind(&url).await?, bind(&url).await?);
        dialer.online().await;
        acceptor.online().await;
        let address = EndpointAddr::new(acceptor.id()).with_relay_url(url);
        let accepted = async { acceptor.accept().await.ok_or_else(|| JsError::new("endpoint closed"))?.await.map_err(JsError::from) };
        let dialed = async { dialer.connect(address, ALPN).await.map_err(JsError::from) };
        let (sender, receiver) = n0_future::future::try_zip(dialed, accepted).await?;
        Ok(RawLink { endpoints: [dialer, acceptor], sender, receiver, ping: None })
    }

    /// Sends so many bytes over a stream of their own. Resolves to the number of bytes that arrived.
    pub async fn transfer(&self, bytes: usize) -> Result<usize, JsError> {
        let send = async {
            let mut stream = self.sender.open_uni().await?;
            let piece = [7_u8; PIECE];
            let mut left = bytes;
            while left > 0 {
                let length = left.min(PIECE);
                stream.write_all(&piece[..length]).await?;
                left -= length;
            }
            stream.finish()?;
            Ok::<_, JsError>(())
        };
        let receive = async {
            let mut stream = self.receiver.accept_uni().await?;
            let mut arrived = 0;
            while let Some(chunk) = stream.read_chunk(PIECE).await? {
                arrived += chunk.len();
            }
            Ok::<_, JsError>(arrived)
        };
        let ((), arrived) = n0_future::future::try_zip(send, receive).await?;
        Ok(arrived)
    }

    /// Sends a byte there and back. Resolves when it is back.
    pub async fn ping(&mut self) -> Result<(), JsError> {
        let [near, far] = match &mut self.ping {
            Some(stream) => stream,
            none => {
                let mut near = self.sender.open_bi().await?;
                near.0.write_all(&[0]).await?; // nobody hears of a stream before its first byte
                let mut far = self.receiver.accept_bi().await?;
                far.1.read_exact(&mut [0]).await?;
                none.insert([near, far])
            }
        };
        let echo = async {
            let mut byte = [0];
            far.1.read_exact(&mut byte).await?;
            far.0.write_all(&byte).await.map_err(JsError::from)
        };
        let ping = async {
            near.0.write_all(&[7]).await?;
            near.1.read_exact(&mut [0]).await.map_err(JsError::from)
        };
        n0_future::future::try_zip(ping, echo).await?;
        Ok(())
    }

    /// Closes both endpoints.
    pub async fn close(self) {
        for endpoint in &self.endpoints {
            endpoint.close().await;
        }
    }
}

/// An endpoint that accepts whoever comes and keeps the connections.
#[wasm_bindgen]
pub struct RawHub {
    endpoint: Endpoint,
    connections: Rc<RefCell<Vec<Connection>>>,
}

#[wasm_bindgen]
impl RawHub {
    /// Binds an endpoint to the relay at this URL.
    pub async fn open(relay: String) -> Result<RawHub, JsError> {
        let endpoint = bind(&relay.parse()?).await?;
        endpoint.online().await;
        let connections = Rc::<RefCell<Vec<Connection>>>::default();
        let (accepting, kept) = (endpoint.clone(), connections.clone());
        wasm_bindgen_futures::spawn_local(async move {
            while let Some(incoming) = accepting.accept().await {
                if let Ok(connection) = incoming.await {
                    kept.borrow_mut().push(connection);
                }
            }
        });
        Ok(RawHub { endpoint, connections })
    }

    /// The endpoint's id.
    pub fn id(&self) -> String {
        self.endpoint.id().to_string()
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.connections.borrow().len()
    }

    /// Closes the endpoint.
    pub async fn close(self) {
        self.endpoint.close().await;
    }
}

/// An endpoint with a connection to a hub.
#[wasm_bindgen]
pub struct RawPeer {
    _endpoint: Endpoint,
    _connection: Connection,
}

#[wasm_bindgen]
impl RawPeer {
    /// Binds an endpoint to the relay at this URL and connects it to the hub with this id.
    pub async fn open(relay: String, hub: String) -> Result<RawPeer, JsError> {
        let url: RelayUrl = relay.parse()?;
        let id: EndpointId = hub.parse()?;
        let endpoint = bind(&url).await?;
        let connection = endpoint.connect(EndpointAddr::new(id).with_relay_url(url), ALPN).await?;
        // The acceptor has it when a stream is confirmed.
        let mut stream = connection.open_uni().await?;
        stream.finish()?;
        let _ = stream.stopped().await;
        Ok(RawPeer { _endpoint: endpoint, _connection: connection })
    }
}

async fn bind(relay: &RelayUrl) -> Result<Endpoint, JsError> {
    let relays = RelayMap::from_iter([RelayConfig::new(relay.clone(), None)]);
    Ok(Endpoint::builder(presets::Minimal).relay_mode(RelayMode::Custom(relays)).alpns(vec![ALPN.to_vec()]).bind().await?)
}

/// Bytes of the module's heap.
#[wasm_bindgen]
pub fn heap_bytes() -> f64 {
    let memory: js_sys::WebAssembly::Memory = wasm_bindgen::memory().unchecked_into();
    let buffer: js_sys::ArrayBuffer = memory.buffer().unchecked_into();
    f64::from(buffer.byte_length())
}
