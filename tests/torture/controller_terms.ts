/**
 * The terms in which servers run the controllers, read from their audit logs: what the controllers wrote, and when a
 * server claimed the Lease. Revisions order the writes of all servers, and renewals of the Lease measure time, so
 * changing a clock has no effect.
 */
import { createReadStream } from "node:fs";
import { text } from "node:stream/consumers";
import { CERTIFICATE_CONTROLLER_ACCOUNT, ROOT_USER } from "../../instance/instance_rbac.ts";
import { SHARED_STORE_ELECTION } from "../../instance/controllers/controllers.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { toAccountUsername } from "../../core/kube/user.ts";

const { leaseName, leaseDurationMs, renewDeadlineMs, retryPeriodMs } = SHARED_STORE_ELECTION;
/** A server that has lost the Lease must stop its controllers within this many renewals by another server. */
export const MAX_RENEWALS = Math.ceil((leaseDurationMs! + renewDeadlineMs!) / retryPeriodMs!);

/** The audit policy that logs the revisions of these writes. */
export const TERMS_POLICY = JSON.stringify({
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  omitStages: ["RequestReceived"],
  rules: [
    { users: [toAccountUsername("kube-system", CERTIFICATE_CONTROLLER_ACCOUNT)] },
    { users: [ROOT_USER.username], resources: [{ group: "coordination.k8s.io", resources: ["leases"] }] },
  ].map((rule) => ({ level: "RequestResponse", verbs: ["create", "update", "patch"], ...rule })),
});

/** A write of a server on its own behalf. */
export interface OwnWrite {
  readonly server: number;
  readonly revision: number;
  /** True for a claim of the Lease, false for a write of a controller. */
  readonly isClaim: boolean;
}

/** Reads a line of a server's audit log; returns undefined if the line has no such write. */
export function readOwnWrite(server: number, line: string): OwnWrite | undefined {
  const { objectRef, responseObject } = JSON.parse(line) as {
    readonly objectRef: { readonly resource: string; readonly name?: string; readonly resourceVersion?: string };
    readonly responseObject?: KubeObject;
  };
  const { resourceVersion } = responseObject?.metadata ?? {};
  // An update without changes keeps the revision of an earlier write, perhaps by another server.
  if (resourceVersion === undefined || resourceVersion === objectRef.resourceVersion) return undefined;
  const isClaim = objectRef.resource === "leases";
  if (isClaim && objectRef.name !== leaseName) return undefined;
  return { server, revision: Number(resourceVersion), isClaim };
}

/** Finds controllers that keep writing while another server holds and renews the Lease. */
export function findTermFaults(writes: readonly OwnWrite[]): readonly string[] {
  const faults = new Map<number, string>();
  /** For each server, the number of renewals before its first write without the Lease. */
  const renewalsAtFirst = new Map<number, number>();
  let holder: number | undefined;
  let renewals = 0;
  for (const { server, revision, isClaim } of writes.toSorted((a, b) => a.revision - b.revision)) {
    if (isClaim) {
      holder = server;
      renewals++;
      renewalsAtFirst.delete(server);
    } else if (server !== holder) {
      const first = renewalsAtFirst.get(server) ?? renewals;
      renewalsAtFirst.set(server, first);
      if (renewals - first <= MAX_RENEWALS || faults.has(server)) continue;
      const since = `${renewals - first} renewals of the Lease`;
      faults.set(
        server,
        `two servers run the controllers: server ${server} wrote revision ${revision} in the term of server ${holder}, ` +
          `${since} after its first write without it`,
      );
    }
  }
  return [...faults.values()];
}

/** Follows the audit logs of several running servers. */
export class ControllerTerms {
  readonly #logs: { readonly path: string; offset: number }[];
  readonly #writes: OwnWrite[] = [];

  constructor(paths: readonly string[]) {
    this.#logs = paths.map((path) => ({ path, offset: 0 }));
  }

  /** Reads what the servers have written since the last call, and returns all writes so far. */
  async read(): Promise<readonly OwnWrite[]> {
    for (const [server, log] of this.#logs.entries()) {
      const added = await text(createReadStream(log.path, { start: log.offset }));
      // A server may be writing a line, or may have died in the middle of one.
      const whole = added.slice(0, added.lastIndexOf("\n") + 1);
      log.offset += new TextEncoder().encode(whole).length;
      const lines = whole.split("\n").filter((line) => line !== "");
      this.#writes.push(...lines.flatMap((line) => readOwnWrite(server, line) ?? []));
    }
    return this.#writes;
  }

  /** Lists the claims of the Lease in order. */
  async listClaims(): Promise<readonly OwnWrite[]> {
    return (await this.read()).filter(({ isClaim }) => isClaim).toSorted((a, b) => a.revision - b.revision);
  }
}
