// A node that runs in a worker does what one in the page does: the same tests, with other hosts.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const FILES = ["api", "intents", "iterators", "accept", "drops", "sync"];

for (const host of ["shared", "worker"]) {
  test(`host ${host}: what holds for a node in the page holds there`, { timeout: 600_000 }, async () => {
    const files = FILES.map((name) => fileURLToPath(new URL(`${name}.test.mjs`, import.meta.url)));
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const child = spawn(process.execPath, ["--test", "--test-concurrency=1", "--test-reporter=tap", ...files], { env: { ...env, OSIER_HOST: host }, stdio: ["ignore", "pipe", "inherit"] });
    const [report, [code]] = await Promise.all([text(child.stdout), once(child, "exit")]);
    const count = (what) => Number(new RegExp(`^# ${what} (\\d+)$`, "m").exec(report)?.[1]);
    assert.equal(code, 0, report.split("\n").filter((line) => /^\s*(not ok|error:|message:)/.test(line)).join("\n"));
    assert.deepEqual([count("fail"), count("skipped")], [0, 0]);
    assert.ok(count("pass") > 30, report);
  });
}
