//! Arguments on their way in. Whatever is wrong is an `invalidArgument` that names the argument; unknown names of options are wrong, too.

use std::{cell::RefCell, collections::VecDeque};

use js_sys::{Array, Date, Object, Reflect, Uint8Array};
use osier_core::{PeerId, willow::time};
use serde::de::DeserializeOwned;
use wasm_bindgen::{JsCast, JsValue};

use super::texts::{self, Recent, recent};
use crate::node::{
    Access, Area, Attempts, EntryKey, Error, Interest, Interests, Lifecycle, Limits, Lock, Mode, NamespaceId, NamespaceKind, NodeOptions,
    Path, PeerAddress, Quota, ReconnectPolicy, SecretKey, SessionInit, StorageOptions, SubspaceId,
};
use willow25::prelude::{TimeRange, Timestamp};

/// The largest integer that a JavaScript number holds exactly.
const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;

/// The database of a node whose caller names none: that of the package.
const DEFAULT_DATABASE: &str = "osier";

/// An object of options, of which only known names may be set.
pub(super) struct Fields(Vec<(&'static str, JsValue)>);

impl Fields {
    /// # Errors
    /// When `value` is no object, or has a field that is not in `known`.
    pub(super) fn of(value: &JsValue, argument: &'static str, known: &[&'static str]) -> Result<Self, Error> {
        let Some(object) = value.dyn_ref::<Object>().filter(|_| !value.is_function() && !Array::is_array(value)) else {
            return Err(Error::invalid_argument(argument, "expected an object"));
        };
        let names: Vec<JsValue> = known.iter().map(|name| texts::name(name)).collect();
        if let Some(unknown) = Object::keys(object).iter().find(|key| !names.contains(key)) {
            let unknown = unknown.as_string().unwrap_or_default();
            return Err(Error::invalid_argument(argument, format!("`{unknown}` is no option here; there are: {}", known.join(", "))));
        }
        let read = |(&field, name)| match Reflect::get(value, name) {
            Ok(value) => Ok((field, value)),
            Err(_) => Err(Error::invalid_argument(field, "it cannot be read")),
        };
        known.iter().zip(&names).map(read).collect::<Result<_, _>>().map(Self)
    }

    /// The field as it is; `None` if it is absent, undefined or null.
    pub(super) fn raw(&self, name: &str) -> Option<&JsValue> {
        let (_, value) = self.0.iter().find(|(field, _)| *field == name)?;
        Some(value).filter(|value| !value.is_undefined() && !value.is_null())
    }

    /// The field as plain data.
    pub(super) fn get<T: DeserializeOwned>(&self, name: &'static str) -> Result<Option<T>, Error> {
        self.raw(name).map(|value| plain(value.clone(), name)).transpose()
    }

    /// The field through a conversion of this module.
    pub(super) fn with<T>(
        &self,
        name: &'static str,
        convert: impl Fn(&JsValue, &'static str) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        self.raw(name).map(|value| convert(value, name)).transpose()
    }

    /// The same for a field that must be there.
    pub(super) fn required<T>(&self, name: &'static str, convert: impl Fn(&JsValue, &'static str) -> Result<T, Error>) -> Result<T, Error> {
        self.with(name, convert)?.ok_or_else(|| Error::invalid_argument(name, "it is missing"))
    }
}

/// Plain data by its shape.
fn plain<T: DeserializeOwned>(value: JsValue, argument: &'static str) -> Result<T, Error> {
    serde_wasm_bindgen::from_value(value).map_err(|error| Error::invalid_argument(argument, error))
}

pub(super) fn text(value: &JsValue, argument: &'static str) -> Result<String, Error> {
    value.as_string().ok_or_else(|| Error::invalid_argument(argument, "expected a string"))
}

/// A whole number that JavaScript holds exactly.
pub(super) fn count(value: &JsValue, argument: &'static str) -> Result<u64, Error> {
    let number = value.as_f64().filter(|number| number.fract() == 0.0 && (0.0..=MAX_SAFE_INTEGER).contains(number));
    // Within the bounds just checked the conversion is exact.
    number.map(|number| number as u64).ok_or_else(|| Error::invalid_argument(argument, "expected a whole number from 0 on"))
}

/// A [`count`] of things in memory.
fn size(value: &JsValue, argument: &'static str) -> Result<usize, Error> {
    Ok(usize::try_from(count(value, argument)?).unwrap_or(usize::MAX))
}

/// A quota; none if there is nothing.
pub(super) fn quota(value: &JsValue) -> Result<Option<Quota>, Error> {
    if value.is_undefined() || value.is_null() {
        return Ok(None);
    }
    let fields = Fields::of(value, "quota", &["entries", "payloadBytes"])?;
    Ok(Some(Quota { entries: fields.with("entries", count)?, payload_bytes: fields.with("payloadBytes", count)? }))
}

pub(super) fn bytes(value: &JsValue, argument: &'static str) -> Result<Vec<u8>, Error> {
    let array = value.dyn_ref::<Uint8Array>().ok_or_else(|| Error::invalid_argument(argument, "expected a Uint8Array"))?;
    Ok(array.to_vec())
}

/// 32 bytes as 64 hexadecimal digits.
fn key(value: &JsValue, argument: &'static str) -> Result<[u8; 32], Error> {
    let id: PeerId = text(value, argument)?.parse().map_err(|_| Error::invalid_argument(argument, "expected 64 hexadecimal digits"))?;
    Ok(id.0)
}

// To find the point of an id costs a fifth of a signature.
thread_local! {
    static NAMESPACES: Recent<NamespaceId> = const { RefCell::new(VecDeque::new()) };
    static USERS: Recent<SubspaceId> = const { RefCell::new(VecDeque::new()) };
}

pub(super) fn namespace(value: &JsValue, argument: &'static str) -> Result<NamespaceId, Error> {
    Ok(recent(&NAMESPACES, &key(value, argument)?, NamespaceId::from_bytes))
}

pub(super) fn user(value: &JsValue, argument: &'static str) -> Result<SubspaceId, Error> {
    Ok(recent(&USERS, &key(value, argument)?, SubspaceId::from_bytes))
}

pub(super) fn peer(value: &JsValue, argument: &'static str) -> Result<PeerId, Error> {
    key(value, argument).map(PeerId)
}

/// A peer's address, or its id alone.
pub(super) fn address(value: &JsValue) -> Result<PeerAddress, Error> {
    if value.is_string() {
        return Ok(PeerAddress { id: peer(value, "peer")?, relays: Vec::new() });
    }
    let fields = Fields::of(value, "peer", &["id", "relays"])?;
    Ok(PeerAddress { id: fields.required("id", |value, _| peer(value, "peer"))?, relays: fields.get("relays")?.unwrap_or_default() })
}

/// Components, each a string or bytes.
pub(super) fn path(value: &JsValue, argument: &'static str) -> Result<Path, Error> {
    let Some(array) = value.dyn_ref::<Array>() else {
        return Err(Error::invalid_argument(argument, "expected an array of strings and Uint8Arrays"));
    };
    let mut components = Vec::new();
    let mut total = 0usize;
    for (index, item) in array.iter().enumerate() {
        let component = match item.as_string() {
            Some(text) => text.into_bytes(),
            None => bytes(&item, argument)
                .map_err(|_| Error::invalid_argument(argument, format!("component {index} is neither a string nor a Uint8Array")))?,
        };
        if component.len() > willow25::MCL {
            return Err(Error::invalid_argument(
                argument,
                format!("component {index} has {} bytes, at most {} are allowed", component.len(), willow25::MCL),
            ));
        }
        total = total.saturating_add(component.len());
        components.push(component);
        if total > willow25::MPL || components.len() > willow25::MCC {
            return Err(Error::invalid_argument(
                argument,
                format!("at most {} bytes in {} components are allowed", willow25::MPL, willow25::MCC),
            ));
        }
    }
    let slices: Vec<&[u8]> = components.iter().map(Vec::as_slice).collect();
    Path::from_slices(&slices).map_err(|error| Error::invalid_argument(argument, error))
}

/// A bigint of TAI microseconds, or a Date.
pub(super) fn timestamp(value: &JsValue, argument: &'static str) -> Result<u64, Error> {
    if let Some(date) = value.dyn_ref::<Date>() {
        let millis = date.get_time();
        if !(0.0..=MAX_SAFE_INTEGER).contains(&millis) {
            return Err(Error::invalid_argument(argument, "the Date is invalid or before 1970"));
        }
        return Ok(u64::from(time::tai_from_unix_micros((millis as u64).saturating_mul(1000))));
    }
    if !value.is_bigint() {
        return Err(Error::invalid_argument(argument, "expected a bigint of microseconds or a Date"));
    }
    u64::try_from(value.clone()).map_err(|_| Error::invalid_argument(argument, "expected 0 to 2^64 - 1 microseconds"))
}

/// Where in a namespace.
pub(super) fn area(value: &JsValue, argument: &'static str) -> Result<Area, Error> {
    let fields = Fields::of(value, argument, &["user", "path", "from", "to"])?;
    let from = fields.with("from", timestamp)?.unwrap_or(0);
    let to = fields.with("to", timestamp)?;
    let times = TimeRange::try_new(Timestamp::from(from), to.map(Timestamp::from))
        .map_err(|_| Error::invalid_argument("to", "it is not after `from`"))?;
    Ok(Area::new(fields.with("user", user)?, fields.with("path", path)?.unwrap_or_default(), times))
}

/// Which entry.
pub(super) fn entry_key(value: &JsValue) -> Result<EntryKey, Error> {
    let fields = Fields::of(value, "entry", &["namespace", "user", "path"])?;
    Ok(EntryKey {
        namespace: fields.required("namespace", namespace)?,
        subspace: fields.required("user", user)?,
        path: fields.required("path", path)?,
    })
}

pub(super) fn access(value: &JsValue, argument: &'static str) -> Result<Access, Error> {
    match value.as_string().as_deref() {
        Some("read") => Ok(Access::Read),
        Some("write") => Ok(Access::Write),
        _ => Err(Error::invalid_argument(argument, "expected \"read\" or \"write\"")),
    }
}

pub(super) fn kind(value: &JsValue, argument: &'static str) -> Result<NamespaceKind, Error> {
    match value.as_string().as_deref() {
        Some("communal") => Ok(NamespaceKind::Communal),
        Some("owned") => Ok(NamespaceKind::Owned),
        _ => Err(Error::invalid_argument(argument, "expected \"communal\" or \"owned\"")),
    }
}

pub(super) fn order(value: &JsValue, argument: &'static str) -> Result<bool, Error> {
    match value.as_string().as_deref() {
        Some("ascending") => Ok(false),
        Some("descending") => Ok(true),
        _ => Err(Error::invalid_argument(argument, "expected \"ascending\" or \"descending\"")),
    }
}

/// What `WillowNode.open` takes, but for what JavaScript handles itself.
pub(super) fn open_options(value: &JsValue) -> Result<NodeOptions, Error> {
    let fields = Fields::of(value, "options", &["relays", "storage", "lock", "secretKey", "reconnect", "limits"])?;
    let lock = fields.with("lock", lock)?.unwrap_or_default();
    let place = match fields.raw("storage") {
        Some(storage) => database(storage)?,
        None => Some(DEFAULT_DATABASE.to_owned()),
    };
    let mut options = NodeOptions {
        relays: fields.get("relays")?.unwrap_or_default(),
        storage: place.map_or(StorageOptions::Memory, |place| StorageOptions::Durable { place, lock }),
        secret_key: fields.with("secretKey", secret_key)?.unwrap_or_default(),
        key_lock: lock,
        reconnect: fields.with("reconnect", reconnect_policy)?.unwrap_or_default(),
        ..NodeOptions::default()
    };
    if let Some(limits) = fields.raw("limits") {
        let fields =
            Fields::of(limits, "limits", &["maxHandshakes", "maxHandshakesPerPeer", "maxSessions", "maxTransfersPerPeer", "maxFuture"])?;
        let Limits { handshakes, handshakes_per_peer, sessions, payloads_per_session } = options.limits;
        options.limits = Limits {
            handshakes: fields.with("maxHandshakes", size)?.unwrap_or(handshakes),
            handshakes_per_peer: fields.with("maxHandshakesPerPeer", size)?.unwrap_or(handshakes_per_peer),
            sessions: fields.with("maxSessions", size)?.unwrap_or(sessions),
            payloads_per_session: fields.with("maxTransfersPerPeer", size)?.unwrap_or(payloads_per_session),
        };
        if options.limits.payloads_per_session == 0 {
            return Err(Error::invalid_argument("maxTransfersPerPeer", "expected a whole number from 1 on"));
        }
        if let Some(millis) = fields.with("maxFuture", count)? {
            options.max_future_micros = millis.saturating_mul(1000);
        }
    }
    Ok(options)
}

/// The name of the database, `None` for `"memory"`.
fn database(value: &JsValue) -> Result<Option<String>, Error> {
    let expected = "expected \"memory\" or { indexedDb: the name of a database }";
    match value.as_string() {
        Some(kind) if kind == "memory" => Ok(None),
        Some(_) => Err(Error::invalid_argument("storage", expected)),
        None => match Fields::of(value, "storage", &["indexedDb"])?.required("indexedDb", text)? {
            name if name.is_empty() => Err(Error::invalid_argument("storage", expected)),
            name => Ok(Some(name)),
        },
    }
}

fn lock(value: &JsValue, argument: &'static str) -> Result<Lock, Error> {
    match value.as_string().as_deref() {
        Some("wait") => Ok(Lock::default()),
        Some("fail") => Ok(Lock::Fail),
        Some("steal") => Ok(Lock::Steal),
        _ => Err(Error::invalid_argument(argument, "expected \"wait\", \"fail\" or \"steal\"")),
    }
}

fn secret_key(value: &JsValue, argument: &'static str) -> Result<SecretKey, Error> {
    if value.as_string().as_deref() == Some("ephemeral") {
        return Ok(SecretKey::Ephemeral);
    }
    let expected = || Error::invalid_argument(argument, "expected 32 bytes or \"ephemeral\"");
    bytes(value, argument).map_err(|_| expected())?.try_into().map(SecretKey::Given).map_err(|_| expected())
}

/// What `WillowNode.sync` takes and an accept handler answers, but for the signal. Their default modes differ.
pub(super) fn session_init(value: &JsValue, default_mode: Mode) -> Result<SessionInit, Error> {
    let fields = Fields::of(value, "init", &["interests", "mode", "reconnect"])?;
    let mode = match fields.with("mode", text)?.as_deref() {
        None => default_mode,
        Some("once") => Mode::Once,
        Some("live") => Mode::Live,
        Some(_) => return Err(Error::invalid_argument("mode", "expected \"live\" or \"once\"")),
    };
    let reconnect = fields.with("reconnect", reconnect_policy)?;
    Ok(SessionInit { interests: fields.with("interests", interests)?.unwrap_or_default(), mode, reconnect })
}

/// When to dial again. What is absent is as in the default policy.
fn reconnect_policy(value: &JsValue, argument: &'static str) -> Result<ReconnectPolicy, Error> {
    let fields = Fields::of(value, argument, &["firstDelay", "factor", "cap", "jitter", "attempts"])?;
    let default = ReconnectPolicy::default();
    Ok(ReconnectPolicy {
        first_delay_millis: fields.with("firstDelay", delay)?.unwrap_or(default.first_delay_millis),
        factor: fields.with("factor", |value, name| number_within(value, name, 1.0, 1_000_000.0))?.unwrap_or(default.factor),
        cap_millis: fields.with("cap", delay)?.unwrap_or(default.cap_millis),
        jitter: fields.with("jitter", |value, name| number_within(value, name, 0.0, 1.0))?.unwrap_or(default.jitter),
        attempts: fields.with("attempts", attempts)?.unwrap_or(default.attempts),
    })
}

/// Milliseconds to wait.
fn delay(value: &JsValue, argument: &'static str) -> Result<u64, Error> {
    let millis = count(value, argument)?;
    if millis == 0 { Err(Error::invalid_argument(argument, "expected at least 1 ms")) } else { Ok(millis) }
}

fn attempts(value: &JsValue, argument: &'static str) -> Result<Attempts, Error> {
    if value.as_f64() == Some(f64::INFINITY) {
        return Ok(Attempts::Unlimited);
    }
    Ok(Attempts::AtMost(u32::try_from(count(value, argument)?).unwrap_or(u32::MAX)))
}

fn number_within(value: &JsValue, argument: &'static str, least: f64, most: f64) -> Result<f64, Error> {
    let number = value.as_f64().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| Error::invalid_argument(argument, format!("expected a number from {least} to {most}")))
}

