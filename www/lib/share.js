import { $, h, toast } from "./dom.js";
import { pathText, who } from "./text.js";

/** The dialog that makes links, and says who may do what. */
export class Share {
  #notebook;
  #relays;

  constructor(notebook, relays) {
    this.#notebook = notebook;
    this.#relays = relays;
    $("share").hidden = false;
    $("share").addEventListener("click", () => this.open());
    $("access").addEventListener("change", () => this.#link());
    $("link").addEventListener("focus", () => $("link").select());
    $("copy").addEventListener("click", () => this.#copy());
  }

  async open() {
    $("share-dialog").showModal();
    await this.#link();
  }

  async #link() {
    $("link").value = "";
    try {
      const ticket = await this.#notebook.node.share({ namespace: this.#notebook.namespace, access: $("access").value });
      $("link").value = linkFor(ticket, this.#relays);
    } catch (error) {
      toast(error.code === "notAuthorised" ? "You may not hand that on: you were given less yourself." : error.message, true);
    }
    await this.#grants();
  }

  async #grants() {
    const grants = await this.#notebook.node.grants(this.#notebook.namespace);
    const person = (user) => who(this.#notebook.nameOf(user), user);
    const may = ({ access, area }) => ` may ${access === "write" ? "read and write" : "read"}${area.path.length > 0 ? ` below ${pathText(area.path)}` : ""}`;
    $("grants").replaceChildren(...grants.map((grant) =>
      grant.from === grant.to
        ? h("li", {}, person(grant.to), " made this notebook")
        : h("li", {}, grant.link ? "Whoever has a link" : person(grant.to), may(grant), ", given by ", person(grant.from))));
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText($("link").value);
      $("share-note").textContent = "Copied. Whoever has this link can join; it leads to this page, so keep it open.";
    } catch {
      $("link").select();
      $("share-note").textContent = "Press Ctrl+C to copy.";
    }
  }
}

/** A link to this page with relay and ticket in the fragment, which no server ever sees. */
export function linkFor(ticket, relays) {
  const link = new URL(location.href);
  const fragment = new URLSearchParams();
  for (const relay of relays) fragment.append("relay", relay);
  fragment.set("ticket", ticket);
  link.hash = fragment.toString();
  return link.href;
}

/** Relays and ticket out of a link, a fragment or a bare ticket. */
export function readLink(text) {
  const trimmed = text.trim();
  const hash = trimmed.indexOf("#");
  if (hash < 0) return { relays: [], ticket: trimmed === "" ? undefined : trimmed };
  const fragment = new URLSearchParams(trimmed.slice(hash + 1));
  return { relays: fragment.getAll("relay"), ticket: fragment.get("ticket") ?? undefined };
}
