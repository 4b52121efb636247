// The native program `osier` beside the pages: relays that can be killed, and peers that are driven by lines of JSON.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { program } from "./environment.mjs";

function start(words) {
  const child = spawn(program(), words, { stdio: ["pipe", "pipe", "pipe"] });
  let errors = "";
  child.stderr.on("data", (data) => {
    errors += data;
  });
  const ended = once(child, "exit").then(([code]) => code);
  child.on("error", (error) => {
    errors += error.message;
  });
  return { child, ended, errors: () => errors, lines: createInterface({ input: child.stdout }) };
}

/** Starts a relay on `port` (0: any) and waits until it listens. */
export async function startRelay(port = 0) {
  const { child, ended, errors, lines } = start(["relay", "--while-stdin", "--port", String(port)]);
  const [url] = await Promise.race([once(lines, "line"), ended.then((code) => Promise.reject(new Error(`the relay ended with ${code}: ${errors()}`)))]);
  return {
    url,
    port: Number(new URL(url).port),
    async stop() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** Types of lines that answer a command; all other lines are events. */
const ANSWERS = new Set(["listing", "put", "exported", "ticket", "commandFailed"]);

/** A native peer that joined by ticket and syncs live; with `data`, a directory, what it holds outlives it. */
export async function startPeer(relay, ticket, data = undefined) {
  const kept = data === undefined ? [] : ["--data", data];
  const { child, ended, errors, lines } = start(["peer", "--relay", relay, "--ticket", ticket, "--json", ...kept]);
  const events = [];
  const waiting = [];
  let ready;
  const isReady = new Promise((resolve) => {
    ready = resolve;
  });
  lines.on("line", (line) => {
    const message = JSON.parse(line);
    if (ANSWERS.has(message.type)) return waiting.shift()?.(message);
    if (message.type === "ready") ready(message);
    return events.push(message);
  });
  const failure = ended.then((code) => Promise.reject(new Error(`the native peer ended with ${code}: ${errors()}`)));
  failure.catch(() => {}); // it is looked at where it matters
  const info = await Promise.race([isReady, failure]);
  const command = async (request) => {
    const answer = new Promise((resolve) => waiting.push(resolve));
    child.stdin.write(`${JSON.stringify(request)}\n`);
    const message = await Promise.race([answer, failure]);
    if (message.type === "commandFailed") throw new Error(`the native peer: ${message.message}`);
    return message;
  };
  return {
    ...info,
    events,
    command,
    /** All entries in the order of the store, as the pages' `harness.listing()` has them. */
    async listing() {
      const { entries } = await command({ cmd: "ls" });
      return entries.map((entry) => ({
        user: entry.subspace,
        path: entry.path,
        timestamp: entry.timestamp,
        length: entry.payload_length,
        digest: entry.payload_digest,
        available: entry.available,
      }));
    },
    /** Waits until there are so many entries, each with all of its payload. */
    async holds(count) {
      for (;;) {
        const entries = await this.listing();
        if (entries.length === count && entries.every((entry) => entry.available === entry.length)) return;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    /** Waits until there is any entry. */
    async holdsAny() {
      while ((await this.listing()).length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    },
    /** Ends it without giving it a chance to say so to anyone. */
    async kill() {
      failure.catch(() => {});
      child.kill("SIGKILL");
      await ended;
    },
    async stop() {
      child.stdin.end();
      const code = await ended;
      if (code !== 0) throw new Error(`the native peer ended with ${code}: ${errors()}`);
    },
  };
}
