// The check that the storms rely on: it lets good orders pass, and finds each kind of bad one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { misplaced } from "./support/order.mjs";

/** Events by their types; a letter after a type names its area. */
const events = (text) =>
  text.split(" ").map((word) => {
    const [type, name] = word.split(":");
    return name === undefined ? { type } : { type, namespace: "space", area: { path: [name], from: 0n } };
  });

test("good orders of an intent's events pass", () => {
  for (const [text, ended] of [
    ["connecting established overlap:a reconciled:a reconciledAll progress", false],
    ["established overlap:a overlap:b reconciled:b payload reconciled:a reconciledAll overlap:c reconciled:c reconciledAll ended", true],
    ["connecting established nothingInCommon overlap:a reconciled:a reconciledAll", false],
    ["connecting disconnected reconnecting reconnecting connecting established overlap:a disconnected reconnecting established", false],
    ["connecting established overlap:a reconciled:a established overlap:a reconciled:a reconciledAll reconnecting error", true],
    ["error", true],
  ]) assert.equal(misplaced(events(text), { ended }), undefined, text);
});

test("bad orders of an intent's events are found", () => {
  for (const [text, ended, why] of [
    ["overlap:a", false, /without a session/],
    ["connecting established disconnected reconciledAll", false, /without a session/],
    ["connecting established overlap:a established reconciled:a", false, /before its overlap/],
    ["established reconciled:a", false, /before its overlap/],
    ["established overlap:a overlap:b reconciled:a reconciledAll", false, /before an area is reconciled/],
    ["established ended progress", false, /not the last/],
    ["established ended ended", true, /not the last/],
    ["disconnected", false, /follows undefined/],
    ["connecting disconnected disconnected", false, /follows disconnected/],
    ["connecting established", true, /the last event is established/],
  ]) assert.match(misplaced(events(text), { ended }) ?? "nothing", why, text);
});
