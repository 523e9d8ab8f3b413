import assert from "node:assert/strict";
import { test } from "node:test";
import { ENDORSEMENT_TEMPLATES } from "../../core/attestation/tpm_structures.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { type TpmDevice, TpmError } from "./tpm_device.ts";
import { createDeviceProver, createTpmProver, type TpmProver } from "./tpm_prover.ts";

/** A TPM whose first answers to `createPrimary` are these response codes. */
function createRefusingDevice(
  ...codes: readonly number[]
): { readonly prover: TpmProver; readonly created: unknown[] } {
  const created: unknown[] = [];
  const device: TpmDevice = {
    createPrimary(template) {
      const code = codes[created.length];
      created.push(template);
      return Promise.reject(code === undefined ? new Error("the end") : new TpmError("create a key", code));
    },
    saveContext: () => assert.fail(),
    loadContext: () => assert.fail(),
    readCertificate: () => assert.fail(),
    activateCredential: () => assert.fail(),
    readPcrs: () => assert.fail(),
    quote: () => assert.fail(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return { prover: createDeviceProver(() => Promise.resolve(device)), created };
}

test("a prover takes the endorsement key of ECC where the TPM has no RSA", async () => {
  const { prover, created } = createRefusingDevice(0x84);
  await assert.rejects(prover.evidence(), /the end/);
  assert.deepEqual(created, ENDORSEMENT_TEMPLATES.map(({ area }) => area));
});

test("a prover reports that the TPM supports no standard key, and does not hide another error", async () => {
  await assert.rejects(createRefusingDevice(0x84, 0xa6).prover.evidence(), /the TPM answered 0xa6/);
  await assert.rejects(createRefusingDevice(0x921).prover.evidence(), /the TPM is locked out/);
});

test("a prover reports a TPM that cannot be opened", async () => {
  const options = {
    path: "/nonexistent/tpm",
    clock: { sleep: () => assert.fail() },
    random: createSeededRandom(),
    signal: new AbortController().signal,
  };
  const error = /^AppError: cannot open the TPM "\/nonexistent\/tpm": there is no such device$/;
  await assert.rejects(createTpmProver(options).evidence(), error);
});
