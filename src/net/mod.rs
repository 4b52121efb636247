//! Everything that knows iroh: the endpoint, the exchange of Hellos, streams, goodbyes and close codes.
//!
//! It moves bytes and maps what the transport says to [`osier_core::peers::Cause`]; it decides nothing. It must not know stores, intents
//! or sessions.

mod cause;
mod endpoint;
mod establish;
#[cfg(target_arch = "wasm32")]
#[path = "face/browser.rs"]
mod face;
#[cfg(not(target_arch = "wasm32"))]
#[path = "face/native.rs"]
mod face;
mod goodbye;
mod link;
mod payload;
mod stream;

pub use endpoint::{
    ALPN, Arrival, BindError, DialAddress, Endpoint, EndpointOptions, HomeRelay, RelayUrlError, check_relay_url, id_of, is_peer_id,
};
pub use establish::{Established, Greeted, OwnHello, establish, greet};
pub use goodbye::say_goodbye;
pub use link::{Link, LinkStats};
pub use payload::{PayloadReply, PayloadStream, StreamBroken, accept_payload_stream, open_payload_stream};
pub use stream::{Finishing, Inbox, Outbox};
