//! `RawNode`: the node.

use js_sys::{Array, Function, Promise, Uint8Array};
use tokio::sync::mpsc;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::JsFuture;

use super::{
    RawEvents, RawExport, RawFetch, RawImport, RawIncoming, RawIntent, RawWriter, accept,
    arguments::{self, Fields},
    error,
    output::ToJs,
    payload, promise, report,
};
use crate::node::{
    Area, EntriesOptions, Error, FetchOptions, Mode, Node, Opening, OpeningHandler, ProgressId, SecretOwner, ShareRequest, StoreEvent,
};

/// A handle of a node.
#[wasm_bindgen]
pub struct RawNode {
    node: Node,
}

/// Identifiers as an array of hex strings.
fn ids<'a>(keys: impl Iterator<Item = &'a [u8; 32]>) -> JsValue {
    keys.map(|key| JsValue::from(osier_core::PeerId(*key).to_string())).collect::<Array>().into()
}

fn id(key: &[u8; 32]) -> JsValue {
    osier_core::PeerId(*key).to_string().into()
}

/// Which capabilities a caller wants to see.
struct CapabilityFilter {
    namespace: Option<crate::node::NamespaceId>,
    user: Option<crate::node::SubspaceId>,
    access: Option<crate::node::Access>,
}

impl CapabilityFilter {
    fn of(value: &JsValue) -> Result<Self, Error> {
        let fields = Fields::of(value, "filter", &["namespace", "user", "access"])?;
        let namespace = fields.with("namespace", arguments::namespace)?;
        Ok(Self { namespace, user: fields.with("user", arguments::user)?, access: fields.with("access", arguments::access)? })
    }
}

#[wasm_bindgen]
impl RawNode {
    /// Opens a node; `accept`, if there is one, is asked for each peer that connects, and `on_progress` told how far the opening is. When
    /// `abandoned` settles first, whatever was taken is let go of.
    pub fn open(options: JsValue, accept: Option<Function>, on_progress: Option<Function>, abandoned: Promise) -> Promise {
        promise(async move {
            let mut options = arguments::open_options(&options)?;
            if let Some(function) = accept {
                options.accept = accept::policy(function);
            }
            let (sender, progress) = mpsc::unbounded_channel::<Opening>();
            options.on_opening = on_progress.is_some().then(|| {
                OpeningHandler::new(move |opening| {
                    let _ = sender.send(opening); // the receiver lives as long as the opening
                })
            });
            tokio::select! {
                biased;
                node = async { tokio::join!(Node::open(options), report(progress, on_progress)).0 } => node.map(|node| Self { node }),
                _ = JsFuture::from(abandoned) => Err(Error::Aborted),
            }
        })
    }

    /// Endpoint id, hex.
    #[wasm_bindgen(getter)]
    pub fn id(&self) -> String {
        self.node.id().to_string()
    }

    /// How others reach this node.
    pub fn address(&self) -> JsValue {
        self.node.address().to_js()
    }

    /// Resolves when a relay is reached.
    pub fn online(&self) -> Promise {
        let node = self.node.clone();
        promise(async move { node.online().await.map(|()| JsValue::UNDEFINED) })
    }

    /// How much is stored, and where.
    pub fn storage(&self) -> Promise {
        let node = self.node.clone();
        promise(async move { Ok(node.storage().await?.to_js()) })
    }

    /// Asks the browser not to delete what is stored.
    #[wasm_bindgen(js_name = requestPersistence)]
    pub fn request_persistence(&self) -> Promise {
        let node = self.node.clone();
        promise(async move { node.request_persistence().await })
    }

    /// Every peer that something is going on with.
    pub fn peers(&self) -> Promise {
        let node = self.node.clone();
        promise(async move { Ok(node.peers().await?.to_js()) })
    }

    /// Changes of the peers, those present first.
    #[wasm_bindgen(js_name = watchPeers)]
    pub fn watch_peers(&self) -> RawEvents {
        RawEvents::of(self.node.watch_peers())
    }

    /// The state of the node, now and whenever it changes.
    #[wasm_bindgen(js_name = watchStatus)]
    pub fn watch_status(&self) -> RawEvents {
        RawEvents::of(self.node.watch_status())
    }

    /// Says what the node cannot see for itself. Throws if the argument is wrong.
    pub fn notify(&self, state: JsValue) -> Result<(), JsValue> {
        self.node.notify(arguments::lifecycle(&state).map_err(|error| error::to_js(&error))?);
        Ok(())
    }

    /// Ends everything with a peer.
    pub fn disconnect(&self, peer: JsValue) -> Promise {
        let node = self.node.clone();
        promise(async move { node.disconnect(arguments::peer(&peer, "peer")?).await.map(|()| JsValue::UNDEFINED) })
    }

    /// Makes a user.
    #[wasm_bindgen(js_name = createUser)]
    pub fn create_user(&self) -> Promise {
        let node = self.node.clone();
        promise(async move { Ok(id(node.create_user().await?.as_bytes())) })
    }

