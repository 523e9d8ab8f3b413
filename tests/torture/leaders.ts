/** Which of several servers run the controllers, as their metrics say. One does; for a moment after a fault two may. */
import { join } from "node:path";
import { SHARED_STORE_ELECTION } from "../../cli/instance/run_elected.ts";
import { createFilePort } from "../../client/files.ts";
import { createApiClient } from "../../client/objects/api.ts";
import { createConnector, readCluster } from "../../client/transport/connect.ts";
import type { Clock } from "../../core/ports.ts";
import type { TorturedServer } from "./server.ts";

/** How long one that is held up or parted is waited for. */
const ANSWER_WITHIN_MS = 2_000;
const LEADS = `leader_election_master_status{name="${SHARED_STORE_ELECTION.leaseName}"} 1\n`;

/** Asks each server, not over the load balancer, whether it runs them; undefined for one that does not answer. */
export async function findLeads(
  servers: readonly TorturedServer[],
  clock: Clock,
): Promise<readonly (boolean | undefined)[]> {
  const files = createFilePort();
  const connect = createConnector({ files, clock, userAgent: "tlsboot-torture" });
  return await Promise.all(servers.map(async ({ dataDir }) => {
    try {
      await using transport = await connect(await readCluster(join(dataDir, "admin.kubeconfig"), files));
      const request = { method: "GET", path: "/metrics" } as const;
      const text = await createApiClient(transport, { clock }).requestText(
        request,
        AbortSignal.timeout(ANSWER_WITHIN_MS),
      );
      return text.includes(LEADS);
    } catch {
      return undefined;
    }
  }));
}
