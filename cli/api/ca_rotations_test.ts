import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { AppError } from "../../core/errors.ts";
import { encodeKubeconfig } from "../../core/kube/kubeconfig.ts";
import { createCapturedIo } from "../../tests/support/captured_io.ts";
import { createTempFolder } from "../../tests/support/temp.ts";
import { createSystemClock } from "../system.ts";
import { repeatUntilDone } from "./ca_rotations.ts";

const quiet = new AbortController().signal;

test("repeatUntilDone() outlasts a server that is down for a while, and otherwise says to run the command again", async () => {
  await using folder = await createTempFolder();
  const config = encodeKubeconfig({
    clusters: [{ name: "x", cluster: { server: "https://127.0.0.1:1" } }],
    users: [{ name: "x", user: {} }],
    contexts: [{ name: "x", context: { cluster: "x", user: "x" } }],
    currentContext: "x",
  });
  await writeFile(folder.join("kubeconfig"), config, { mode: 0o600 });
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