    /// The users whose secrets are here.
    pub fn users(&self) -> Promise {
        let node = self.node.clone();
        promise(async move { Ok(ids(node.users().await?.iter().map(|user| user.as_bytes()))) })
    }

    /// Makes a namespace.
    #[wasm_bindgen(js_name = createNamespace)]
    pub fn create_namespace(&self, options: JsValue) -> Promise {
        let node = self.node.clone();
        promise(async move {
            let fields = Fields::of(&options, "options", &["kind", "owner"])?;
            let (kind, owner) = (fields.required("kind", arguments::kind)?, fields.required("owner", arguments::user)?);
            Ok(id(node.create_namespace(kind, owner).await?.as_bytes()))
        })
    }

    /// The namespaces known here.
    pub fn namespaces(&self) -> Promise {
        let node = self.node.clone();
        promise(async move { Ok(node.namespaces().await?.to_js()) })
    }

    /// Limits how much of a namespace is kept.
    #[wasm_bindgen(js_name = setQuota)]
    pub fn set_quota(&self, namespace: JsValue, quota: JsValue) -> Promise {
        let node = self.node.clone();
        promise(async move {
            let (namespace, quota) = (arguments::namespace(&namespace, "namespace")?, arguments::quota(&quota)?);
            node.set_quota(namespace, quota).await.map(|()| JsValue::UNDEFINED)
        })
    }

    /// The capabilities held here.
    pub fn capabilities(&self, filter: JsValue) -> Promise {
        let node = self.node.clone();
        promise(async move {
            let CapabilityFilter { namespace, user, access } = CapabilityFilter::of(&filter)?;
            let mut held = node.capabilities(namespace).await?;
            held.retain(|held| {
                user.as_ref().is_none_or(|user| held.receiver == *user) && access.is_none_or(|access| held.access == access)
            });
            Ok(held.to_js())
        })
    }

    /// A secret as text, of a user or a namespace.
    #[wasm_bindgen(js_name = exportSecret)]
    pub fn export_secret(&self, of: JsValue) -> Promise {
        let node = self.node.clone();
        promise(async move {
            let user = arguments::user(&of, "id")?;
            let owner = if node.users().await?.contains(&user) {
                SecretOwner::User(user)
            } else {
                SecretOwner::Namespace(arguments::namespace(&of, "id")?)
            };
            node.export_secret(owner).await
        })
    }

    /// Takes a secret in.
    #[wasm_bindgen(js_name = importSecret)]
    pub fn import_secret(&self, secret: JsValue) -> Promise {
        let node = self.node.clone();
        promise(async move { Ok(node.import_secret(&arguments::text(&secret, "secret")?).await?.to_js()) })
    }

    /// Writes an entry whose payload is at hand.
    pub fn set(&self, namespace: JsValue, options: JsValue, bytes: Uint8Array) -> Promise {
        let node = self.node.clone();
        promise(async move { payload::write(&node, payload::target(&namespace, &options)?, bytes.to_vec()).await })
    }

    /// Begins a write whose payload comes in pieces.
    pub fn writer(&self, namespace: JsValue, options: JsValue) -> Promise {
        let node = self.node.clone();
        promise(async move { Ok(RawWriter::new(node.payload_writer(payload::target(&namespace, &options)?))) })
    }

    /// Takes an authorised entry from elsewhere.
    pub fn ingest(&self, entry: JsValue) -> Promise {
        let node = self.node.clone();
        promise(async move { node.ingest(arguments::bytes(&entry, "entry")?).await })
    }

    /// The entry at a place and its proof, in the encoding that `ingest` takes.
    #[wasm_bindgen(js_name = exportEntry)]
    pub fn export_entry(&self, entry: JsValue) -> Promise {
        let node = self.node.clone();
        promise(async move { Ok(Uint8Array::from(node.export_entry(arguments::entry_key(&entry)?).await?.as_slice())) })
    }

    /// The entry at a place.
    pub fn get(&self, namespace: JsValue, user: JsValue, path: JsValue) -> Promise {
        let node = self.node.clone();
        promise(async move {
            let (namespace, user) = (arguments::namespace(&namespace, "namespace")?, arguments::user(&user, "user")?);
            let entry = node.get(namespace, user, arguments::path(&path, "path")?).await?;
            Ok(entry.map_or(JsValue::UNDEFINED, |entry| entry.to_js()))
        })
    }

    /// The entries of an area.
    pub fn entries(&self, namespace: JsValue, area: JsValue, options: JsValue) -> RawEvents {
        let query = || -> Result<_, Error> {
            let fields = Fields::of(&options, "options", &["order", "limit"])?;
            let options = EntriesOptions {
                reverse: fields.with("order", arguments::order)?.unwrap_or(false),
                limit: fields.with("limit", arguments::count)?,
            };
            Ok(self.node.entries(arguments::namespace(&namespace, "namespace")?, arguments::area(&area, "area")?, options))
        };
        query().map_or_else(RawEvents::failed, RawEvents::entries)
    }

