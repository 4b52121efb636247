//! The beginning of a node, on its own thread: what it is put together from.

use std::{rc::Rc, sync::Arc};

use osier_core::{peers::Manager, store::MemoryBackend, sync::Limits};
use tokio::sync::{mpsc, oneshot};

use super::{
    Error, NodeOptions,
    driver::{self, Driver, Job},
    inner::{Inner, Parts, Shared},
    intents::MAX_PAYLOAD_POWER,
    storage::Storage,
};
use crate::{
    net::{BindError, Endpoint, EndpointOptions, OwnHello},
    platform,
};

/// Opens a node, says so, and runs it to its end.
pub(super) async fn run(options: NodeOptions, jobs: mpsc::UnboundedReceiver<Job>, ready: oneshot::Sender<Result<Arc<Shared>, Error>>) {
    let (inputs, queue) = mpsc::unbounded_channel();
    match open(options, inputs).await {
        Ok(node) => {
            // Whoever opened it may have given up; then no handle is left, and the driver shuts down.
            let _ = ready.send(Ok(node.shared.clone()));
            Driver::new(node, jobs, queue).run().await;
        }
        Err(error) => {
            let _ = ready.send(Err(error));
        }
    }
}

async fn open(options: NodeOptions, inputs: mpsc::UnboundedSender<osier_core::peers::Input>) -> Result<Rc<Inner>, Error> {
    let storage = Storage::open(MemoryBackend::new()).await?;
    let secret_key = options.secret_key.unwrap_or_else(platform::random);
    let endpoint = Endpoint::bind(EndpointOptions { secret_key, relays: options.relays.clone() }).await.map_err(|error| match error {
        BindError::Relay(error) => Error::invalid_argument("relays", error),
        BindError::Transport(reason) => Error::Transport { reason },
    })?;
    let id = endpoint.id();
    Ok(Rc::new(Inner::new(Parts {
        shared: Arc::new(Shared::new(id, options.relays.clone())),
        endpoint,
        storage,
        hello: OwnHello { max_payload_power: MAX_PAYLOAD_POWER, limits: Limits::default() },
        inputs,
        manager: Manager::new(driver::manager_config(&options, id)),
        options,
    })))
}
