//! The beginning of a node, on its own thread: what it is put together from.

use std::{rc::Rc, sync::Arc};

use osier_core::{peers::Manager, store::MemoryBackend, sync::Limits};
use tokio::sync::{mpsc, oneshot};

use super::{
    Error, NodeOptions, SecretKey, StorageOptions,
    driver::{self, Driver, Job},
    inner::{Inner, Parts, Shared},
    intents::MAX_PAYLOAD_POWER,
    storage::Storage,
    wallet::{self, Identity},
};
use crate::{
    backend::{Disk, Durable},
    net::{BindError, Endpoint, EndpointOptions, OwnHello, id_of},
    platform::lock,
};

/// Opens a node, says so, and runs it to its end.
pub(super) async fn run(options: NodeOptions, jobs: mpsc::UnboundedReceiver<Job>, mut ready: oneshot::Sender<Result<Arc<Shared>, Error>>) {
    let (inputs, queue) = mpsc::unbounded_channel();
    let opened = tokio::select! {
        biased;
        opened = open(options, inputs) => opened,
        // Whoever opens it has given up: storage and locks are let go.
        () = ready.closed() => return,
    };
    match opened {
        Ok(node) => {
            // Whoever opened it may have given up just now; then no handle is left, and the driver shuts down.
            let _ = ready.send(Ok(node.shared.clone()));
            Driver::new(node, jobs, queue).run().await;
        }
        Err(error) => {
            let _ = ready.send(Err(error));
        }
    }
}

async fn open(mut options: NodeOptions, inputs: mpsc::UnboundedSender<osier_core::peers::Input>) -> Result<Rc<Inner>, Error> {
    let key = match options.secret_key {
        SecretKey::Given(key) => {
            let name = format!("osier/key/{}", id_of(&key));
            Some(lock::acquire(&name, options.key_lock).await.map_err(|_| Error::AlreadyOpen)?)
        }
        SecretKey::Stored | SecretKey::Ephemeral => None,
    };
    let disk = match &options.storage {
        StorageOptions::Memory => Disk::Memory(MemoryBackend::without_history()),
        StorageOptions::Durable { place, lock } => Disk::Durable(Durable::open(place, *lock).await?),
    };
    if let Some(reason) = disk.data_loss() {
        tracing::warn!("earlier data is lost, and the storage begins anew: {reason}");
    }
    let (storage, notes) = Storage::open(disk, options.on_opening.take()).await?;
    let wallet = wallet::from_notes(&notes)?;
    let Identity { secret_key, started } = wallet::identity(&storage, &notes, options.secret_key).await?;
    let endpoint = Endpoint::bind(EndpointOptions { secret_key, relays: options.relays.clone() }).await.map_err(|error| match error {
        BindError::Relay(error) => Error::invalid_argument("relays", error),
        BindError::Transport(reason) => Error::Transport { reason },
    })?;
    let id = endpoint.id();
    Ok(Rc::new(Inner::new(Parts {
        shared: Arc::new(Shared::new(id, options.relays.clone())),
        endpoint,
        key,
        storage,
        wallet,
        hello: OwnHello { max_payload_power: MAX_PAYLOAD_POWER, limits: Limits::default() },
        inputs,
        manager: Manager::new(driver::manager_config(&options, id, started)),
        options,
    })))
}
