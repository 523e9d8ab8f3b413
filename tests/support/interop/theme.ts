/** The shared parts of the tables of kubectl commands: their answers are those of a real kube-apiserver 1.37.2. */
import type { Step } from "./kubectl_steps.ts";

/** A table that does not touch the objects of other themes. */
export interface Theme {
  readonly name: string;
  steps(): Promise<readonly Step[]>;
}

/** The name of the kind in kubectl's answers. */
export const KIND = "certificatesigningrequest.certificates.k8s.io";

/** The name of the resource in the API's errors. */
export const RESOURCE = "certificatesigningrequests.certificates.k8s.io";

/** kubectl arguments that create the objects given on stdin. */
export const CREATE: readonly string[] = ["create", "-f", "-"];

/** kubectl's words when there is no such CSR. */
export function notFound(name: string): string {
  return `Error from server (NotFound): ${RESOURCE} "${name}" not found\n`;
}
