/** Decides whether an existing certificate is replaced. */
import { formatTime } from "../kube/meta.ts";
import type { CertificateFacts } from "../pki/x509/certificate.ts";
import { findKeyAlgorithm, isPrivateKeyAlgorithm, type KeyAlgorithm, publicKeysEqual } from "../pki/keys/keys.ts";
import { findIssuedFault, type RequestedCertificate } from "./issued_certificate.ts";

/** The existing contents of the certificate's file. */
export type ExistingCredentials =
  | { readonly kind: "none" }
  | { readonly kind: "usable"; readonly leaf: CertificateFacts }
  | { readonly kind: "unusable"; readonly reason: string };

/** The requested certificate, including its key. */
export interface RequestedCredentials extends RequestedCertificate {
  /** A type of key, or one particular key by its DER SubjectPublicKeyInfo. */
  readonly key?: KeyAlgorithm | Uint8Array<ArrayBuffer>;
}

/** When an existing certificate is replaced. */
export interface RenewalOptions {
  /** Whether an existing certificate is always replaced. */
  readonly isForced: boolean;
  /** Why it is always replaced, for people; by default as the user has requested. */
  readonly forcedBy?: string | undefined;
  /**
   * Replace the certificate when its remaining lifetime is shorter, or when it does not match the request; keep it
   * otherwise.
   */
  readonly renewBeforeMs?: number | undefined;
}

/** Whether a certificate is requested, and why. */
export type RenewalVerdict =
  | { readonly kind: "ask"; readonly reason: string }
  | { readonly kind: "keep" }
  /** A certificate exists, and the options do not allow replacing it. */
  | { readonly kind: "exists" };

/** Decides whether to request a certificate. Without options an existing file is never replaced, valid or not. */
export function decideRenewal(
  existing: ExistingCredentials,
  asked: RequestedCredentials,
  options: RenewalOptions,
  now: Date,
): RenewalVerdict {
  if (existing.kind === "none") return ask("there is none yet");
  if (options.isForced) return ask(options.forcedBy ?? "as requested");
  if (options.renewBeforeMs === undefined) return { kind: "exists" };
  if (existing.kind === "unusable") return ask(existing.reason);
  const fault = findIssuedFault(existing.leaf, asked) ?? findKeyFault(existing.leaf, asked.key);
  if (fault !== undefined) return ask(fault);
  const { notAfter } = existing.leaf;
  if (notAfter.getTime() - options.renewBeforeMs > now.getTime()) return { kind: "keep" };
  return ask(`it ${notAfter < now ? "expired" : "expires"} at ${formatTime(notAfter)}`);
}

function ask(reason: string): RenewalVerdict {
  return { kind: "ask", reason };
}

function findKeyFault(leaf: CertificateFacts, key: RequestedCredentials["key"]): string | undefined {
  if (key === undefined) return undefined;
  if (typeof key !== "string") return publicKeysEqual(leaf.publicKeyDer, key) ? undefined : "it is for another key";
  const { keyAlgorithm: algorithm, keyBits: bits } = leaf;
  const found = isPrivateKeyAlgorithm(algorithm) ? findKeyAlgorithm({ algorithm, bits }) : undefined;
  return found === key
    ? undefined
    : `its key is ${found ?? `${algorithm} of ${bits} bits`}, but the request was for ${key}`;
}
