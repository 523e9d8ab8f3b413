import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { isAppError } from "../errors.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { createSoftwareTpm } from "../../tests/support/software_tpm.ts";
import { makeCredential, readEndorsementKey } from "./tpm_credential.ts";
import { computeTpmName } from "./tpm_structures.ts";

const random = createSeededRandom();
const SECRET = Uint8Array.from({ length: 32 }, (_, at) => at);

for (const endorsement of ["rsa", "ecc"] as const) {
  test(`makeCredential() makes a secret that only the TPM with the ${endorsement} key recovers, for one key`, async () => {
    const { evidence, activate } = await createSoftwareTpm({ endorsement });
    const name = computeTpmName(evidence.attestationKey);
    for (const secret of [SECRET, SECRET.subarray(0, 5), new Uint8Array(0)]) {
      const credential = await makeCredential(evidence.endorsementKey, name, secret, random);
      assert.deepEqual(await activate({ kind: "tpm", ...credential, pcrs: [] }), secret);
    }
    const forOther = await makeCredential(evidence.endorsementKey, name.with(5, name[5]! ^ 1), SECRET, random);
    await assert.rejects(activate({ kind: "tpm", ...forOther, pcrs: [] }), /TPM_RC_INTEGRITY/);
    const other = await createSoftwareTpm({ endorsement });
    const credential = await makeCredential(evidence.endorsementKey, name, SECRET, random);
    await assert.rejects(other.activate({ kind: "tpm", ...credential, pcrs: [] }));
  });
}

for (
  const { name, publicKey } of [
    { name: "RSA with 3072 bits", publicKey: generateKeyPairSync("rsa", { modulusLength: 3072 }).publicKey },
    { name: "P-384", publicKey: generateKeyPairSync("ec", { namedCurve: "P-384" }).publicKey },
    { name: "Ed25519", publicKey: generateKeyPairSync("ed25519").publicKey },
  ]
) {
  test(`readEndorsementKey() refuses ${name}`, () => {
    const spki = new Uint8Array(publicKey.export({ format: "der", type: "spki" }));
    assert.deepEqual(readEndorsementKey(spki), {
      ok: false,
      error: "want an endorsement key of RSA with 2048 bits or ECC with P-256",
    });
  });
}

test("makeCredential() refuses bytes that are no key", async () => {
  const made = makeCredential(Uint8Array.of(1), new Uint8Array(34), SECRET, random);
  await assert.rejects(made, (error) => isAppError(error, "invalid"));
});
