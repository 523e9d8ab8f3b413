import assert from "node:assert/strict";
import { test } from "node:test";
import type { CaRotationStep } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { createAuthority, parseAuthority } from "../../core/pki/authority/authority.ts";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { planCaFiles } from "../../core/ca_rotation/ca_files.ts";
import { createDyingFiles, Killed } from "../../tests/support/failing_files.ts";
import { createMemoryFiles, type MemoryFiles } from "../../tests/support/memory_files.ts";
import {
  applyCaFileSteps,
  completeCaSwap,
  readCasOnDisk,
  type SwapFiles,
  toCaSlots,
  toRetiredPaths,
} from "./ca_swap.ts";

const PATHS = { certificate: "/pki/ca.crt", key: "/pki/ca.key" };
const oldCa = await createPair("old");
const newCa = await createPair("new");

for (
  const { name, steps, want } of [
    { name: "Trust", steps: ["Trust"], want: { ca: oldCa, "next-ca": newCa } },
    { name: "Switch", steps: ["Trust", "Switch"], want: { ca: newCa, "old-ca": oldCa } },
    { name: "Trust after Switch", steps: ["Trust", "Switch", "Trust"], want: { ca: oldCa, "next-ca": newCa } },
    { name: "Finish", steps: ["Trust", "Switch", "Finish"], want: { ca: newCa, [retiredName(oldCa)]: oldCa } },
    { name: "Finish without the earlier steps", steps: ["Finish"], want: { ca: newCa, [retiredName(oldCa)]: oldCa } },
    { name: "an abort", steps: ["Trust", undefined], want: { ca: oldCa, [retiredName(newCa)]: newCa } },
  ] satisfies readonly { name: string; steps: readonly (CaRotationStep | undefined)[]; want: Record<string, Pair> }[]
) {
  test(`the files of a CA are correct after ${name}, wherever the process was killed`, async () => {
    const wanted = Object.fromEntries(
      Object.entries(want).flatMap(([base, { certificatePem, keyPem }]) => [
        [`/pki/${base}.crt`, certificatePem],
        [`/pki/${base}.key`, keyPem],
      ]),
    );
    for (let changes = 0;; changes++) {
      const files = createMemoryFiles({ [PATHS.certificate]: oldCa.certificatePem, [PATHS.key]: oldCa.keyPem });
      const dying = createDyingFiles(files, changes);
      let wasKilled = false;
      for (const step of steps) {
        try {
          await adopt(step, wasKilled ? files : dying);
        } catch (error) {
          assert.ok(error instanceof Killed, String(error));
          wasKilled = true;
          await assertKeysAreThere(files);
          await adopt(step, files);
        }
      }
      const found = Object.fromEntries([...files.entries.keys()].map((path) => [path, files.text(path)]));
      assert.deepEqual(found, wanted, `killed after ${changes} changes`);
      if (!wasKilled) return;
    }
  });
}

test("no copy of a key remains after an abort, wherever the earlier swap was killed", async () => {
  for (let changes = 0, isOver = false; !isOver; changes++) {
    const files = createMemoryFiles({ [PATHS.certificate]: oldCa.certificatePem, [PATHS.key]: oldCa.keyPem });
    await adopt("Trust", files);
    isOver = await adopt("Switch", createDyingFiles(files, changes)).then(() => true, () => false);
    await adopt("Trust", files);
    await adopt(undefined, files);
    const keys = [...files.entries.keys()].filter((path) => path.endsWith(".key")).sort();
    assert.deepEqual(keys, [PATHS.key, `/pki/${retiredName(newCa)}.key`], `killed after ${changes} changes`);
  }
});

test("a key without a certificate remains when no CA has it", async () => {
  const pair = { [PATHS.certificate]: oldCa.certificatePem, [PATHS.key]: oldCa.keyPem };
  const files = createMemoryFiles({ ...pair, "/pki/next-ca.key": newCa.keyPem });
  await completeCaSwap(PATHS, files);
  assert.equal(files.text("/pki/next-ca.key"), newCa.keyPem);
});

test("a pair that cannot sign is not selected", async () => {
  const files = createMemoryFiles({
    [PATHS.certificate]: oldCa.certificatePem,
    [PATHS.key]: oldCa.keyPem,
    "/pki/next-ca.crt": newCa.certificatePem,
    "/pki/next-ca.key": oldCa.keyPem,
  });
  await assert.rejects(adopt("Switch", files), /private key does not match/);
  assert.equal(files.text(PATHS.certificate), oldCa.certificatePem);
});

interface Pair {
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly fingerprint: string;
}

/** Adopts a step as a server does, at its start and for each change. */
async function adopt(step: CaRotationStep | undefined, files: SwapFiles): Promise<void> {
  await completeCaSwap(PATHS, files);
  const target = step === undefined ? undefined : { step, oldCa: oldCa.fingerprint, newCa: newCa.fingerprint };
  const plan = planCaFiles(target, toCaSlots(await readCasOnDisk(PATHS, files)));
  assert.ok(plan.ok, JSON.stringify(plan));
  await applyCaFileSteps({
    paths: PATHS,
    steps: plan.value,
    adopt: () => Promise.resolve(newCa),
    async verify({ certificate, key }) {
      const pair = await parseAuthority(await files.readText(certificate) ?? "", await files.readText(key) ?? "");
      if (!pair.ok) throw new Error(pair.error);
    },
  }, files);
}

/** Asserts that no kill has lost the only copy of a key. */
function assertKeysAreThere(files: MemoryFiles): Promise<void> {
  const texts = [...files.entries.keys()].map((path) => files.text(path));
  for (const text of [oldCa.keyPem, oldCa.certificatePem]) assert.ok(texts.includes(text));
  return Promise.resolve();
}

function retiredName({ fingerprint }: Pair): string {
  return toRetiredPaths(PATHS, fingerprint).certificate.replace(/^\/pki\/|\.crt$/g, "");
}

async function createPair(commonName: string): Promise<Pair> {
  const key = await generatePrivateKey("ecdsa-p256");
  const { certificate, certificatePem } = await createAuthority({
    commonName,
    notBefore: new Date("2026-01-01T00:00:00Z"),
    notAfter: new Date("2036-01-01T00:00:00Z"),
    key,
    serial: Uint8Array.of(1),
  });
  return { certificatePem, keyPem: key.toPem(), fingerprint: certificate.sha256Fingerprint };
}
