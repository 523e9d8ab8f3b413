/**
 * Clients that write and read a few ConfigMaps in every way that the API has, all of them the same ones. Whether the answers
 * agree is judged by the history; here an answer is wrong only when no client may get it.
 */
import { type ApiClient, type ApiRequest, createApiClient, withQuery } from "../../client/objects/api.ts";
import { getErrorMessage } from "../../core/errors.ts";
import { StatusError } from "../../core/kube/status_error.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import type { Random } from "../../core/ports.ts";
import { isTransient, type StormClientOptions } from "./watcher.ts";

export const CONFIG_MAPS_PATH = "/api/v1/namespaces/default/configmaps";
/** The labels by which some reads and watches select. */
export const SELECTED = "color=red";

/** Few, so that writes of different clients meet. */
const NAMES = ["shared-0", "shared-1", "shared-2", "shared-3", "shared-4", "shared-5"];
const COLORS = ["red", "blue"];
const PAUSE_MS = 60;
const MAX_FILLER = 2_000;
/** The number of revisions that most reads of an old one go back, and the share of the others. */
const RECENT = 40;
const OLD_READS = 0.1;
/** Answers that a write may get because another client was faster; 422 is for a patch with the uid of a deleted object. */
const LOST_RACES = [404, 409, 422];
/** Answers that a read may get: what it asked for is gone, or not there yet. */
const UNREADABLE = [404, 410, 504];

/** Writes until the signal fires. Each write has a unique name, `data.write`. */
export async function runWriter(options: StormClientOptions, signal: AbortSignal): Promise<void> {
  const { name: client, random } = options;
  let writes = 0;
  /** What this client has last seen of each object. */
  const known = new Map<string, KubeObject>();
  await repeat(options, LOST_RACES, signal, async (api) => {
    const name = pick(NAMES, random);
    const path = `${CONFIG_MAPS_PATH}/${name}`;
    const { uid = "", resourceVersion = "" } = known.get(name)?.metadata ?? {};
    const guards = pick([{}, { resourceVersion }, { uid }, { uid, resourceVersion }], random);
    const guard = uid === "" ? {} : guards;
    const data = { write: `${client}-${++writes}`, filler: "x".repeat(Math.floor(random.float() * MAX_FILLER)) };
    const labels = { color: pick(COLORS, random) };
    const create = { apiVersion: "v1", kind: "ConfigMap", metadata: { name, labels }, data };
    const change = { ...create, metadata: { ...create.metadata, ...guard } };
    const write = async (method: ApiRequest["method"], to: string, body: object, contentType = "application/json") =>
      void known.set(name, await api.requestObject({ method, path: to, body, contentType }, signal));
    await pick([
      () => write("POST", CONFIG_MAPS_PATH, create),
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
      async () => void known.set(name, await api.requestObject({ method: "GET", path }, signal)),
      async () => {
        const preconditions = { apiVersion: "v1", kind: "DeleteOptions", preconditions: guard };
        await api.requestJson({ method: "DELETE", path, body: preconditions }, signal);
      },
    ], random)();
  });
}

/** Reads until the signal fires: the newest state, an old one, one at a revision, page by page, and selected objects. */
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
    const name = pick(NAMES, random);
    // Most old revisions are recent ones, but some are so old that a compaction may have taken them.
    const span = random.float() < OLD_READS ? newest() - oldest : RECENT;
    const some = `${Math.max(oldest, newest() - Math.floor(random.float() * span))}`;
    const revision = pick<Readonly<Record<string, string>>>([
      {},
      { resourceVersion: "0" },
      { resourceVersion: `${newest()}`, resourceVersionMatch: "NotOlderThan" },
      { resourceVersion: some, resourceVersionMatch: "NotOlderThan" },
      { resourceVersion: some, resourceVersionMatch: "Exact" },
    ], random);
    const selector = pick<Readonly<Record<string, string>>>([
      {},
      { labelSelector: SELECTED },
      { fieldSelector: `metadata.name=${name}` },
    ], random);
    const limit = pick(["", "1", "2", "4"], random);
    await pick([
      async () => {
        const { resourceVersion } = revision;
        const query = resourceVersion === undefined ? {} : { resourceVersion };
        await api.requestObject({ method: "GET", path: withQuery(`${CONFIG_MAPS_PATH}/${name}`, query) }, signal);
      },
      () => readPages(options, api, { ...selector, ...revision, ...(limit === "" ? {} : { limit }) }, signal),
    ], random)();
  });
}

/** Reads a list to its end, with pauses in which the objects change. */
async function readPages(
  { clock, random }: StormClientOptions,
  api: ApiClient,
  query: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<void> {
  let page = query;
  while (true) {
    const { metadata } = await api.requestList({ method: "GET", path: withQuery(CONFIG_MAPS_PATH, page) }, signal);
    if (metadata.continue === undefined || metadata.continue === "") return;
    const { resourceVersion: _first, resourceVersionMatch: _match, ...rest } = query;
    page = { ...rest, continue: metadata.continue };
    await clock.sleep(random.float() * PAUSE_MS, signal);
  }
}

/** Repeats an action with pauses, whatever the server answers of what is expected. */
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

function pick<T>(values: readonly T[], random: Random): T {
  return values[Math.floor(random.float() * values.length)]!;
}
