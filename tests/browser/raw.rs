//! What the tests of storage do behind its back: they read and write databases raw, and make the browser misbehave.

use js_sys::{Array, Function, Promise, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// A name that no database has.
pub fn new_name() -> String {
    format!("test-{}", js_sys::Math::random())
}

/// Runs the body of an asynchronous JavaScript function of `argument`, with some functions at hand:
///
/// - `open(name, version)` opens a database raw, with an upgrade that does nothing;
/// - `remove(name)` deletes one;
/// - `all(name, store)` gives the `[key, value]` pairs of a store;
/// - `write(name, store, key, value)` puts one value.
pub async fn script(body: &str, argument: impl Into<JsValue>) -> JsValue {
    const HELPERS: &str = r"
        const done = (request) => new Promise((resolve, reject) => {
            request.onsuccess = () => resolve(request.result);
            request.onerror = () => reject(request.error);
        });
        const open = (name, version) => done(version ? indexedDB.open(name, version) : indexedDB.open(name));
        const remove = (name) => done(indexedDB.deleteDatabase(name));
        const all = async (name, store) => {
            const db = await open(name);
            const of = db.transaction(store).objectStore(store);
            const [keys, values] = await Promise.all([done(of.getAllKeys()), done(of.getAll())]);
            db.close();
            return keys.map((key, index) => [key, values[index]]);
        };
        const write = async (name, store, key, value) => {
            const db = await open(name);
            await done(db.transaction(store, 'readwrite').objectStore(store).put(value, key));
            db.close();
        };
    ";
    let function: Function = js_sys::eval(&format!("(async (argument) => {{ {HELPERS} {body} }})")).unwrap().unchecked_into();
    let promise: Promise = function.call1(&JsValue::UNDEFINED, &argument.into()).unwrap().unchecked_into();
    JsFuture::from(promise).await.unwrap()
}

/// The pairs of an object store, raw.
pub async fn all(name: &str, store: &str) -> Vec<(JsValue, JsValue)> {
    let pairs = script("return all(...argument)", Array::of2(&name.into(), &store.into())).await;
    let pair = |pair: JsValue| (pair.unchecked_ref::<Array>().get(0), pair.unchecked_ref::<Array>().get(1));
    pairs.unchecked_into::<Array>().iter().map(pair).collect()
}

/// Puts one value into an object store, raw.
pub async fn write(name: &str, store: &str, key: &JsValue, value: &JsValue) {
    script("return write(...argument)", Array::of4(&name.into(), &store.into(), key, value)).await;
}

/// Bytes as a value.
pub fn array(bytes: &[u8]) -> JsValue {
    Uint8Array::from(bytes).into()
}

/// The bytes of a key or value.
pub fn bytes(value: &JsValue) -> Vec<u8> {
    Uint8Array::new(value).to_vec()
}

/// Something about the browser that is changed until this is dropped.
pub struct Changed(Function);

impl Drop for Changed {
    fn drop(&mut self) {
        self.0.call0(&JsValue::UNDEFINED).unwrap();
    }
}

/// Replaces a property of an object, both given as expressions; `old` is what it was.
pub fn replace(object: &str, property: &str, value: &str) -> Changed {
    let change = format!(
        "(() => {{
            const object = {object};
            const own = Object.getOwnPropertyDescriptor(object, '{property}');
            const old = object['{property}'];
            Object.defineProperty(object, '{property}', {{ configurable: true, writable: true, value: {value} }});
            return () => {{
                if (own) Object.defineProperty(object, '{property}', own);
                else delete object['{property}'];
            }};
        }})()"
    );
    Changed(js_sys::eval(&change).unwrap().unchecked_into())
}
