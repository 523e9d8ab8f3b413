/** Names of Go types that kube-apiserver's messages hold. */
import { goQuote } from "../../core/kube/quote.ts";
import type { Kind } from "../../core/kube/schema.ts";

/** The scheme that kube-apiserver's decoders ask; its place in the sources is part of the message. */
const SCHEME = "pkg/runtime/scheme.go:111";

/** The internal type of a kind, such as `certificates.CertificateSigningRequest`. */
export function goTypeOf({ group, kind }: Pick<Kind, "group" | "kind">): string {
  // Both groups of events share one internal type.
  const isCore = group === "" || group === "events.k8s.io";
  return `${isCore ? "core" : group.split(".")[0]}.${kind}`;
}

/** What a decoder says of a kind that nobody knows. */
export function noKindText(apiVersion: string, kind: string): string {
  return `no kind ${goQuote(kind)} is registered for version ${goQuote(apiVersion)} in scheme "${SCHEME}"`;
}

/** The same of a kind without a version. */
export function noInternalKindText(group: string, kind: string): string {
  return `no kind ${goQuote(kind)} is registered for the internal version of group ${goQuote(group)} ` +
    `in scheme "${SCHEME}"`;
}
