/** Names of Go types in kube-apiserver's messages. */
import { goQuote } from "../../core/kube/quote.ts";
import type { Kind } from "../../core/kube/schema.ts";

/** The scheme of kube-apiserver's decoders; its position in the sources is part of the message. */
const SCHEME = "pkg/runtime/scheme.go:111";

/** Returns the internal Go type of a kind, such as `certificates.CertificateSigningRequest`. */
export function formatGoType({ group, kind }: Pick<Kind, "group" | "kind">): string {
  // Both groups of events share one internal type.
  const isCore = group === "" || group === "events.k8s.io";
  return `${isCore ? "core" : group.split(".")[0]}.${kind}`;
}

/** Formats the decoder's message for an unknown kind. */
export function noKindText(apiVersion: string, kind: string): string {
  return `no kind ${goQuote(kind)} is registered for version ${goQuote(apiVersion)} in scheme "${SCHEME}"`;
}

/** Formats the decoder's message for an unknown kind without a version. */
export function noInternalKindText(group: string, kind: string): string {
  return `no kind ${goQuote(kind)} is registered for the internal version of group ${goQuote(group)} ` +
    `in scheme "${SCHEME}"`;
}
