import assert from "node:assert/strict";
import { test } from "node:test";
import { computeTpmName, ENDORSEMENT_TEMPLATES } from "../../core/attestation/tpm_structures.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { createTpmDevice, type TpmDevice, TpmError } from "./tpm_device.ts";
import type { Prover } from "./attest.ts";
import { createDeviceProver, createTpmProver } from "./tpm_prover.ts";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { decodeHex, encodeHex } from "../../core/lib/encodings.ts";
import { readAttestationKey, verifyQuote } from "../../core/attestation/tpm_proof.ts";
import { parseCertificate } from "../../core/pki/x509/certificate.ts";
import { replayTpm, type TpmExchange } from "../../tests/support/recorded_tpm.ts";

/** The recording of tests/interop/attestation/attestation_tpm_test.ts; bytes are hexadecimal. */
interface Story {
  /** The exchanges with the TPM for the evidence, and for the answer. */
  readonly exchanges: readonly (readonly TpmExchange[])[];
  readonly message: string;
  readonly credential: string;
  readonly encryptedSecret: string;
  readonly secret: string;
}

test("a prover presents its keys and answers a challenge, as with a real TPM", async () => {
  const story: Story = JSON.parse(await readFile(new URL("./testdata/tpm_story.json", import.meta.url), "utf8"));
  const exchanges = story.exchanges.values();
  const prover = createDeviceProver(() =>
    Promise.resolve(createTpmDevice(replayTpm(exchanges.next().value ?? []), {
      clock: { sleep: () => assert.fail() },
      random: createSeededRandom(),
      signal: new AbortController().signal,
    }))
  );
  const evidence = await prover.evidence();
  const certificate = parseCertificate(evidence.endorsementCertificate!);
  assert.ok(certificate.ok);
  assert.deepEqual(certificate.value.publicKeyDer, evidence.endorsementKey);
  const attestationKey = readAttestationKey(evidence.attestationKey);
  assert.ok(attestationKey.ok);
  assert.deepEqual(attestationKey.value.name, computeTpmName(evidence.attestationKey));

  const challenge = { credential: decodeHex(story.credential), secret: decodeHex(story.encryptedSecret) };
  const pcrs = [0, 1, 2, 3, 4, 5, 6, 7, 11];
  const message = new TextEncoder().encode(story.message);
  const { secret, ...quoted } = await prover.prove({ kind: "tpm", pcrs, ...challenge }, message);
  assert.equal(encodeHex(secret), story.secret);
  const qualifyingData = createHash("sha256").update(message).digest();
  const verified = verifyQuote({ attestationKey: attestationKey.value, qualifyingData, pcrs, ...quoted });
  assert.deepEqual(verified, { ok: true, value: undefined });
});

/** A TPM whose first answers to `createPrimary` are these response codes. */
function createRefusingDevice(
  ...codes: readonly number[]
): { readonly prover: Prover; readonly created: unknown[] } {
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

test("a prover uses an ECC endorsement key when the TPM has no RSA", async () => {
  const { prover, created } = createRefusingDevice(0x84);
  await assert.rejects(prover.evidence(), /the end/);
  assert.deepEqual(created, ENDORSEMENT_TEMPLATES.map(({ area }) => area));
});

test("a prover reports that the TPM supports no standard key, and does not hide another error", async () => {
  await assert.rejects(createRefusingDevice(0x84, 0xa6).prover.evidence(), /the TPM refused it \(response code 0xa6\)/);
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
