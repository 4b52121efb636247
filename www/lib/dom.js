/** An element: `h("li", { className: "x", onclick }, "text", child)`. Text is always text, never markup. */
export function h(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-") || key === "role") element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children.filter((child) => child !== undefined && child !== null));
  return element;
}

export const $ = (id) => document.getElementById(id);

/** Asks, and resolves to whether the answer was yes. */
export function ask(text, yes) {
  const dialog = $("choice");
  $("choice-text").textContent = text;
  $("choice-yes").textContent = yes;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

/** A short message in the corner; it goes away by itself. */
export function toast(text, bad = false) {
  const note = h("div", { className: bad ? "toast bad" : "toast" }, text);
  $("toasts").append(note);
  setTimeout(() => note.remove(), bad ? 12_000 : 5_000);
}