    /// Bytes of a payload.
    pub fn payload(&self, entry: JsValue, options: JsValue) -> Promise {
        let node = self.node.clone();
        promise(async move {
            let (key, offset, length) = payload::range(&entry, &options)?;
            Ok(Uint8Array::from(node.payload(key, offset, length).await?.as_slice()))
        })
    }

    /// The same in pieces.
    #[wasm_bindgen(js_name = payloadStream)]
    pub fn payload_stream(&self, entry: JsValue, options: JsValue) -> RawEvents {
        let reader = payload::range(&entry, &options).map(|(key, offset, length)| self.node.payload_reader(key, offset, length));
        reader.map_or_else(RawEvents::failed, RawEvents::payload)
    }

    /// Gets a payload from a connected peer.
    #[wasm_bindgen(js_name = fetchPayload)]
    pub fn fetch_payload(&self, entry: JsValue, options: JsValue, on_progress: Option<Function>) -> Result<RawFetch, JsValue> {
        let arguments = || -> Result<_, Error> {
            let fields = Fields::of(&options, "options", &["peer"])?;
            Ok((arguments::entry_key(&entry)?, FetchOptions { peer: fields.with("peer", arguments::peer)? }))
        };
        let (key, options) = arguments().map_err(|error| error::to_js(&error))?;
        Ok(RawFetch::new(self.node.clone(), key, options, on_progress))
    }

    /// Removes entries here alone.
    pub fn forget(&self, namespace: JsValue, area: JsValue) -> Promise {
        let node = self.node.clone();
        promise(async move {
            let (namespace, area) = (arguments::namespace(&namespace, "namespace")?, arguments::area(&area, "area")?);
            Ok(node.forget(namespace, Some(area)).await? as f64)
        })
    }

    /// Begins to write a drop. Throws if an argument is wrong.
    #[wasm_bindgen(js_name = exportDrop)]
    pub fn export_drop(&self, namespace: JsValue, area: JsValue) -> Result<RawExport, JsValue> {
        let arguments = || Ok::<_, Error>((arguments::namespace(&namespace, "namespace")?, arguments::area(&area, "area")?));
        let (namespace, area) = arguments().map_err(|error| error::to_js(&error))?;
        Ok(RawExport::new(self.node.export_drop(namespace, area)))
    }

    /// Begins to read a drop.
    #[wasm_bindgen(js_name = importDrop)]
    pub fn import_drop(&self) -> RawImport {
        RawImport::new(self.node.import_drop())
    }

    /// Changes in an area.
    pub fn subscribe(&self, namespace: JsValue, area: JsValue, options: JsValue) -> RawEvents {
        let query = || -> Result<_, Error> {
            let fields = Fields::of(&options, "options", &["from"])?;
            let from = fields.with("from", arguments::count)?.map(ProgressId);
            let area: Area = arguments::area(&area, "area")?;
            Ok(self.node.subscribe(arguments::namespace(&namespace, "namespace")?, area, from))
        };
        query().map_or_else(RawEvents::failed, RawEvents::of::<StoreEvent>)
    }

    /// Makes a ticket.
    pub fn share(&self, options: JsValue) -> Promise {
        let node = self.node.clone();
        promise(async move {
            let fields = Fields::of(&options, "options", &["namespace", "access", "to", "from", "area"])?;
            let request = ShareRequest {
                namespace: fields.required("namespace", arguments::namespace)?,
                access: fields.required("access", arguments::access)?,
                to: fields.with("to", arguments::user)?,
                from: fields.with("from", arguments::user)?,
                area: fields.with("area", arguments::area)?,
            };
            node.share(request).await
        })
    }

    /// Takes a ticket.
    pub fn join(&self, ticket: JsValue, options: JsValue) -> Promise {
        let node = self.node.clone();
        promise(async move {
            let fields = Fields::of(&options, "options", &["as"])?;
            let joined = node.join(&arguments::text(&ticket, "ticket")?, fields.with("as", arguments::user)?).await?;
            Ok(joined.to_js())
        })
    }

    /// Who was given what.
    pub fn grants(&self, namespace: JsValue) -> Promise {
        let node = self.node.clone();
        promise(async move { Ok(node.grants(arguments::namespace(&namespace, "namespace")?).await?.to_js()) })
    }

    /// Starts to sync. Throws if an argument is wrong; all else shows in the intent.
    pub fn sync(&self, peer: JsValue, init: JsValue) -> Result<RawIntent, JsValue> {
        let arguments = || Ok::<_, Error>((arguments::address(&peer)?, arguments::session_init(&init, Mode::Once)?));
        let (peer, init) = arguments().map_err(|error| error::to_js(&error))?;
        Ok(RawIntent::new(self.node.sync(peer, init)))
    }

    /// Accepted sessions, those running first.
    pub fn incoming(&self) -> RawEvents {
        RawEvents::with(self.node.incoming(), |session| RawIncoming::new(session).into())
    }

    /// Shuts the node down.
    pub fn shutdown(&self) -> Promise {
        let node = self.node.clone();
        promise(async move {
            node.shutdown().await;
            Ok(JsValue::UNDEFINED)
        })
    }
}
