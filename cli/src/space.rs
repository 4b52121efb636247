//! What every subcommand that touches data does first: open a node, join a space or make one, sync with its peers.

use clap::Args;
use osier::{
    Intent, Node, NodeOptions,
    node::{Access, Joined, Lock, Mode, NamespaceKind, PeerAddress, SessionInit, StorageOptions},
};

use crate::failure::{Failure, Outcome};

/// Which space, and how it is reached.
#[derive(Args)]
pub(crate) struct SpaceOptions {
    /// URL of a relay; may be given more than once.
    #[arg(long = "relay", required = true, value_name = "URL")]
    relays: Vec<String>,
    /// Directory where data and identity are kept, made if it is not there. Without it they live as long as the program runs.
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
}

/// A node in a space.
pub(crate) struct Space {
    pub(crate) node: Node,
    pub(crate) joined: Joined,
}

impl Space {
    /// Opens a node and takes the ticket.
    pub(crate) async fn join(options: SpaceOptions, ticket: &str) -> Outcome<Self> {
        let node = open(options).await?;
        let joined = node.join(ticket, None).await?;
        Ok(Self { node, joined })
    }

    /// Opens a node and makes a user and an owned space; or goes on in the one that a directory holds.
    pub(crate) async fn create(options: SpaceOptions) -> Outcome<Self> {
        let node = open(options).await?;
        if let (Some(known), Some(user)) = (node.namespaces().await?.into_iter().next(), node.users().await?.into_iter().next()) {
            let written = node.capabilities(Some(known.id.clone())).await?.iter().any(|held| held.access == Access::Write);
            let access = if written { Access::Write } else { Access::Read };
            let area = osier::node::Area::full();
            return Ok(Self { node, joined: Joined { namespace: known.id, user, access, area, peers: Vec::new() } });
        }
        let user = node.create_user().await?;
        let namespace = node.create_namespace(NamespaceKind::Owned, user.clone()).await?;
        let area = osier::node::Area::full();
        Ok(Self { node, joined: Joined { namespace, user, access: Access::Write, area, peers: Vec::new() } })
    }

    /// An intent for each peer of the space.
    pub(crate) fn sync(&self, mode: Mode) -> Vec<Intent> {
        let sync = |peer: &PeerAddress| self.node.sync(peer.clone(), SessionInit { mode, ..SessionInit::default() });
        self.joined.peers.iter().map(sync).collect()
    }

    /// Syncs once; enough if one of the peers could be reached.
    pub(crate) async fn sync_once(&self) -> Outcome {
        let mut last = Failure::new("the ticket names no peer to sync with");
        for intent in self.sync(Mode::Once) {
            match intent.completed().await {
                Ok(_) => return Ok(()),
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }
}

async fn open(options: SpaceOptions) -> Outcome<Node> {
    let storage = match options.data {
        Some(place) => StorageOptions::Durable { place, lock: Lock::Fail },
        None => StorageOptions::Memory,
    };
    Ok(Node::open(NodeOptions { relays: options.relays, storage, ..NodeOptions::default() }).await?)
}
