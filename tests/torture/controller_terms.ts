/**
 * The terms in which several servers run the controllers, as the audit log of each server shows them: what its controllers
 * wrote, and when it claimed the Lease. The revisions of etcd order the writes of all servers, and the renewals of the Lease
 * measure the time between them, so that a clock that is set changes nothing.
 */
import { createReadStream } from "node:fs";
import { text } from "node:stream/consumers";
import { CERTIFICATE_CONTROLLER_ACCOUNT, ROOT_USER } from "../../instance/instance_rbac.ts";
import { SHARED_STORE_ELECTION } from "../../instance/controllers/controllers.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { toAccountUsername } from "../../core/kube/user.ts";

const { leaseName, leaseDurationMs, renewDeadlineMs, retryPeriodMs } = SHARED_STORE_ELECTION;
/** The renewals by another server within which one that has lost the Lease stops its controllers. */
export const MOST_RENEWALS = Math.ceil((leaseDurationMs! + renewDeadlineMs!) / retryPeriodMs!);

/** The audit policy that shows the revisions of these writes. */
export const TERMS_POLICY = JSON.stringify({
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  omitStages: ["RequestReceived"],
  rules: [
    { users: [toAccountUsername("kube-system", CERTIFICATE_CONTROLLER_ACCOUNT)] },
    { users: [ROOT_USER.username], resources: [{ group: "coordination.k8s.io", resources: ["leases"] }] },
  ].map((rule) => ({ level: "RequestResponse", verbs: ["create", "update", "patch"], ...rule })),
});

/** A write of a server by itself. */
export interface OwnWrite {
  readonly server: number;
  readonly revision: number;
  /** True for a claim of the Lease, false for a write of a controller. */
  readonly isClaim: boolean;
}

/** Reads a line of the audit log of a server; undefined when it wrote nothing. */
export function readOwnWrite(server: number, line: string): OwnWrite | undefined {
  const { objectRef, responseObject } = JSON.parse(line) as {
    readonly objectRef: { readonly resource: string; readonly name?: string; readonly resourceVersion?: string };
    readonly responseObject?: KubeObject;
  };
  const { resourceVersion } = responseObject?.metadata ?? {};
  // An update that changes nothing leaves the revision of an earlier write, maybe of another server.
  if (resourceVersion === undefined || resourceVersion === objectRef.resourceVersion) return undefined;
  const isClaim = objectRef.resource === "leases";
  if (isClaim && objectRef.name !== leaseName) return undefined;
  return { server, revision: Number(resourceVersion), isClaim };
}

/** Finds controllers that go on writing while another server has the Lease and renews it. */
export function findTermFaults(writes: readonly OwnWrite[]): readonly string[] {
  const faults = new Map<number, string>();
  /** The renewals before the first write of each server that it made without the Lease. */
  const late = new Map<number, number>();
  let holder: number | undefined;
  let renewals = 0;
  for (const { server, revision, isClaim } of writes.toSorted((a, b) => a.revision - b.revision)) {
    if (isClaim) {
      holder = server;
      renewals++;
      late.delete(server);
    } else if (server !== holder) {
      const first = late.get(server) ?? renewals;
      late.set(server, first);
      if (renewals - first <= MOST_RENEWALS || faults.has(server)) continue;
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

/** Follows the audit logs of several servers, which have started. */
export class ControllerTerms {
  readonly #logs: { readonly path: string; offset: number }[];
  readonly #writes: OwnWrite[] = [];

  constructor(paths: readonly string[]) {
    this.#logs = paths.map((path) => ({ path, offset: 0 }));
  }

  /** Reads what the servers have written since the last call, and returns all of it. */
  async read(): Promise<readonly OwnWrite[]> {
    for (const [server, log] of this.#logs.entries()) {
      const added = await text(createReadStream(log.path, { start: log.offset }));
      // A server may be in the middle of a line, or have died there.
      const whole = added.slice(0, added.lastIndexOf("\n") + 1);
      log.offset += new TextEncoder().encode(whole).length;
      const lines = whole.split("\n").filter((line) => line !== "");
      this.#writes.push(...lines.flatMap((line) => readOwnWrite(server, line) ?? []));
    }
    return this.#writes;
  }

  /** Reads the claims of the Lease, the first one first. */
  async listClaims(): Promise<readonly OwnWrite[]> {
    return (await this.read()).filter(({ isClaim }) => isClaim).toSorted((a, b) => a.revision - b.revision);
  }
}
