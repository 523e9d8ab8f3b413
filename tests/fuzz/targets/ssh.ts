/** SSH: public keys and signatures from unauthenticated machines, and `known_hosts`. */
import { parseInventory } from "../../../core/approval/evidence/inventory.ts";
import { isKnownHosts } from "../../../core/attestation/known_hosts.ts";
import {
  findSshFingerprintFault,
  formatSshFingerprint,
  parseSshPublicKey,
  PROOF_NAMESPACE,
  type SshPublicKey,
  toSshPublicKey,
  verifySshSignature,
} from "../../../core/attestation/ssh_signature.ts";
import { equalBytes } from "../../../core/pki/asn1/der.ts";
import {
  DSA_KEY,
  ED25519_SIGNATURE_SHA256,
  HASHED_NAMES,
  SSH_MESSAGE,
  SSH_VECTORS,
} from "../../support/ssh_vectors.ts";
import { fromBase64 } from "../inputs/seeds.ts";
import { assertHolds, assertSame, resultOutcome, toOutcome } from "../oracle.ts";
import { decodeText, encodeText, type Target } from "../target.ts";

const KEYS = SSH_VECTORS.map(({ publicKey }) => fromBase64(publicKey));
const PUBLIC_KEYS: readonly SshPublicKey[] = KEYS.map((wire) => {
  const key = parseSshPublicKey(wire);
  if (!key.ok) throw new Error(key.error);
  return key.value;
});
const SIGNATURES = [...SSH_VECTORS.map(({ signature }) => signature), ED25519_SIGNATURE_SHA256].map(fromBase64);
const MESSAGE = encodeText(SSH_MESSAGE);
const TYPES = [...SSH_VECTORS.map(({ type }) => type), "ssh-dss", "nistp256", "nistp384", "nistp521"];
const LENGTHS = [
  "\0\0\0\u0000",
  "\0\0\0\u0001",
  "\0\0\0\u000b",
  "\0\0\0\u0013",
  "\0\0\0\u0020",
  "\u007f\u007f\u007f\u007f",
];
/** The largest body of a node attestation. */
const MAX_BYTES = 16_384;

export const sshKey: Target = {
  seeds: [...KEYS, fromBase64(DSA_KEY)],
  words: [...TYPES, ...LENGTHS],
  maxBytes: MAX_BYTES,
  run(input) {
    const key = parseSshPublicKey(input);
    if (key.ok) {
      const again = toSshPublicKey({ publicKeyDer: () => key.value.facts.der });
      assertSame(again.ok && again.value.wire, input, "a key has one encoding");
      assertHolds(findSshFingerprintFault(formatSshFingerprint(key.value)) === undefined, "a fingerprint is valid");
    }
    return resultOutcome(key);
  },
};

export const sshSignature: Target = {
  seeds: SIGNATURES,
  words: [...TYPES, ...LENGTHS, "SSHSIG", PROOF_NAMESPACE, "sha256", "sha512", "rsa-sha2-256", "rsa-sha2-512"],
  maxBytes: MAX_BYTES,
  run(input) {
    return PUBLIC_KEYS.map((publicKey) => {
      const verified = verifySshSignature({
        publicKey,
        signature: input,
        namespace: PROOF_NAMESPACE,
        message: MESSAGE,
      });
      // Only the holder of the private key can create another signature.
      if (verified.ok) {
        assertHolds(SIGNATURES.some((known) => equalBytes(known, input)), "an accepted signature is known");
      }
      return resultOutcome(verified);
    }).join(" ");
  },
};

const [ED25519 = "", P256 = ""] = SSH_VECTORS.map(({ type, publicKey }) => `${type} ${publicKey}`);

export const knownHosts: Target = {
  seeds: [
    `n1,n1.lan,10.0.0.1 ${ED25519}\n# n2\nn2 ${P256}\n`,
    `${HASHED_NAMES.n1} ${ED25519}\n@revoked * ${P256}\nn1 ${P256}\n`,
    `@cert-authority *.lan ${ED25519}\n[n1]:22,!n2 ${P256}\n`,
  ].map(encodeText),
  words: ["n1", ",", " ", "\t", "\n", "|1|", "@revoked ", "#", "=", ED25519, HASHED_NAMES.n2],
  maxBytes: 2 ** 16,
  run(input) {
    const text = decodeText(input);
    if (!isKnownHosts(text)) return "another file";
    const inventory = parseInventory(text);
    if (!inventory.ok) return toOutcome(inventory.error[0] ?? "");
    for (const [name, { proofs }] of inventory.value) {
      assertHolds(inventory.value.has(name), "a listed machine is found");
      assertHolds(proofs?.ssh.every((key) => findSshFingerprintFault(key) === undefined) === true, "keys are listed");
    }
    return `${Math.min(inventory.value.size, 3)} ${inventory.value.has("n1")}`;
  },
};
