/** Words about keys, certificates and their time. */
import { formatHumanDuration } from "../../core/kube/human_duration.ts";
import { formatTime } from "../../core/kube/meta.ts";

/** A key: `ECDSA P-256`, `RSA 2048 bits`. */
export function keyText(key: { readonly keyAlgorithm: string; readonly keyBits: number }): string {
  if (key.keyAlgorithm === "ECDSA") return `ECDSA P-${key.keyBits}`;
  if (key.keyAlgorithm === "Ed25519" || key.keyBits === 0) return key.keyAlgorithm;
  return `${key.keyAlgorithm} ${key.keyBits} bits`;
}

/** When something holds. */
export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** Whether it holds now. */
export function validityState(validity: Validity, now: Date): "valid" | "expired" | "not yet valid" {
  if (now < validity.notBefore) return "not yet valid";
  return now > validity.notAfter ? "expired" : "valid";
}

/** `from … to …, valid for 364d`. */
export function validityText(validity: Validity, now: Date): string {
  const range = `from ${formatTime(validity.notBefore)} to ${formatTime(validity.notAfter)}`;
  switch (validityState(validity, now)) {
    case "valid":
      return `${range}, valid for ${formatHumanDuration(validity.notAfter.getTime() - now.getTime())} more`;
    case "expired":
      return `${range}, expired ${formatHumanDuration(now.getTime() - validity.notAfter.getTime())} ago`;
    case "not yet valid":
      return `${range}, not valid for another ${formatHumanDuration(validity.notBefore.getTime() - now.getTime())}`;
  }
}

/** Hexadecimal in pairs, as other tools show fingerprints. */
export function fingerprintText(hex: string): string {
  return (hex.match(/../g) ?? []).join(":").toUpperCase();
}
