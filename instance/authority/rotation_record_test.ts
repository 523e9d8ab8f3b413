/** The files of a CA during a rotation: each step is killed at every change, and repeated. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeCertificates, encodeTrust } from "../../core/pki/x509/ca_bundle.ts";
import { crossSign } from "../../core/ca_rotation/new_ca.ts";
import type { CaRotation } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { createDyingFiles, Killed } from "../../tests/support/failing_files.ts";
import { createMemoryFiles, type MemoryFiles } from "../../tests/support/memory_files.ts";
import { createTestAuthority, hoursFromNow, NOW, unwrap } from "../../tests/support/test_authority.ts";
import type { NewCaFiles } from "./ca_swap.ts";
import {
  getRotatedCas,
  getRotationPaths,
  readRotationRecord,
  removeRotationRecord,
  storeRotationRecord,
} from "./rotation_record.ts";

const PATHS = getRotationPaths({ certificate: "/pki/ca.crt", key: "/pki/ca.key" });
const verify = (): Promise<void> => Promise.resolve();

interface Begun {
  readonly rotation: CaRotation;
  readonly oldKey: string;
  readonly newKey: string;
  readonly adopted: NewCaFiles;
  readonly files: MemoryFiles;
}

async function begin(): Promise<Begun> {
  const oldCa = await createTestAuthority();
  const newCa = await createTestAuthority("ecdsa-p256", { commonName: "next", notAfter: hoursFromNow(48) });
  const crossSigned = unwrap(await crossSign(newCa.certificate, oldCa, { notBefore: NOW, serial: Uint8Array.of(7) }));
  const [oldKey, newKey] = [oldCa.privateKey.toPem(), newCa.privateKey.toPem()];
  return {
    rotation: {
      metadata: { name: "ca" },
      spec: {
        ...{ step: "Trust", oldCA: encodeTrust(oldCa), newCA: encodeTrust(newCa) },
        crossSignedCA: encodeCertificates([crossSigned]),
      },
      status: { beganAt: "2026-11-25T12:00:00Z" },
    },
    ...{ oldKey, newKey, adopted: { certificatePem: encodeTrust(newCa), keyPem: newKey } },
    files: createMemoryFiles({ "/pki/ca.crt": encodeTrust(oldCa), "/pki/ca.key": oldKey }),
  };
}

/** Returns the texts of all files except the record, by path. */
function listFiles({ entries }: MemoryFiles): Readonly<Record<string, string>> {
  const texts = [...entries].map(([path, entry]) => [path, entry.kind === "file" ? entry.text : ""] as const);
  return Object.fromEntries(texts.filter(([path]) => path !== PATHS.record).sort());
}

test("storeRotationRecord() completes every step after a kill at any change, and no key is ever lost", async () => {
  const { rotation, oldKey, newKey, adopted, files } = await begin();
  const { oldCA: oldPem, newCA: newPem, crossSignedCA = "" } = rotation.spec;
  const retired = `/pki/retired-ca-${getRotatedCas(rotation).oldCa.certificate.sha256Fingerprint.slice(0, 8)}`;
  const both = {
    "/pki/ca-bundle.crt": newPem + oldPem,
    "/pki/ca-cross-signed.crt": crossSignedCA,
  };
  const want = {
    Trust: {
      ...{ "/pki/ca.crt": oldPem, "/pki/ca.key": oldKey, "/pki/next-ca.crt": newPem, "/pki/next-ca.key": newKey },
      ...both,
    },
    Switch: {
      ...{ "/pki/ca.crt": newPem, "/pki/ca.key": newKey, "/pki/old-ca.crt": oldPem, "/pki/old-ca.key": oldKey },
      ...both,
    },
    Finish: {
      ...{ "/pki/ca.crt": newPem, "/pki/ca.key": newKey, "/pki/ca-bundle.crt": newPem },
      ...{ [`${retired}.crt`]: oldPem, [`${retired}.key`]: oldKey },
    },
  };
  for (const [index, step] of (["Trust", "Switch", "Trust", "Switch", "Finish"] as const).entries()) {
    for (let changes = 0;; changes++) {
      const dying = createDyingFiles(files, changes);
      const deps = { files: dying, verify };
      const killed = await readRotationRecord(PATHS, dying)
        .then(() =>
          storeRotationRecord(
            { ...rotation, spec: { ...rotation.spec, step } },
            PATHS,
            deps,
            index === 0 ? adopted : undefined,
          )
        )
        .then(() => false, (error: unknown) => {
          assert.ok(error instanceof Killed, String(error));
          return true;
        });
      const texts = Object.values(listFiles(files));
      const isSafe = texts.includes(oldKey) && (texts.includes(newKey) || index === 0);
      assert.ok(isSafe, `a key is lost in ${step} after ${changes} changes`);
      if (!killed) break;
    }
    assert.deepEqual(listFiles(files), Object.fromEntries(Object.entries(want[step]).sort()), step);
    assert.equal(files.mode("/pki/ca.key"), 0o600);
  }
});

