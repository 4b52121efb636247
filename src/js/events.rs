//! `RawEvents`: a stream of the node, taken item by item.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::Future,
    pin::Pin,
    rc::Rc,
};

use js_sys::{Promise, Uint8Array};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use super::{output::ToJs, promise};
use crate::node::{Entries, Error, Events, PayloadReader};

/// An item, the end, or why there is none.
type Item = Result<Option<JsValue>, Error>;
type Next<'a> = Pin<Box<dyn Future<Output = Item> + 'a>>;

/// A stream behind one type, whatever its items are.
trait Source {
    fn next(&self) -> Next<'_>;
    fn close(&self);
}

struct EventSource<T, F> {
    events: Events<T>,
    convert: F,
}

impl<T, F: Fn(T) -> JsValue> Source for EventSource<T, F> {
    fn next(&self) -> Next<'_> {
        Box::pin(async { Ok(self.events.next().await.map(&self.convert)) })
    }

    fn close(&self) {
        self.events.close();
    }
}

/// What is read item by item, by itself.
trait Pull {
    async fn pull(&mut self) -> Item;
}

impl Pull for Entries {
    async fn pull(&mut self) -> Item {
        Ok(self.next().await.transpose()?.map(|entry| entry.to_js()))
    }
}

impl Pull for PayloadReader {
    async fn pull(&mut self) -> Item {
        Ok(self.next().await?.map(|piece| Uint8Array::from(piece.as_slice()).into()))
    }
}

/// A query or a payload. `next` is called again only after it has resolved (the package sees to that); a second call meanwhile finds it
/// taken and ends.
struct PullSource<P> {
    reader: RefCell<Option<P>>,
    closed: Cell<bool>,
}

impl<P: Pull> Source for PullSource<P> {
    fn next(&self) -> Next<'_> {
        Box::pin(async {
            let Some(mut reader) = self.reader.take().filter(|_| !self.closed.get()) else { return Ok(None) };
            let item = reader.pull().await?;
            self.reader.replace(Some(reader));
            Ok(item)
        })
    }

    fn close(&self) {
        self.closed.set(true);
        self.reader.take();
    }
}

/// A stream of which nothing is left but what was put in, and an end.
struct Finished(RefCell<VecDeque<Error>>);

impl Source for Finished {
    fn next(&self) -> Next<'_> {
        let error = self.0.borrow_mut().pop_front();
        Box::pin(async { error.map_or(Ok(None), Err) })
    }

    fn close(&self) {}
}

/// A stream: `next()` gives a promise of the next item, or of undefined after the last.
#[wasm_bindgen]
pub struct RawEvents {
    source: Rc<dyn Source>,
}

impl RawEvents {
    /// Events that are plain data.
    pub(super) fn of<T: ToJs + 'static>(events: Events<T>) -> Self {
        Self::with(events, |event| event.to_js())
    }

    /// Events through a conversion of their own.
    pub(super) fn with<T: 'static>(events: Events<T>, convert: impl Fn(T) -> JsValue + 'static) -> Self {
        Self { source: Rc::new(EventSource { events, convert }) }
    }

    /// The entries of a query.
    pub(super) fn entries(entries: Entries) -> Self {
        Self::pulled(entries)
    }

    /// The bytes of a payload.
    pub(super) fn payload(reader: PayloadReader) -> Self {
        Self::pulled(reader)
    }

    fn pulled(reader: impl Pull + 'static) -> Self {
        Self { source: Rc::new(PullSource { reader: RefCell::new(Some(reader)), closed: Cell::new(false) }) }
    }

    /// A stream that fails at once, then ends.
    pub(super) fn failed(error: Error) -> Self {
        Self { source: Rc::new(Finished(RefCell::new(VecDeque::from([error])))) }
    }
}

#[wasm_bindgen]
impl RawEvents {
    /// The next item, or undefined after the last.
    pub fn next(&self) -> Promise {
        let source = self.source.clone();
        promise(async move { Ok(source.next().await?.unwrap_or(JsValue::UNDEFINED)) })
    }

    /// Ends the stream: what was not taken is dropped, a waiting `next` resolves with undefined.
    pub fn close(&self) {
        self.source.close();
    }
}
