/** The keys that a profile allows. */
import type { KeyRule } from "./profile_spec.ts";

/** The keys that a kubelet can generate for a pod (`pkg/kubelet/podcertificate`), by the names of `keyType`. */
const KUBELET_KEYS: readonly { readonly keyType: string; readonly type: string; readonly bits: number }[] = [
  { keyType: "RSA3072", type: "RSA", bits: 3_072 },
  { keyType: "RSA4096", type: "RSA", bits: 4_096 },
  { keyType: "ECDSAP256", type: "ECDSA", bits: 256 },
  { keyType: "ECDSAP384", type: "ECDSA", bits: 384 },
  { keyType: "ECDSAP521", type: "ECDSA", bits: 521 },
  { keyType: "ED25519", type: "Ed25519", bits: 256 },
];

/** Reports whether one of the rules allows a key. */
export function isKeyAllowed(rules: readonly KeyRule[], keyAlgorithm: string, keyBits: number): boolean {
  return rules.some(({ type, minBits = 0, maxBits = Infinity }) =>
    type === keyAlgorithm && keyBits >= minBits && keyBits <= maxBits
  );
}

/** Lists the key types of kubelets that the rules allow. */
export function listKubeletKeyTypes(rules: readonly KeyRule[]): readonly string[] {
  return KUBELET_KEYS.filter(({ type, bits }) => isKeyAllowed(rules, type, bits)).map(({ keyType }) => keyType);
}
