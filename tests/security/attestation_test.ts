/** An attacker can neither forge a machine's proof nor use it for another key or name. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { createProofMessage } from "../../core/attestation/exchange.ts";
import { parseWireChallenge, toWireAnswer, toWireEvidence } from "../../core/attestation/node_attestation.ts";
import type { Evidence, ProofAnswer, ProofChallenge } from "../../core/attestation/proof.ts";
import { ATTESTATION_TEMPLATE, TPM_ATTRIBUTE } from "../../core/attestation/tpm_structures.ts";
import type { AttestationAnswer, NodeAttestation } from "../../core/kube/kinds/node_attestation.ts";
import { encodeBase64 } from "../../core/lib/encodings.ts";
import type { NodeName } from "../../core/machine/node_name.ts";
import type { Bytes } from "../../core/pki/asn1/der.ts";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { type PublicKeyPin, publicKeyPin } from "../../core/pki/keys/key_names.ts";
import { ask, type Reply } from "../support/https_request.ts";
import { describeInstance, type SharedInstance } from "../support/instance_process.ts";
import { createSshHost, type SshHost } from "../support/ssh_host.ts";
import { createSoftwareTpm, type SoftwareTpmOptions } from "../support/software_tpm.ts";
import { formatInventory } from "../support/test_profiles.ts";

/** A machine that can prove its identity. */
interface Machine {
  /** Its key, in the syntax of an inventory. */
  readonly listed: string;
  readonly evidence: Evidence;
  answer(challenge: ProofChallenge, message: Bytes): Promise<ProofAnswer>;
}

/** The name and key for which a machine proves its identity. */
interface Claim {
  readonly node: string;
  /** The public key of the next request in DER. */
  readonly key: Uint8Array;
}

async function createTpmMachine(options?: SoftwareTpmOptions): Promise<Machine> {
  const tpm = await createSoftwareTpm(options);
  return {
    listed: `tpm: "${publicKeyPin({ publicKeyDer: tpm.evidence.endorsementKey })}"`,
    evidence: tpm.evidence,
    async answer(challenge, message) {
      assert.ok(challenge.kind === "tpm");
      return await tpm.answer(challenge, message);
    },
  };
}

async function createSshMachine(): Promise<Machine & Pick<SshHost, "evidence">> {
  const { fingerprint, evidence, sign } = await createSshHost();
  return { listed: `ssh: "${fingerprint}"`, evidence, answer: (_challenge, message) => Promise.resolve(sign(message)) };
}

/** Posts a NodeAttestation without credentials. */
async function postAttestation({ data, port }: SharedInstance, { node, key }: Claim, more: object): Promise<Reply> {
  return await ask({
    port,
    path: "/apis/tlsboot/v1alpha1/nodeattestations",
    ca: await readFile(`${data}/pki/ca.crt`),
    body: {
      apiVersion: "tlsboot/v1alpha1",
      kind: "NodeAttestation",
      spec: { nodeName: node, publicKey: encodeBase64(key), ...more },
    },
  });
}

/** The body of a machine's second call, which an attacker may have intercepted. */
interface Sent {
  readonly answer: AttestationAnswer;
  readonly state: string;
}

/** Begins an exchange for a claim, and signs a message for `signed`. */
async function begin(instance: SharedInstance, machine: Machine, claim: Claim, signed = claim): Promise<Sent> {
  const begun = await postAttestation(instance, claim, { evidence: toWireEvidence(machine.evidence) });
  assert.equal(begun.code, 201, begun.text);
  const { status: { challenge, state } } = JSON.parse(begun.text) as NodeAttestation;
  assert.ok(challenge !== undefined && state !== undefined);
  const message = createProofMessage({
    caHash: challenge.caCertHash as PublicKeyPin,
    node: signed.node as NodeName,
    key: publicKeyPin({ publicKeyDer: signed.key }),
    challenge: challenge.nonce,
  });
  const parsed = parseWireChallenge(challenge, machine.evidence.kind);
  assert.ok(parsed !== undefined);
  return { answer: toWireAnswer(await machine.answer(parsed, message)), state };
}

function assertToken({ code, text }: Reply): void {
  assert.equal(code, 201, text);
  assert.match(text, /"token":"[a-z0-9]{6}\.[a-z0-9]{16}"/);
}

function assertRefused({ code, text }: Reply): void {
  assert.equal(code, 403, text);
  assert.match(text, /the proof was not accepted|begin again/);
}

const [key, otherKey] = await Promise.all(
  [1, 2].map(async () => (await generatePrivateKey("ecdsa-p256")).publicKeyDer()),
) as [Uint8Array, Uint8Array];
const attributes = ATTESTATION_TEMPLATE.attributes & ~TPM_ATTRIBUTE.restricted;
const [genuine, forging] = [await createTpmMachine(), await createTpmMachine({ attestationKey: { attributes } })];
const [host, cloned] = [await createSshMachine(), await createSshMachine()];
const INVENTORY = formatInventory(
  ...[genuine, forging, host].map(({ listed }, index) => `- { name: n${index + 1}, ${listed} }`),
);

/** Formats a line of `known_hosts` with a hashed name. Machines with a cloned host key may claim all its names. */
function formatHashedLine(name: string): string {
  const salt = new Uint8Array(20).fill(name.length);
  const hash = createHmac("sha1", salt).update(name).digest();
  return `|1|${encodeBase64(salt)}|${encodeBase64(hash)} ssh-ed25519 ${encodeBase64(cloned.evidence.hostKey)}\n`;
}

describeInstance("proofs by keys of an inventory", {
  args: ["--inventory", "machines.yaml"],
  prepare: (folder) => writeFile(folder.join("machines.yaml"), INVENTORY),
}, (instance) => {
  for (
    const { kind, machine, node } of [{ kind: "a TPM", machine: genuine, node: "n1" }, {
      kind: "a host key",
      machine: host,
      node: "n3",
    }]
  ) {
    test(`the answer of a machine with ${kind} gives a token for its own key, and none for an attacker's key`, async () => {
      const claim = { node, key };
      const sent = await begin(instance, machine, claim);
      assertRefused(await postAttestation(instance, { node, key: otherKey }, sent));
      assertToken(await postAttestation(instance, claim, sent));
    });
  }

  test("a TPM key that is not restricted proves nothing, because it signs any data", async () => {
    const begun = await postAttestation(instance, { node: "n2", key }, { evidence: toWireEvidence(forging.evidence) });
    assert.equal(begun.code, 422, begun.text);
    assert.match(begun.text, /the attestation key does not have the attribute restricted/);
  });

  test("a machine gets no token for another machine's name", async () => {
    const claim = { node: "n1", key };
    assertRefused(await postAttestation(instance, claim, await begin(instance, host, claim)));
  });
});

describeInstance("proofs by the keys of known_hosts", {
  args: ["--inventory", "known_hosts"],
  prepare: (folder) => writeFile(folder.join("known_hosts"), formatHashedLine("n4") + formatHashedLine("n5")),
}, (instance) => {
  test("an exchange gives a token only for the name with which it began", async () => {
    const [n4, n5] = [{ node: "n4", key }, { node: "n5", key }];
    assertRefused(await postAttestation(instance, n5, await begin(instance, cloned, n4, n5)));
    assertToken(await postAttestation(instance, n5, await begin(instance, cloned, n5)));
  });
});
