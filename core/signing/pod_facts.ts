/**
 * The facts of a pod that a profile can name in braces, such as `{namespace}`. kube-apiserver compares them with the pod and
 * its node when a kubelet sends the request (`plugin/pkg/admission/noderestriction`).
 */
import type { PodCertificateRequest } from "../kube/kinds/certificates_v1.ts";
import { findNearest } from "../lib/nearest.ts";

const POD_FACTS = [
  "namespace",
  "serviceAccount",
  "serviceAccountUID",
  "pod",
  "podUID",
  "node",
  "nodeUID",
] as const;

/** The facts that a request states about its pod. */
export type PodFacts = Readonly<Record<(typeof POD_FACTS)[number], string>>;

/** The characters of names and UIDs in Kubernetes. None of them separates parts of a URI or is special in a pattern. */
const PLAIN = /^[A-Za-z0-9.-]+$/;
const PLACEHOLDER = /\{([^{}]*)\}/g;

export function toPodFacts({ metadata, spec }: PodCertificateRequest): PodFacts {
  return {
    namespace: metadata.namespace ?? "",
    serviceAccount: spec.serviceAccountName,
    serviceAccountUID: spec.serviceAccountUID,
    pod: spec.podName,
    podUID: spec.podUID,
    node: spec.nodeName,
    nodeUID: spec.nodeUID,
  };
}

/** Finds a fact that cannot replace its placeholder. The API restricts names, but a UID may be any text. */
export function findPodFactFault(facts: PodFacts): string | undefined {
  const bad = POD_FACTS.find((name) => !PLAIN.test(facts[name]));
  return bad === undefined ? undefined : `${bad} is not a plain name: ${facts[bad]}`;
}

export function fillPlaceholders(text: string, facts: PodFacts): string {
  return text.replace(PLACEHOLDER, (whole, name: string) => isPodFact(name) ? facts[name] : whole);
}

/** Finds the placeholders in a text, known or not. */
export function listPlaceholders(text: string): readonly string[] {
  return [...text.matchAll(PLACEHOLDER)].map(([, name = ""]) => name);
}

export function findPlaceholderFault(text: string): string | undefined {
  const unknown = listPlaceholders(text).find((name) => !isPodFact(name));
  if (unknown === undefined) return undefined;
  const nearest = findNearest(unknown, POD_FACTS);
  return `{${unknown}} is not a fact of a pod; ${
    nearest === undefined
      ? `known are ${POD_FACTS.map((name) => `{${name}}`).join(", ")}`
      : `did you mean {${nearest}}?`
  }`;
}

/** Reports whether a placeholder is known. */
export function isPodFact(name: string): name is keyof PodFacts {
  return (POD_FACTS as readonly string[]).includes(name);
}
