/** A machine that proves its identity with its SSH host key. */
import assert from "node:assert/strict";
import { createProofMessage, type ProofMessage } from "../../core/attestation/exchange.ts";
import type { Evidence, ProofAnswer } from "../../core/attestation/proof.ts";
import {
  formatSshFingerprint,
  PROOF_NAMESPACE,
  signSsh,
  toSshPublicKey,
} from "../../core/attestation/ssh_signature.ts";
import type { Bytes } from "../../core/pki/asn1/der.ts";
import { generatePrivateKey, type KeyAlgorithm, type PrivateKey } from "../../core/pki/keys/keys.ts";

export interface SshHost {
  readonly privateKey: PrivateKey;
  readonly fingerprint: string;
  readonly evidence: Extract<Evidence, { kind: "ssh" }>;
  /** Signs a message with the host key, by default for a proof. */
  sign(message: Bytes | ProofMessage, namespace?: string): Extract<ProofAnswer, { kind: "ssh" }>;
}

/** Creates a machine with a new host key; by default Ed25519, which is cheap. */
export async function createSshHost(algorithm: KeyAlgorithm = "ed25519"): Promise<SshHost> {
  const privateKey = await generatePrivateKey(algorithm);
  const key = toSshPublicKey(privateKey);
  assert.ok(key.ok);
  const publicKey = key.value;
  return {
    privateKey,
    fingerprint: formatSshFingerprint(publicKey),
    evidence: { kind: "ssh", hostKey: publicKey.wire },
    sign(signed, namespace = PROOF_NAMESPACE) {
      const message = signed instanceof Uint8Array ? signed : createProofMessage(signed);
      return { kind: "ssh", signature: signSsh({ publicKey, privateKey, namespace, message }) };
    },
  };
}
