//! Errors on their way out: a plain object with the stable code, the sentence and what it is about.

use js_sys::{Object, Reflect};
use wasm_bindgen::JsValue;

use crate::node::Error;

/// `{ code, message, argument?, detail? }`.
pub(super) fn to_js(error: &Error) -> JsValue {
    let object = Object::new();
    set(&object, "code", error.code());
    set(&object, "message", &error.to_string());
    if let Some(argument) = error.argument() {
        set(&object, "argument", argument);
    }
    if let Some(detail) = error.detail() {
        set(&object, "detail", detail);
    }
    object.into()
}

/// Sets a field of an object that is ours; such an object is neither frozen nor a proxy, so this cannot fail.
fn set(object: &Object, name: &str, value: &str) {
    let done = Reflect::set(object, &name.into(), &value.into());
    debug_assert!(done.is_ok(), "a field of a fresh object can be set");
}
