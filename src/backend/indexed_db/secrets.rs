//! Secrets at rest: notes whose names begin with `secret/` are wrapped by a key that the browser keeps and does not give out.
//!
//! The key is an AES-GCM key of WebCrypto, not extractable, stored in the database that it is for. Whoever copies the files of the
//! browser's profile has to make a browser use it; it does not protect from code that runs in the origin.
//!
//! ```text
//! plain    0 · secret
//! wrapped  1 · random 12 · AES-GCM of the secret, with the name as additional data
//! ```

use js_sys::{Array, Object, Promise, Reflect, Uint8Array};
use osier_core::store::StorageError;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AesGcmParams, CryptoKey, SubtleCrypto};

use crate::platform::{global, random};

/// Names that begin so are those of secrets.
pub(super) const SECRET: &str = "secret/";

const PLAIN: u8 = 0;
const WRAPPED: u8 = 1;
const IV: usize = 12;

/// The key, and what uses it.
pub(super) struct Wrapping {
    subtle: SubtleCrypto,
    key: CryptoKey,
}

/// WebCrypto, where this page or worker has it: not in insecure contexts.
pub(super) fn subtle() -> Option<SubtleCrypto> {
    Some(global(&["crypto", "subtle"])?.unchecked_into())
}

/// A new key that cannot be taken out of the browser.
pub(super) async fn generate(subtle: &SubtleCrypto) -> Option<CryptoKey> {
    let algorithm = Object::new();
    Reflect::set(&algorithm, &"name".into(), &"AES-GCM".into()).ok()?;
    Reflect::set(&algorithm, &"length".into(), &256.into()).ok()?;
    let usages = Array::of2(&"encrypt".into(), &"decrypt".into());
    let key = subtle.generate_key_with_object(&algorithm, false, &usages).ok()?;
    JsFuture::from(key).await.ok()?.dyn_into().ok()
}

impl Wrapping {
    pub(super) fn new(subtle: SubtleCrypto, key: CryptoKey) -> Self {
        Self { subtle, key }
    }

    async fn wrap(&self, name: &str, secret: &[u8]) -> Result<Vec<u8>, JsValue> {
        let iv = random::<IV>();
        let secret = Uint8Array::from(secret);
        let wrapped = self.subtle.encrypt_with_object_and_js_u8_array(&parameters(&iv, name), &self.key, &secret);
        let wrapped = settled(wrapped).await?;
        Ok([&[WRAPPED][..], &iv, &wrapped].concat())
    }

    async fn unwrap(&self, name: &str, iv: &[u8], wrapped: &[u8]) -> Result<Vec<u8>, JsValue> {
        let wrapped = Uint8Array::from(wrapped);
        settled(self.subtle.decrypt_with_object_and_js_u8_array(&parameters(iv, name), &self.key, &wrapped)).await
    }
}

fn parameters(iv: &[u8], name: &str) -> AesGcmParams {
    let parameters = AesGcmParams::new_with_u8_array("AES-GCM", &Uint8Array::from(iv));
    parameters.set_additional_data_u8_array(&Uint8Array::from(name.as_bytes()));
    parameters
}

async fn settled(bytes: Result<Promise, JsValue>) -> Result<Vec<u8>, JsValue> {
    Ok(Uint8Array::new(&JsFuture::from(bytes?).await?).to_vec())
}

/// What is stored of a secret.
pub(super) async fn seal(wrapping: Option<&Wrapping>, name: &str, secret: &[u8]) -> Result<Vec<u8>, StorageError> {
    match wrapping {
        None => Ok([&[PLAIN][..], secret].concat()),
        Some(wrapping) => {
            wrapping.wrap(name, secret).await.map_err(|why| StorageError::Corrupt(format!("a secret cannot be wrapped: {why:?}")))
        }
    }
}

/// The secret that is stored.
pub(super) async fn open(wrapping: Option<&Wrapping>, name: &str, stored: &[u8]) -> Result<Vec<u8>, StorageError> {
    let damaged = |what: &str| StorageError::Corrupt(format!("{name} {what}"));
    match stored.split_first() {
        Some((&PLAIN, secret)) => Ok(secret.to_vec()),
        Some((&WRAPPED, rest)) => {
            let (iv, wrapped) = rest.split_at_checked(IV).ok_or_else(|| damaged("is cut off"))?;
            let wrapping = wrapping.ok_or_else(|| damaged("is wrapped, and this page has no WebCrypto"))?;
            wrapping.unwrap(name, iv, wrapped).await.map_err(|_| damaged("cannot be unwrapped"))
        }
        _ => Err(damaged("has no format that is known")),
    }
}
