//! A module with iroh and nothing else, built as the shipped one is: two endpoints in one page and a stream between them.
//!
//! It is the baseline of two measures: throughput (iroh's default configuration, no Willow) and size.

#![cfg(target_arch = "wasm32")]

use iroh::endpoint::{Connection, presets};
use iroh::{Endpoint, EndpointAddr, RelayConfig, RelayMap, RelayMode, RelayUrl};
use wasm_bindgen::prelude::*;

const ALPN: &[u8] = b"osier-bench/raw";
const PIECE: usize = 64 * 1024;

/// Two endpoints with a connection between them, through a relay.
#[wasm_bindgen]
pub struct RawLink {
    endpoints: [Endpoint; 2],
    sender: Connection,
    receiver: Connection,
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
        Ok(RawLink { endpoints: [dialer, acceptor], sender, receiver })
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

    /// Closes both endpoints.
    pub async fn close(self) {
        for endpoint in &self.endpoints {
            endpoint.close().await;
        }
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
