/**
 * Clients that share a few objects. Some write and read ConfigMaps in every way that the API has, some approve
 * certificate requests by hand, and one deletes requests. An answer is a fault only if no client may ever receive it;
 * the check of the history compares answers with each other.
 */
import { type ApiClient, type ApiRequest, createApiClient, listAll, withQuery } from "../../client/objects/api.ts";
import { buildCsr } from "../../client/certificate/submit_request.ts";
import { withApproval, withDenial } from "../../core/approval/conditions.ts";
import { getCsrPhase } from "../../core/request/phase.ts";
import { getErrorMessage, isAppError } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { KUBE_APISERVER_CLIENT_SIGNER } from "../../core/kube/kinds/constants.ts";
import { StatusError } from "../../core/kube/status/status.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { pick } from "../support/seeded_random.ts";
import { toManualDecision } from "./ledger.ts";
import { isTransient, type StormClientOptions } from "./watcher.ts";

/** The ConfigMaps of all namespaces. */
export const CONFIG_MAPS_PATH = "/api/v1/configmaps";
export const REQUESTS_PATH = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
/** The labels by which some reads and watches select. */
export const SELECTED = "color=red";

/** The namespaces of the objects. One name is a prefix of the other, which no list may confuse. */
export const NAMESPACES = ["a", "a-b"];
/** Only a few names, so that writes of different clients collide. */
const NAMES = ["shared-0", "shared-1", "shared-2"];
const COLORS = ["red", "blue"];
const PAUSE_MS = 60;
/** The share of writes that are read back. */
const READ_BACK = 0.5;
const MAX_FILLER = 2_000;
/** How many revisions most reads of an old revision go back, and the share of those that may go back further. */
const RECENT = 40;
const OLD_READS = 0.3;
/** Codes that a write may get because another client was faster; 422 is for a patch of a deleted object. */
const LOST_RACES = [404, 409, 422];
/** Codes that a read may get because the requested object or revision is gone, or not there yet. */
const UNREADABLE = [404, 410, 504];
/** The requests that are approved by hand, and the longest time for which one is pending. */
const REQUESTS = ["by-hand-0", "by-hand-1"];
const PENDING_MS = 1_000;

/** The longest pause of the cleaner, which then deletes one in `CLEANED_REQUESTS` requests. */
const CLEANING_PAUSE_MS = 1_000;
const CLEANED_REQUESTS = 3;

export function toConfigMapsPath(namespace: string): string {
  return `/api/v1/namespaces/${namespace}/configmaps`;
}

/**
 * Writes until the signal fires. Each write has a unique name, `data.write`. Many are read back at once over another
 * connection, perhaps to another server.
 */
export async function runWriter(options: StormClientOptions, signal: AbortSignal): Promise<void> {
  const { name: client, random, clock, cluster, connect } = options;
  await using transport = await connect(cluster);
  const otherApi = createApiClient(transport, { clock });
  let writes = 0;
  /** The last state of each object that this client has seen. */
  const known = new Map<string, KubeObject>();
  let hasNamespaces = false;
  await repeat(options, LOST_RACES, signal, async (api) => {
    if (!hasNamespaces) await createNamespaces(api, signal);
    hasNamespaces = true;
    const name = pick(random, NAMES);
    const collection = toConfigMapsPath(pick(random, NAMESPACES));
    const path = `${collection}/${name}`;
    const { uid = "", resourceVersion = "" } = known.get(path)?.metadata ?? {};
    const guards = pick(random, [{}, { resourceVersion }, { uid }, { uid, resourceVersion }]);
    const guard = uid === "" ? {} : guards;
    const data = { write: `${client}-${++writes}`, filler: "x".repeat(Math.floor(random.float() * MAX_FILLER)) };
    const labels = { color: pick(random, COLORS) };
    const create = { apiVersion: "v1", kind: "ConfigMap", metadata: { name, labels }, data };
    const change = { ...create, metadata: { ...create.metadata, ...guard } };
    const write = async (method: ApiRequest["method"], to: string, body: object, contentType = "application/json") =>
      void known.set(path, await api.requestObject({ method, path: to, body, contentType }, signal));
    await pick(random, [
      () => write("POST", collection, create),
      () => write("PUT", path, change),
      () => write("PUT", path, change),
      () => write("PATCH", path, change, "application/merge-patch+json"),
      () =>
        write(
          "PATCH",
          withQuery(path, { fieldManager: client, force: "true" }),
          change,
          "application/apply-patch+yaml",
        ),
      async () => void known.set(path, await api.requestObject({ method: "GET", path }, signal)),
      async () => {
        const preconditions = { apiVersion: "v1", kind: "DeleteOptions", preconditions: guard };
        await api.requestJson({ method: "DELETE", path, body: preconditions }, signal);
      },
    ])();
    if (random.float() < READ_BACK) await otherApi.requestObject({ method: "GET", path }, signal);
  });
}

