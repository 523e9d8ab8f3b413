/** What the tables of kubectl commands share: the answers to them are those of a real kube-apiserver 1.37.2. */
import type { Step } from "./kubectl_steps.ts";

/** A table that leaves other themes' objects alone. */
export interface Theme {
  readonly name: string;
  steps(): Promise<readonly Step[]>;
}

/** How kubectl writes the kind in its answers. */
export const KIND = "certificatesigningrequest.certificates.k8s.io";

/** How the API writes the resource in its errors. */
export const RESOURCE = "certificatesigningrequests.certificates.k8s.io";

/** kubectl arguments that create the objects given on stdin. */
export const CREATE: readonly string[] = ["create", "-f", "-"];

/** kubectl's words when there is no such CSR. */
export function notFound(name: string): string {
  return `Error from server (NotFound): ${RESOURCE} "${name}" not found\n`;
}
