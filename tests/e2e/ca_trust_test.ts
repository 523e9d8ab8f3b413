import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { createSystemClock, createSystemRandom } from "../../cli/system.ts";
import type { Finished } from "../support/child.ts";
import { startInstance } from "../support/instance_process.ts";
import { runCaptured } from "../support/run_captured.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";

const NO_HASH = `sha256:${"0".repeat(64)}`;

/** Runs the command on a machine without trust stores. */
function trust(folder: TempFolder, ...args: readonly string[]): Promise<Finished> {
  return runCaptured(["trust", ...args], {
    cwd: folder.path,
    clock: createSystemClock(),
    random: createSystemRandom(),
    env: { TLSBOOT_DATA_DIR: "data", PATH: folder.path, HOME: folder.path },
  });
}

test("tlsboot trust show --print prints the CA, from the data directory, a file, and a server by its hash", async () => {
  await using folder = await createTempFolder();
  await using instance = await startInstance(folder);
  const own = await trust(folder, "show", "--print");
  assert.equal(own.code, 0, own.stderr);
  assert.equal(own.stdout, await readFile(folder.join("data", "pki", "ca.crt"), "utf8"));
  await writeFile(folder.join("copy.crt"), own.stdout);
  assert.equal((await trust(folder, "show", "--print", "--ca-cert", "copy.crt")).stdout, own.stdout);

  const { publicKey } = new X509Certificate(own.stdout);
  const der = publicKey.export({ type: "spki", format: "der" });
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array(der)));
  const pin = `sha256:${hash.toHex?.() ?? Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  const remote = await trust(folder, "show", "--print", "--server", instance.url, "--ca-cert-hash", pin);
  assert.deepEqual({ code: remote.code, stdout: remote.stdout }, { code: 0, stdout: own.stdout }, remote.stderr);
  const wrong = await trust(folder, "show", "--print", "--server", instance.url, "--ca-cert-hash", NO_HASH);
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /cannot trust cluster-info .* which was not given/);
});

for (
  const [line, code, want] of [
    ["install --server https://127.0.0.1:1", 2, /--server and --ca-cert-hash go together/],
    [`install --ca-cert-hash ${NO_HASH}`, 2, /--server and --ca-cert-hash go together/],
    ["install --store debain", 2, /did you mean debian\?/],
    ["install --store java", 1, /this machine does not have it/],
    ["show --print", 1, /name the CA with --ca-cert/],
  ] as const
) {
  test(`tlsboot trust ${line} is refused with the reason`, async () => {
    await using folder = await createTempFolder();
    const run = await trust(folder, ...line.split(" "));
    assert.equal(run.code, code, run.stderr);
    assert.match(run.stderr, want);
  });
}

test("tlsboot trust install suggests sudo when keytool may not write, whatever it prints first", async () => {
  await using folder = await createTempFolder();
  const { code, stderr } = await runCaptured(["ca", "init", "--data-dir", "data"], {
    cwd: folder.path,
    clock: createSystemClock(),
    random: createSystemRandom(),
  });
  assert.equal(code, 0, stderr);
  const lines = [
    "#!/bin/sh",
    '[ "$1" = -list ] && exit',
    'echo "Certificate was added to keystore" >&2',
    'echo "keytool error: java.io.FileNotFoundException: /etc/ssl/certs/java/cacerts (Permission denied)"',
    "exit 1",
  ];
  await writeFile(folder.join("keytool"), `${lines.join("\n")}\n`, { mode: 0o755 });
  const refused = await trust(folder, "install", "--store", "java");
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /keytool failed: keytool error: .*cacerts \(Permission denied\)\n/);
  assert.match(refused.stderr, /hint: run it with sudo, or choose other stores with --store\n/);
});