/** Creates the namespaces of the objects, unless they exist. */
async function createNamespaces(api: ApiClient, signal: AbortSignal): Promise<void> {
  for (const name of NAMESPACES) {
    const body = { apiVersion: "v1", kind: "Namespace", metadata: { name } };
    await api.requestObject({ method: "POST", path: "/api/v1/namespaces", body }, signal).catch((error: unknown) => {
      if (!isAppError(error, "already_exists")) throw error;
    });
  }
}

/** Reads until the signal fires: the newest or an older state, at a revision, page by page, or selected objects. */
export async function runReader(
  options: StormClientOptions & {
    /** The first revision that it may read. */
    readonly oldest: number;
    /** Returns the newest revision that any client has seen. */
    readonly newest: () => number;
  },
  signal: AbortSignal,
): Promise<void> {
  const { random, oldest, newest } = options;
  await repeat(options, UNREADABLE, signal, async (api) => {
    const name = pick(random, NAMES);
    // Most old revisions are recent, but some are so old that a compaction may have removed them.
    const span = random.float() < OLD_READS ? newest() - oldest : RECENT;
    const oldRevision = `${Math.max(oldest, newest() - Math.floor(random.float() * span))}`;
    const revision = pick<Readonly<Record<string, string>>>(random, [
      {},
      { resourceVersion: "0" },
      { resourceVersion: `${newest()}`, resourceVersionMatch: "NotOlderThan" },
      { resourceVersion: oldRevision, resourceVersionMatch: "NotOlderThan" },
      { resourceVersion: oldRevision, resourceVersionMatch: "Exact" },
    ]);
    const selector = pick<Readonly<Record<string, string>>>(random, [
      {},
      { labelSelector: SELECTED },
      { fieldSelector: `metadata.name=${name}` },
    ]);
    const limit = pick(random, ["", "1", "2", "4"]);
    await pick(random, [
      async () => {
        const { resourceVersion } = revision;
        const query = resourceVersion === undefined ? {} : { resourceVersion };
        const path = `${toConfigMapsPath(pick(random, NAMESPACES))}/${name}`;
        await api.requestObject({ method: "GET", path: withQuery(path, query) }, signal);
      },
      () => {
        const collection = pick(random, [CONFIG_MAPS_PATH, ...NAMESPACES.map(toConfigMapsPath)]);
        const query = { ...selector, ...revision, ...(limit === "" ? {} : { limit }) };
        return readPages(options, api, collection, query, signal);
      },
    ])();
  });
}

