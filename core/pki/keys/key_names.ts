/**
 * The names of key types and algorithms, and the pins of keys. This file has no code for keys, because every start
 * loads it with the flags.
 */
import { hash } from "node:crypto";
import type { Brand } from "../../lib/brand.ts";
import { err, ok, type Result } from "../../lib/result.ts";

/** The name of a parameter set of ML-DSA, and of its key type and signature algorithm. */
export type MlDsaName = "ML-DSA-44" | "ML-DSA-65" | "ML-DSA-87";

/** The names, the weakest parameter set first. */
export const ML_DSA_NAMES: readonly MlDsaName[] = ["ML-DSA-44", "ML-DSA-65", "ML-DSA-87"];

/** Reports whether the name of a key type or of a signature algorithm is that of an ML-DSA parameter set. */
export function isMlDsa(name: string): name is MlDsaName {
  return ML_DSA_NAMES.some((known) => known === name);
}

/** The types of keys that every version of Kubernetes accepts, the default first. */
export const KEY_ALGORITHMS = [
  "ecdsa-p256",
  "ecdsa-p384",
  "ecdsa-p521",
  "rsa-2048",
  "rsa-3072",
  "rsa-4096",
  "ed25519",
] as const;

/** The post-quantum types of keys, which need the feature gate MLDSA. */
export const ML_DSA_KEY_ALGORITHMS = ["ml-dsa-44", "ml-dsa-65", "ml-dsa-87"] as const;

/** A type of key that `generatePrivateKey` generates. */
export type KeyAlgorithm = (typeof KEY_ALGORITHMS)[number] | (typeof ML_DSA_KEY_ALGORITHMS)[number];

/** The keys and signatures that are accepted in addition to those of every version of Kubernetes. */
export interface KeyAlgorithmOptions {
  /** Whether ML-DSA is accepted (feature gate MLDSA). Default: false, as in kube-apiserver 1.37. */
  readonly allowMlDsa?: boolean;
}

/** The algorithm of a private key: its name in Go's x509, or the parameter set of ML-DSA. */
export type PrivateKeyAlgorithm = "ECDSA" | "RSA" | "Ed25519" | MlDsaName;

/** Reports whether private keys of the algorithm are supported. */
export function isPrivateKeyAlgorithm(name: string): name is PrivateKeyAlgorithm {
  return name === "ECDSA" || name === "RSA" || name === "Ed25519" || isMlDsa(name);
}

/** Finds the name of a key's type; undefined for types that `generatePrivateKey` does not generate. */
export function findKeyAlgorithm(
  key: { readonly algorithm: PrivateKeyAlgorithm; readonly bits: number },
): KeyAlgorithm | undefined {
  const sized: Readonly<Record<string, string>> = { ECDSA: `ecdsa-p${key.bits}`, RSA: `rsa-${key.bits}` };
  const name = sized[key.algorithm] ?? key.algorithm.toLowerCase();
  return [...KEY_ALGORITHMS, ...ML_DSA_KEY_ALGORITHMS].find((algorithm) => algorithm === name);
}

export function getPrivateKeyAlgorithm(type: KeyAlgorithm): PrivateKeyAlgorithm {
  if (type.startsWith("rsa-")) return "RSA";
  if (type === "ed25519") return "Ed25519";
  const name = type.toUpperCase();
  return isMlDsa(name) ? name : "ECDSA";
}

/** Formats the type and size of a key: `ECDSA P-256`, `RSA 2048 bits`, `ML-DSA-65`. */
export function formatKey(key: { readonly keyAlgorithm: string; readonly keyBits: number }): string {
  if (key.keyAlgorithm === "ECDSA") return `ECDSA P-${key.keyBits}`;
  if (key.keyAlgorithm === "Ed25519" || isMlDsa(key.keyAlgorithm) || key.keyBits === 0) return key.keyAlgorithm;
  return `${key.keyAlgorithm} ${key.keyBits} bits`;
}

/** `sha256:` and the hexadecimal hash of a public key, as in `kubeadm join --discovery-token-ca-cert-hash`. */
export type PublicKeyPin = Brand<string, "PublicKeyPin">;

const PIN = /^sha256:[0-9a-f]{64}$/;

/** Computes the pin of the public key of a certificate or a request. */
export function publicKeyPin({ publicKeyDer }: { readonly publicKeyDer: Uint8Array }): PublicKeyPin {
  return `sha256:${hash("sha256", publicKeyDer)}` as PublicKeyPin;
}

/** Parses a pin; upper case is accepted, as in kubeadm. */
export function parsePublicKeyPin(text: string): Result<PublicKeyPin, string> {
  const pin = text.toLowerCase();
  if (PIN.test(pin)) return ok(pin as PublicKeyPin);
  return err("want sha256: and 64 hexadecimal digits, the public key pin of tlsboot ca show");
}