/// What `WillowNode.notify` takes.
pub(super) fn lifecycle(value: &JsValue) -> Result<Lifecycle, Error> {
    let fields = Fields::of(value, "state", &["visible", "frozen", "online"])?;
    Ok(Lifecycle {
        visible: fields.with("visible", boolean)?,
        frozen: fields.with("frozen", boolean)?,
        online: fields.with("online", boolean)?,
    })
}

fn boolean(value: &JsValue, argument: &'static str) -> Result<bool, Error> {
    value.as_bool().ok_or_else(|| Error::invalid_argument(argument, "expected true or false"))
}

fn interests(value: &JsValue, argument: &'static str) -> Result<Interests, Error> {
    if value.as_string().as_deref() == Some("all") {
        return Ok(Interests::All);
    }
    if !Array::is_array(value) {
        return Err(Error::invalid_argument(argument, "expected \"all\" or an array of interests"));
    }
    interest_list(value, argument).map(Interests::Some)
}

pub(super) fn interest_list(value: &JsValue, argument: &'static str) -> Result<Vec<Interest>, Error> {
    let array = value.dyn_ref::<Array>().ok_or_else(|| Error::invalid_argument(argument, "expected an array of interests"))?;
    array.iter().map(|item| interest(&item, argument)).collect()
}

fn interest(value: &JsValue, argument: &'static str) -> Result<Interest, Error> {
    let fields = Fields::of(value, argument, &["namespace", "area"])?;
    Ok(Interest { area: fields.with("area", area)?, ..Interest::namespace(fields.required("namespace", namespace)?) })
}
