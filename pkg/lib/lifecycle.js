/**
 * Tells a node what happens to its page: whether it can be seen, whether it is frozen, whether there is a network; `leave` is called
 * when the page goes away for good. Returns a function that stops listening. In a worker there is no page to see; it is told of the
 * network alone, and by `WillowNode.notify`.
 */
export function followPage(notify, leave) {
  const stop = new AbortController();
  const listen = (target, type, listener) => target.addEventListener(type, listener, { signal: stop.signal });
  if (typeof addEventListener === "function") {
    for (const online of [true, false]) listen(globalThis, online ? "online" : "offline", () => notify({ online }));
    if (navigator.onLine === false) notify({ online: false });
  }
  if (typeof document === "object") {
    const visible = () => document.visibilityState === "visible";
    listen(document, "visibilitychange", () => notify({ visible: visible() }));
    listen(document, "freeze", () => notify({ frozen: true }));
    listen(document, "resume", () => notify({ frozen: false }));
    listen(globalThis, "pagehide", ({ persisted }) => (persisted ? notify({ frozen: true }) : leave()));
    listen(globalThis, "pageshow", ({ persisted }) => persisted && notify({ frozen: false, visible: visible() }));
    notify({ visible: visible() });
  }
  return () => stop.abort();
}
