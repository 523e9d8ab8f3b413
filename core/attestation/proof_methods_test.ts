import assert from "node:assert/strict";
import { test } from "node:test";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { createSoftwareTpm } from "../../tests/support/software_tpm.ts";
import { createSshHost } from "../../tests/support/ssh_host.ts";
import { ok } from "../lib/result.ts";
import type { NodeName } from "../machine/node_name.ts";
import { generatePrivateKey } from "../pki/keys/keys.ts";
import type { Bytes } from "../pki/asn1/der.ts";
import { type PublicKeyPin, publicKeyPin } from "../pki/keys/public_key_pin.ts";
import { beginAttestation, completeAttestation, createProofMessage, createSealingKey } from "./exchange.ts";
import type { Evidence, ExpectedProofs, ProofAnswer, ProofChallenge } from "./proof.ts";
import { ATTESTATION_TEMPLATE, TPM_ATTRIBUTE } from "./tpm_structures.ts";

const caHash = `sha256:${"c".repeat(64)}` as PublicKeyPin;
const node = "n1" as NodeName;
const key = `sha256:${"a".repeat(64)}` as PublicKeyPin;
const now = new Date("2026-12-02T01:00:00Z");
const sealingKey = createSealingKey(new Uint8Array(32));
const context = { caHash, now, sealingKey };
const PCRS = [0, 7, 23];

/** Exchanges evidence for a token; returns `accepted`, or the detail of the refusal. */
async function exchange(
  evidence: Evidence,
  answer: (challenge: ProofChallenge, message: Bytes) => ProofAnswer | Promise<ProofAnswer>,
  expected: ExpectedProofs,
): Promise<string> {
  const begun = await beginAttestation({ node, key, evidence }, {
    ...context,
    pcrs: PCRS,
    random: createSeededRandom(),
  });
  if (!begun.ok) return `${begun.error.field}: ${begun.error.message}`;
  const { nonce, challenge, state } = begun.value;
  const message = createProofMessage({ caHash, node, key, challenge: nonce });
  const call = { node, key, state, answer: await answer(challenge, message) };
  const done = completeAttestation(call, { ...context, findExpected: () => ok(expected) });
  return done.ok ? "accepted" : done.error.detail;
}

for (const algorithm of ["ed25519", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-2048"] as const) {
  test(`verifyAnswer() accepts a proof by a host key of ${algorithm}, and not by another one`, async () => {
    const [host, other] = [await createSshHost(algorithm), await createSshHost(algorithm)];
    const expected = { ssh: [host.fingerprint], pcrs: new Map() };
    assert.equal(await exchange(host.evidence, (_, message) => host.sign(message), expected), "accepted");
    const stolen = await exchange(host.evidence, (_, message) => other.sign(message), expected);
    assert.equal(stolen, `ssh ${host.fingerprint}: the signature is by another key`);
    const changed = await exchange(host.evidence, (_, message) => host.sign(message.slice(1)), expected);
    assert.equal(changed, `ssh ${host.fingerprint}: the key did not sign the message`);
    const login = await exchange(host.evidence, (_, message) => host.sign(message, "file"), expected);
    assert.match(login, /namespace "file"/);
  });
}

for (const endorsement of ["rsa", "ecc"] as const) {
  test(`verifyAnswer() accepts a proof by a TPM with an endorsement key of ${endorsement}, and no other TPM`, async () => {
    const tpm = await createSoftwareTpm({ endorsement });
    const pin = publicKeyPin({ publicKeyDer: tpm.evidence.endorsementKey });
    const expected: ExpectedProofs = { tpm: pin, ssh: [], pcrs: new Map([[7, new Uint8Array(32).fill(7)]]) };
    const answer = (challenge: ProofChallenge, message: Uint8Array) => {
      assert.equal(challenge.kind, "tpm");
      return tpm.answer(challenge, message);
    };
    assert.equal(await exchange(tpm.evidence, answer, expected), "accepted");
    const wrong = { ...expected, pcrs: new Map([[7, new Uint8Array(32)]]) };
    assert.equal(await exchange(tpm.evidence, answer, wrong), `tpm ${pin}: PCR 7 differs from the inventory`);
    const guess = async (challenge: ProofChallenge, message: Uint8Array) => ({
      ...await answer(challenge, message),
      secret: new Uint8Array(32),
    });
    assert.match(await exchange(tpm.evidence, guess, expected), /did not decrypt the secret$/);
    const foreign = await createSoftwareTpm({ endorsement });
    const relayed = await exchange(foreign.evidence, (challenge, message) => {
      assert.equal(challenge.kind, "tpm");
      return foreign.answer(challenge, message);
    }, expected);
    assert.match(relayed, /the inventory does not list this key for this node$/);
    const otherMessage = (challenge: ProofChallenge) => answer(challenge, new Uint8Array(1));
    assert.notEqual(await exchange(tpm.evidence, otherMessage, expected), "accepted");
  });
}

test("challengeEvidence() refuses an attestation key that signs what others choose, and a wrong endorsement key", async () => {
  const { attributes } = ATTESTATION_TEMPLATE;
  const loose = await createSoftwareTpm({ attestationKey: { attributes: attributes & ~TPM_ATTRIBUTE.restricted } });
  const expected = { ssh: [], pcrs: new Map() };
  const unused = () => assert.fail("it is refused before");
  assert.equal(
    await exchange(loose.evidence, unused, expected),
    "tpm.attestationKey: the attestation key does not have the attribute restricted",
  );
  const tpm = await createSoftwareTpm();
  const endorsementKey = (await generatePrivateKey("ecdsa-p384")).publicKeyDer();
  assert.match(await exchange({ ...tpm.evidence, endorsementKey }, unused, expected), /^tpm\.endorsementKey: want /);
});
