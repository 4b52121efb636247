import { dateFromTimestamp } from "osier";
import { h } from "./dom.js";

const decoder = new TextDecoder("utf-8", { fatal: true });

/** The text of some bytes, or undefined if they are no UTF-8. */
export function textOf(bytes) {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/** A path as people write it. Components that are bytes show as hex. */
export function pathText(path) {
  return path.map((part) => (typeof part === "string" ? part : Array.from(part, (byte) => byte.toString(16).padStart(2, "0")).join(""))).join("/");
}

/** What a person typed, as components; empty ones are left out. */
export function pathFrom(text) {
  return text.split("/").map((part) => part.trim()).filter((part) => part !== "");
}

export function bytesText(count) {
  const units = ["B", "KiB", "MiB", "GiB"];
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

/** When something was written: "3 minutes ago", with the exact time as a title. */
export function when(timestamp) {
  const date = dateFromTimestamp(timestamp);
  const seconds = Math.round((date.getTime() - Date.now()) / 1000);
  const [count, unit] =
    Math.abs(seconds) < 60 ? [seconds, "second"]
    : Math.abs(seconds) < 3600 ? [Math.round(seconds / 60), "minute"]
    : Math.abs(seconds) < 86_400 ? [Math.round(seconds / 3600), "hour"]
    : [Math.round(seconds / 86_400), "day"];
  return h("time", { dateTime: date.toISOString(), title: date.toLocaleString() }, Math.abs(seconds) < 5 ? "just now" : relative.format(count, unit));
}

/** A hue for a key, so that one person has one colour everywhere. */
export function hueOf(id) {
  return Number.parseInt(id.slice(0, 4), 16) % 360;
}

/** A person, with their colour. */
export function who(name, id) {
  const label = h("span", { className: "who", title: id }, name);
  label.style.setProperty("--hue", hueOf(id));
  return label;
}