/** Reads a list page by page to its end, with pauses in which the objects change. */
async function readPages(
  { clock, random }: StormClientOptions,
  api: ApiClient,
  collection: string,
  query: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<void> {
  let page = query;
  while (true) {
    const { metadata } = await api.requestList({ method: "GET", path: withQuery(collection, page) }, signal);
    if (metadata.continue === undefined || metadata.continue === "") return;
    const { resourceVersion: _first, resourceVersionMatch: _match, ...rest } = query;
    page = { ...rest, continue: metadata.continue };
    await clock.sleep(random.float() * PAUSE_MS, signal);
  }
}

/**
 * Creates requests that no rule approves, and approves, denies or replaces them after a while, until the signal fires.
 * A decision must not apply to another request that has taken the name meanwhile.
 */
export async function runApprover(options: StormClientOptions, signal: AbortSignal): Promise<void> {
  const { clock, random } = options;
  const key = await generatePrivateKey("ecdsa-p256");
  await repeat(options, LOST_RACES, signal, async (api) => {
    const name = pick(random, REQUESTS);
    const path = `${REQUESTS_PATH}/${name}`;
    const create = async (): Promise<CertificateSigningRequest> => {
      const body = buildCsr({
        ...{ key, subject: { commonName: options.name, organizations: [] }, name: { fixed: name } },
        ...{ signerName: KUBE_APISERVER_CLIENT_SIGNER, usages: ["client auth"] },
      });
      return await api.requestObject<CertificateSigningRequest>({ method: "POST", path: REQUESTS_PATH, body }, signal);
    };
    const csr = await api.requestObject<CertificateSigningRequest>({ method: "GET", path }, signal)
      .catch((error: unknown) => {
        if (error instanceof StatusError && error.status.code === 404) return create();
        throw error;
      });
    await clock.sleep(random.float() * PENDING_MS, signal);
    const { uid = "", resourceVersion: _seen, ...metadata } = csr.metadata;
    const replace = async () => {
      const body = { apiVersion: "v1", kind: "DeleteOptions", preconditions: { uid } };
      await api.requestJson({ method: "DELETE", path, body }, signal);
      await create();
    };
    if (getCsrPhase(csr).kind !== "pending") return await replace();
    const decide = async (decision: typeof withApproval) => {
      const decided = decision(csr, toManualDecision(uid, options.name));
      if (!decided.ok) return;
      // Either the revision or the uid identifies the request.
      const body = pick(random, [decided.value, { ...decided.value, metadata: { ...metadata, uid } }]);
      await api.requestObject({ method: "PUT", path: `${path}/approval`, body }, signal);
    };
    // Clients seldom collide by themselves, so half of the attempts decide about a request that is gone.
    const decideTooLate = async () => {
      await replace();
      await decide(withApproval);
    };
    await pick(random, [() => decide(withApproval), () => decide(withDenial), decideTooLate, decideTooLate])();
  });
}

/** Deletes requests whose certificates are on their node's disk, until the signal fires. They must not come back. */
export async function runCleaner(
  options: StormClientOptions & {
    /** The certificates that nodes have stored, as requests have them. */
    readonly stored: ReadonlySet<string>;
  },
  signal: AbortSignal,
): Promise<void> {
  const { clock, random, stored } = options;
  await repeat(options, [], signal, async (api) => {
    await clock.sleep(random.float() * CLEANING_PAUSE_MS, signal);
    const { items } = await listAll<CertificateSigningRequest>(api, REQUESTS_PATH, {}, signal);
    for (const { metadata: { name, uid = "" }, status } of items) {
      if (!stored.has(status?.certificate ?? "") || random.float() * CLEANED_REQUESTS > 1) continue;
      const body = { apiVersion: "v1", kind: "DeleteOptions", preconditions: { uid } };
      await api.requestJson({ method: "DELETE", path: `${REQUESTS_PATH}/${name}`, body }, signal)
        .catch((error: unknown) => {
          // It may be gone since it was listed. Any other refusal is a fault.
          if (!isAppError(error, "not_found")) throw error;
        });
    }
  });
}

/** Repeats an action with pauses, and reports every unexpected answer. */
async function repeat(
  { name, cluster, connect, clock, random, onFault, isOwnFault }: StormClientOptions,
  expected: readonly number[],
  signal: AbortSignal,
  act: (api: ApiClient) => Promise<void>,
): Promise<void> {
  await using transport = await connect(cluster);
  const api = createApiClient(transport, { clock });
  while (!signal.aborted) {
    try {
      await act(api);
    } catch (error) {
      if (signal.aborted) return;
      const isExpected = error instanceof StatusError && expected.includes(error.status.code ?? 0);
      if (!isExpected && !isTransient(error) && isOwnFault?.(error) !== true) {
        onFault(`${name}: ${getErrorMessage(error)}`);
      }
    }
    await clock.sleep(random.float() * PAUSE_MS, signal).catch(() => {});
  }
}
