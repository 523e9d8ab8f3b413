/** A client of the API, as `kubectl` and controllers are: it writes ConfigMaps, reads and lists them, and watches them. */
import { Buffer } from "node:buffer";
import { createApiClient } from "../../client/objects/api.ts";
import { createObjectStore } from "../../client/objects/object_store.ts";
import { type Connect, createConnector, readCluster } from "../../client/transport/connect.ts";
import { issueClientPair } from "../../cli/authority/issue_pair.ts";
import { USER_AGENT } from "../../cli/version.ts";
import { AppError } from "../../core/errors.ts";
import type { ConfigMap } from "../../core/kube/core_v1.ts";
import { configMapKind } from "../../core/kube/kinds/mod.ts";
import { encodeKubeconfig } from "../../core/kube/kubeconfig.ts";
import { MASTERS_GROUP } from "../../core/kube/user.ts";
import type { Authority } from "../../core/pki/authority.ts";
import { createSeededRandom } from "../support/seeded_random.ts";
import { EPOCH_MS, type Host, type Process, type Program } from "./host.ts";
import { API_HOST, PORT } from "./server.ts";

const KUBECONFIG = "/root/.kube/config";
const NAMESPACE = "default";
/** The objects that all clients write. */
const NAMES = Array.from({ length: 6 }, (_, number) => `shared-${number}`);
/** The longest pause between two writes, in milliseconds. */
const PAUSE_MS = 120_000;
const CALL_MS = 30_000;
const YEAR_MS = 365 * 86_400_000;

/** Writes an administrator's kubeconfig to the disk of a client, as a person does. */
export async function ensureAdminKubeconfig(host: Host, authority: Authority): Promise<void> {
  const identity = { commonName: host.name, organizations: [MASTERS_GROUP], lifetimeMs: 10 * YEAR_MS };
  const random = createSeededRandom(host.scheduler.seed);
  const pair = await issueClientPair(authority, identity, { clock: { now: () => new Date(EPOCH_MS) }, random });
  const text = encodeKubeconfig({
    clusters: [{
      name: "c",
      cluster: { server: `https://${API_HOST}:${PORT}`, certificateAuthorityData: authority.certificatePem },
    }],
    contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
    users: [{
      name: "u",
      user: { clientCertificateData: pair.certificatePem, clientKeyData: pair.keyPem },
    }],
    currentContext: "c",
  });
  await host.files.writeAtomic(KUBECONFIG, text, 0o600);
}

/** Creates the program of a client; `wrap` may record what passes over its connections. */
export function createClientProgram(
  wrap: (connect: Connect, client: string) => Connect = (connect) => connect,
): Program {
  return async (own) => {
    const { clock, random, logger, host: { files } } = own;
    const connect = wrap(createConnector({ files, clock, userAgent: USER_AGENT }), own.name);
    const transport = await connect(await readCluster(KUBECONFIG, files));
    const store = createObjectStore<ConfigMap>(transport, configMapKind, {
      clock,
      random,
      logger,
      namespace: NAMESPACE,
    });
    const never = new AbortController().signal;
    const follow = async (): Promise<void> => {
      for await (const _ of store.changes(never));
    };
    await Promise.race([follow(), write(own, store, createApiClient(transport, { clock }))]);
  };
}

/** Writes and reads at random, and takes every refusal that an honest server may give. */
async function write(
  { clock, random, name: client }: Process,
  store: ReturnType<typeof createObjectStore<ConfigMap>>,
  api: ReturnType<typeof createApiClient>,
): Promise<void> {
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random.float() * items.length)]!;
  let writes = 0;
  while (true) {
    await clock.sleep(random.float() * PAUSE_MS, new AbortController().signal);
    const name = pick(NAMES);
    const signal = AbortSignal.timeout(CALL_MS);
    const data = { write: `${client}-${Buffer.from(random.bytes(4)).toString("hex")}-${++writes}` };
    try {
      const found = await store.get(name, signal);
      const { resourceVersion, uid } = found?.metadata ?? {};
      if (found === undefined) {
        await store.create({ metadata: { name, namespace: NAMESPACE }, data } as ConfigMap, signal);
      } else if (random.float() < 0.15) {
        const isGuarded = random.float() < 0.5 && uid !== undefined && resourceVersion !== undefined;
        await store.delete(name, signal, isGuarded ? { uid, resourceVersion } : {});
      } else if (random.float() < 0.2) {
        const path = `/api/v1/namespaces/${NAMESPACE}/configmaps?limit=${1 + Math.floor(random.float() * 3)}`;
        await api.requestJson({ method: "GET", path }, signal);
      } else await store.update({ ...found, data }, signal);
    } catch (error) {
      if (!(error instanceof AppError) && !signal.aborted) throw error;
    }
  }
}
