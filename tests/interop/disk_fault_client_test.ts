/** A disk that fails under `bootstrap` and under a switch of pairs, at every system call in turn: the files of a node are always whole. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { parseCredentialPair } from "../../core/bootstrap/credential_pair.ts";
import { TEST_SHARE } from "../runner/turns.ts";
import { runTlsboot } from "../support/child.ts";
import { createTempFolder } from "../support/temp.ts";
import { createFaultyDisk, FAULTS, tryEachCall } from "../support/interop/faulty_disk.ts";
import { assertClearEnd } from "../support/interop/faulty_instance.ts";
import { startOnDemand } from "../support/interop/on_demand.ts";
import { startInstance } from "../support/interop/instance.ts";

const HALF = "half of it";

test("bootstrap on a disk that fails at every call in turn reports it, and the next run succeeds", async () => {
  await using instance = await startInstance({ args: ["--auto-approve"] });
  const disk = await createFaultyDisk(instance.folder);
  let failures = 0;
  await tryEachCall(disk, `${instance.folder.path}/home-`, async ({ fault, call, what }) => {
    // A separate node for each call: remains of the previous one must not matter.
    const node = `n${FAULTS.indexOf(fault)}-${call}`;
    const home = instance.folder.join(`home-${node}`);
    const args = [
      ...["bootstrap", "--bootstrap-kubeconfig", instance.bootstrapKubeconfig, "--kubeconfig", `${home}/kubeconfig`],
      ...["--cert-dir", `${home}/pki`, "--hostname-override", node],
    ];
    const first = await runTlsboot(args, { env: disk.env });
    const hits = await disk.hits();
    if (first.code !== 0) {
      failures++;
      assert.notEqual(fault.short, "harmless", what);
      assertClearEnd(first, `${what}: ${hits}`);
    } else if (fault.short !== "harmless") {
      // A temporary key that cannot be removed, or not for good, stays until the next request.
      const isReported = /cannot remove the temporary key/.test(first.stderr);
      const ofKey = isReported ? /^(?:unlink \S+\.key\.tmp|fsync \S+\/pki)$/ : /^unlink \S+\.key\.tmp$/;
      assert.deepEqual(hits.filter((hit) => !ofKey.test(hit)), [], what);
    }
    await disk.disarm();
    const second = await runTlsboot(args);
    assert.equal(second.code, 0, second.stderr);
    const combined = await readFile(`${home}/pki/kubelet-client-current.pem`, "utf8");
    const pair = parseCredentialPair(combined, combined);
    assert.ok(pair.ok, what);
    assert.equal(pair.value.leaf.subject.commonName, `system:node:${node}`);
  }, { isShared: true });
  assert.ok(failures > 20 / TEST_SHARE, `${failures} failures`);
});

test("pairs and kubeconfigs on a disk that fails at every call in turn are the old ones or the new ones", async () => {
  await using folder = await createTempFolder();
  const disk = await createFaultyDisk(folder);
  await using program = startOnDemand("update_on_demand.ts", folder.path, disk);
  const read = {
    pki: async () => {
      const combined = await readFile(folder.join("pki", "kubelet-client-current.pem"), "utf8");
      return readCommonName(combined, combined);
    },
    pair: async () => {
      const [certificate, key, combined] = await Promise.all(
        ["tls.crt", "tls.key", "tls.pem"].map((name) => readFile(folder.join("pair", name), "utf8")),
      );
      assert.equal(combined, certificate! + key!);
      return readCommonName(certificate!, key!);
    },
    kubeconfig: async () => {
      const text = await readFile(folder.join("kubeconfig"), "utf8");
      return /-----END CERTIFICATE-----\n$/.test(text) ? text : HALF;
    },
  };
  for (const [target, readNow] of Object.entries(read)) {
    assert.match(await program.send(`${target} first`), /done/);
    // A file is written beside its place first, under a name that begins with a dot.
    const needle = target === "kubeconfig" ? target : `${folder.path}/${target}`;
    await tryEachCall(disk, needle, async ({ fault, call, what }) => {
      const before = await readNow();
      const name = `${target}-${FAULTS.indexOf(fault)}-${call}`;
      const answer = await program.send(`${target} ${name}`);
      const hits = await disk.hits();
      const after = await readNow();
      const isNew = after !== before;
      if (target === "kubeconfig") assert.notEqual(after, HALF, `${what}: ${hits}`);
      else assert.equal(after, isNew ? name : before);
      if (!isNew) assert.match(answer, /failed cannot /, `${what}: ${hits}`);
      if (/failed/.test(answer)) assert.doesNotMatch(answer, /badly/);
      await disk.disarm();
      assert.match(await program.send(`${target} ${name}-after`), /done/, `after ${what}: ${hits}`);
      assert.notEqual(await readNow(), after);
    });
  }
});

function readCommonName(certificatePem: string, keyPem: string): string {
  const pair = parseCredentialPair(certificatePem, keyPem);
  return pair.ok ? pair.value.leaf.subject.commonName ?? "" : pair.error;
}
