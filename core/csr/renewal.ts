/** Is another certificate needed, where there is one already? */
import { formatTime } from "../kube/meta.ts";
import type { CertificateFacts } from "../pki/certificate.ts";
import { findKeyAlgorithm, type KeyAlgorithm, publicKeysEqual } from "../pki/keys.ts";
import { findIssuedFault, type RequestedCertificate } from "./issued_fault.ts";

/** What stands where the certificate is to go. */
export type ExistingCredentials =
  | { readonly kind: "none" }
  | { readonly kind: "usable"; readonly leaf: CertificateFacts }
  | { readonly kind: "unusable"; readonly reason: string };

/** What is asked for, the key included. */
export interface RequestedCredentials extends RequestedCertificate {
  /** A kind of key, or this very one by its DER SubjectPublicKeyInfo. */
  readonly key?: KeyAlgorithm | Uint8Array<ArrayBuffer>;
}

/** What whoever asks says about one that exists. */
export interface RenewalOptions {
  /** Replace it in any case. */
  readonly isForced: boolean;
  /** Replace it once it has less than this to live, or is not what is asked for; else leave it. */
  readonly renewBeforeMs?: number;
}

/** The answer. */
export type RenewalVerdict =
  | { readonly kind: "ask"; readonly reason: string }
  | { readonly kind: "keep" }
  /** Nothing was said about replacing. */
  | { readonly kind: "exists" };

/** Decides. Without a wish what exists is never replaced, good or bad. */
export function decideRenewal(
  existing: ExistingCredentials,
  asked: RequestedCredentials,
  wish: RenewalOptions,
  now: Date,
): RenewalVerdict {
  if (existing.kind === "none") return ask("there is none yet");
  if (wish.isForced) return ask("as requested");
  if (wish.renewBeforeMs === undefined) return { kind: "exists" };
  if (existing.kind === "unusable") return ask(existing.reason);
  const fault = findIssuedFault(existing.leaf, asked) ?? findKeyFault(existing.leaf, asked.key);
  if (fault !== undefined) return ask(fault);
  const { notAfter } = existing.leaf;
  if (notAfter.getTime() - wish.renewBeforeMs > now.getTime()) return { kind: "keep" };
  return ask(`it ${notAfter < now ? "expired" : "expires"} at ${formatTime(notAfter)}`);
}

function ask(reason: string): RenewalVerdict {
  return { kind: "ask", reason };
}

function findKeyFault(leaf: CertificateFacts, key: RequestedCredentials["key"]): string | undefined {
  if (key === undefined) return undefined;
  if (typeof key !== "string") return publicKeysEqual(leaf.publicKeyDer, key) ? undefined : "it is for another key";
  const { keyAlgorithm: algorithm, keyBits: bits } = leaf;
  const found = algorithm === "ECDSA" || algorithm === "RSA" || algorithm === "Ed25519"
    ? findKeyAlgorithm({ algorithm, bits })
    : undefined;
  return found === key ? undefined : `its key is ${found ?? `${algorithm} of ${bits} bits`}, asked was ${key}`;
}
