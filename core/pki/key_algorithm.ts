/** The kinds of keys that we make, by name. */

/** Every kind, the default first. */
export const KEY_ALGORITHMS = [
  "ecdsa-p256",
  "ecdsa-p384",
  "ecdsa-p521",
  "rsa-2048",
  "rsa-3072",
  "rsa-4096",
  "ed25519",
] as const;

/** The keys that `generatePrivateKey` makes. */
export type KeyAlgorithm = (typeof KEY_ALGORITHMS)[number];

/** What `generatePrivateKey` calls a key; undefined for kinds that it does not make. */
export function findKeyAlgorithm(
  key: { readonly algorithm: "ECDSA" | "RSA" | "Ed25519"; readonly bits: number },
): KeyAlgorithm | undefined {
  const name = { ECDSA: `ecdsa-p${key.bits}`, RSA: `rsa-${key.bits}`, Ed25519: "ed25519" }[key.algorithm];
  return KEY_ALGORITHMS.find((algorithm) => algorithm === name);
}
