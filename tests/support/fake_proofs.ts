/** Proofs without cryptography, for tests of the exchange. */
import { Buffer } from "node:buffer";
import { createProofMessage, type ProofMessage, type ProofMethods } from "../../core/attestation/exchange.ts";
import { err, ok } from "../../core/lib/result.ts";
import type { Bytes } from "../../core/pki/asn1/der.ts";

const bytes = (text: string): Bytes => new TextEncoder().encode(text);
const text = (read: Uint8Array): string => Buffer.from(read).toString();

/** A proof whose signature is the name of the key before the message, and of a TPM also the secret that it decrypted. */
export const FAKE_PROOFS: ProofMethods = {
  ssh: {
    challenge: ({ hostKey }) =>
      Promise.resolve(
        text(hostKey) === "bad" ? err({ field: "ssh.hostKey", message: "not a key" }) : ok({
          challenge: { kind: "ssh" },
          proven: `SHA256:${text(hostKey)}`,
          verifyingKey: hostKey,
          secret: bytes(""),
        }),
      ),
    verify: ({ verifyingKey }, { signature }, message) =>
      Promise.resolve(
        text(signature) === text(verifyingKey) + text(message) ? ok(undefined) : err("the signature is wrong"),
      ),
  },
  tpm: {
    challenge: ({ endorsementKey, attestationKey }, { pcrs, random }) => {
      const secret = random.bytes(8);
      return Promise.resolve(ok({
        challenge: { kind: "tpm", credential: secret, secret: bytes(""), pcrs },
        proven: `sha256:${text(endorsementKey)}`,
        verifyingKey: attestationKey,
        secret,
      }));
    },
    verify: ({ verifyingKey, secret, pcrs }, answer, message) =>
      Promise.resolve(
        text(answer.secret) === text(secret) &&
          text(answer.signature) === `${text(verifyingKey)}${pcrs}${text(message)}`
          ? ok(undefined)
          : err("the quote is wrong"),
      ),
  },
};

/** Signs a message with a fake host key. */
export function signFakeProof(hostKey: string, message: ProofMessage): Bytes {
  return bytes(hostKey + text(createProofMessage(message)));
}
