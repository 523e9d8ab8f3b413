import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { AppError } from "../../core/errors.ts";
import { encodeKubeconfig } from "../../core/kube/kubeconfig.ts";
import type { Clock } from "../../core/ports.ts";
import { createCapturedIo } from "../../tests/support/captured_io.ts";
import { createTempFolder, type TempFolder } from "../../tests/support/temp.ts";
import { createSystemClock } from "../system.ts";
import { repeatUntilDone } from "./ca_rotations.ts";

const quiet = new AbortController().signal;

/** Writes a kubeconfig of a server that is never reached. */
async function writeKubeconfig(folder: TempFolder): Promise<void> {
  const config = encodeKubeconfig({
    clusters: [{ name: "x", cluster: { server: "https://127.0.0.1:1" } }],
    users: [{ name: "x", user: {} }],
    contexts: [{ name: "x", context: { cluster: "x", user: "x" } }],
    currentContext: "x",
  });
  await writeFile(folder.join("kubeconfig"), config, { mode: 0o600 });
}

test("repeatUntilDone() outlasts a server that is down for a while, and otherwise says to run the command again", async () => {
  await using folder = await createTempFolder();
  await writeKubeconfig(folder);
  const io = createCapturedIo({ cwd: folder.path, clock: createSystemClock() });
  const settings = { kubeconfig: "kubeconfig", dataDir: "" };
  let failures = 0;
  const act = (maxFailures: number) => (): Promise<string> =>
    failures++ < maxFailures
      ? Promise.reject(new AppError("unreachable", "cannot reach the server"))
      : Promise.resolve("done");
  assert.equal(await repeatUntilDone({ settings, io, timeoutMs: 0 }, act(1), quiet), "done");
  assert.equal(failures, 2);
  await assert.rejects(repeatUntilDone({ settings, io, timeoutMs: 1 }, act(Infinity), quiet), {
    code: "timeout",
    message: /cannot reach the server$/,
    hint: /^run the same command again/,
  });
});

test("repeatUntilDone() gives up an answer that never comes, and tries again", async () => {
  await using folder = await createTempFolder();
  await writeKubeconfig(folder);
  const system = createSystemClock();
  const clock: Clock = { ...system, sleep: (ms, signal) => system.sleep(ms >= 30_000 ? 20 : ms, signal) };
  const io = createCapturedIo({ cwd: folder.path, clock });
  let attempts = 0;
  const act = (): Promise<string> => ++attempts === 1 ? new Promise(() => {}) : Promise.resolve("done");
  const settings = { kubeconfig: "kubeconfig", dataDir: "" };
  assert.equal(await repeatUntilDone({ settings, io, timeoutMs: 0 }, act, quiet), "done");
  assert.equal(attempts, 2);
});