for (const step of ["Trust", "Switch"] as const) {
  test(`removeRotationRecord() restores the old CA, even when killed at any change, if the files are in ${step}`, async () => {
    const { rotation, oldKey, newKey, adopted, files } = await begin();
    const { oldCA: oldPem, newCA: newPem } = rotation.spec;
    const deps = { files, verify };
    await storeRotationRecord(rotation, PATHS, deps, adopted);
    if (step === "Switch") {
      await storeRotationRecord({ ...rotation, spec: { ...rotation.spec, step } }, PATHS, deps);
      // An abort was killed after it had written only the record.
      await files.writeAtomic(PATHS.record, JSON.stringify({ kind: "CARotation", ...rotation }), 0o644);
    }
    for (let changes = 0; files.text(PATHS.record) !== undefined; changes++) {
      const dying = createDyingFiles(files, changes);
      const record = await readRotationRecord(PATHS, dying).catch(() => undefined);
      if (record === undefined) continue;
      await removeRotationRecord(record, PATHS, { files: dying, verify }).catch((error: unknown) => {
        assert.ok(error instanceof Killed, String(error));
      });
    }
    const retired = `/pki/retired-ca-${getRotatedCas(rotation).newCa.certificate.sha256Fingerprint.slice(0, 8)}`;
    assert.deepEqual(listFiles(files), {
      ...{ "/pki/ca-bundle.crt": oldPem, "/pki/ca.crt": oldPem, "/pki/ca.key": oldKey },
      ...{ [`${retired}.crt`]: newPem, [`${retired}.key`]: newKey },
    });
  });
}

test("storeRotationRecord() changes no pair when the new CA is missing", async () => {
  const { rotation, oldKey, files } = await begin();
  await assert.rejects(
    storeRotationRecord({ ...rotation, spec: { ...rotation.spec, step: "Switch" } }, PATHS, { files, verify }),
    /cannot find the new CA next to "\/pki\/ca.crt"/,
  );
  assert.equal(files.text("/pki/ca.key"), oldKey);
});

test("readRotationRecord() reads the output of storeRotationRecord(), and reports the fault of other files", async () => {
  const { rotation, adopted, files } = await begin();
  await storeRotationRecord(rotation, PATHS, { files, verify }, adopted);
  assert.deepEqual(await readRotationRecord(PATHS, files), rotation);
  const text = files.text(PATHS.record) ?? "";
  for (
    const [edit, fault] of [
      [(one: string) => one.slice(1), /not JSON/],
      [(one: string) => one.replace('"Trust"', '"Later"'), /spec\.step/],
      [(one: string) => one.replace("CARotation", "Pod"), /not a CARotation/],
      [(one: string) => one.replace(/"oldCA": "[^"]*"/, '"oldCA": ""'), /spec\.oldCA/],
    ] as const
  ) {
    await files.writeAtomic(PATHS.record, edit(text), 0o644);
    await assert.rejects(readRotationRecord(PATHS, files), fault);
  }
});

test("readRotationRecord() reads the record of the first build that wrote one", async () => {
  const { rotation, files } = await begin();
  const { oldCA, newCA, crossSignedCA } = rotation.spec;
  const record = `{
  "apiVersion": "tlsboot/v1alpha1",
  "kind": "CARotation",
  "metadata": {
    "name": "ca"
  },
  "spec": {
    "step": "Switch",
    "oldCA": ${JSON.stringify(oldCA)},
    "newCA": ${JSON.stringify(newCA)},
    "crossSignedCA": ${JSON.stringify(crossSignedCA)}
  },
  "status": {
    "beganAt": "2026-11-25T12:00:00Z",
    "switchedAt": "2026-11-25T13:00:00Z"
  }
}
`;
  await files.writeAtomic(PATHS.record, record, 0o644);
  const read = await readRotationRecord(PATHS, files);
  assert.deepEqual(read?.spec, { ...rotation.spec, step: "Switch" });
  assert.deepEqual(read?.status, { beganAt: "2026-11-25T12:00:00Z", switchedAt: "2026-11-25T13:00:00Z" });
});
