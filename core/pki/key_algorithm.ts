/** The types of keys that tlsboot generates, by name. */

/** Every type of key, the default first. */
export const KEY_ALGORITHMS = [
  "ecdsa-p256",
  "ecdsa-p384",
  "ecdsa-p521",
  "rsa-2048",
  "rsa-3072",
  "rsa-4096",
  "ed25519",
] as const;

/** A type of key that `generatePrivateKey` generates. */
export type KeyAlgorithm = (typeof KEY_ALGORITHMS)[number];

/** Finds the name of a key's type; undefined for types that `generatePrivateKey` does not generate. */
export function findKeyAlgorithm(
  key: { readonly algorithm: "ECDSA" | "RSA" | "Ed25519"; readonly bits: number },
): KeyAlgorithm | undefined {
  const name = { ECDSA: `ecdsa-p${key.bits}`, RSA: `rsa-${key.bits}`, Ed25519: "ed25519" }[key.algorithm];
  return KEY_ALGORITHMS.find((algorithm) => algorithm === name);
}
