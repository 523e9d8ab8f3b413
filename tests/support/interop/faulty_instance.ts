/** An instance on a failing disk, a client for it, and assertions about the failures that are allowed. */
import assert from "node:assert/strict";
import { createApiClient } from "../../../client/objects/api.ts";
import { createConnector, readCluster } from "../../../client/transport/connect.ts";
import { createFilePort } from "../../../client/files.ts";
import { createSystemClock } from "../../../cli/system.ts";
import type { ConfigMap } from "../../../core/kube/kinds/core_v1.ts";
import { type Child, spawnTlsboot } from "../child.ts";
import { eventually } from "../eventually.ts";
import type { FaultyDisk } from "./faulty_disk.ts";
import { waitUntilUp } from "./instance.ts";

const CONFIG_MAPS = "/api/v1/namespaces/default/configmaps";
/** The timeout of a request, including retries. */
const REQUEST_TIMEOUT_MS = 180_000;
/** The number of consecutive answers with the same revision from a quiet instance. */
const QUIET_ANSWERS = 30;

/** The reason for a refused write. */
export interface Refusal {
  readonly code: number;
  readonly message: string;
}

/** A client that writes objects and reads them again. */
interface Client extends AsyncDisposable {
  /** Returns undefined if the write was acknowledged, else the refusal. */
  create(name: string, bytes: number, query?: string): Promise<Refusal | undefined>;
  names(): Promise<ReadonlySet<string>>;
  /** Returns the newest revision of the storage. */
  revision(): Promise<string>;
  isReady(): Promise<boolean>;
  /** Reads a page such as `/metrics`. */
  read(path: string): Promise<{ readonly status: number; readonly text: string }>;
}

export async function connect(dataDir: string): Promise<Client> {
  const clock = createSystemClock();
  const files = createFilePort();
  const cluster = await readCluster(`${dataDir}/admin.kubeconfig`, files);
  const transport = await createConnector({ files, clock, userAgent: "test" })(cluster);
  const api = createApiClient(transport, { clock });
  const soon = () => AbortSignal.timeout(REQUEST_TIMEOUT_MS);
  const exchange = async (request: Parameters<typeof transport.send>[0]) => {
    const { status, body } = await transport.send(request, soon());
    let text = "";
    for await (const chunk of body) text += new TextDecoder().decode(chunk);
    return { status, text };
  };
  return {
    async create(name, bytes, query = "") {
      const body = { apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data: { x: "x".repeat(bytes) } };
      // The API client would retry.
      const headers = { "content-type": "application/json" };
      const { status, text } = await exchange({ method: "POST", path: CONFIG_MAPS + query, headers, body });
      if (status === 201) return undefined;
      const { kind, code, message } = JSON.parse(text);
      assert.deepEqual([kind, code], ["Status", status]);
      return { code, message };
    },
    async names() {
      const { items } = await api.requestList<ConfigMap>({ method: "GET", path: CONFIG_MAPS }, soon());
      return new Set(items.map(({ metadata }) => metadata.name ?? ""));
    },
    async revision() {
      // The list is empty, because the objects of a test may be large.
      const path = `${CONFIG_MAPS}?fieldSelector=metadata.name%3Dnone`;
      const { metadata } = await api.requestList<ConfigMap>({ method: "GET", path }, soon());
      return metadata.resourceVersion ?? "";
    },
    isReady: async () => (await exchange({ method: "GET", path: "/readyz", headers: {} })).status === 200,
    read: (path) => exchange({ method: "GET", path, headers: {} }),
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  };
}

export function startUp(
  dataDir: string,
  port: number,
  disk?: Pick<FaultyDisk, "env">,
  flags: readonly string[] = [],
): Child {
  const args = ["up", "--secure-port", `${port}`, "--data-dir", dataDir, ...flags];
  return spawnTlsboot(args, disk === undefined ? {} : { env: disk.env });
}

/**
 * Waits until the controllers of a new instance have made their writes, so that only the test writes. It counts answers
 * instead of time, because a server without processor time does not answer.
 */
export async function waitUntilQuiet(client: Client): Promise<void> {
  let last = "";
  let unchanged = 0;
  await eventually("no writes", async () => {
    const revision = await client.revision();
    unchanged = revision === last ? unchanged + 1 : 0;
    last = revision;
    return unchanged > QUIET_ANSWERS || undefined;
  });
}

/** Asserts that a refusal is a 5xx without a stack trace. */
export function assertRefusal(refusal: Refusal, what: string): void {
  assert.ok(refusal.code >= 500, `${what}: ${refusal.code} ${refusal.message}`);
  assert.doesNotMatch(refusal.message, /\n {4}at /, what);
}

/** Asserts that a program failed with an error message and without a stack trace. */
export function assertClearFailure(
  { code, stderr }: { readonly code: number | undefined; readonly stderr: string },
  what: string,
): void {
  assert.equal(code, 1, `${what}: ${stderr}`);
  assert.match(stderr, /^tlsboot: error: \S.*/m, what);
  assert.doesNotMatch(stderr, /\n {4}at /, what);
}

/** Reports whether a failed call may belong to a CRL. The sync of the folder may also belong to another file. */
export function isCrlCall(hit: string): boolean {
  return /\/pki\/(?:\.ca\.crl\.\d+\.tmp|ca\.crl)$/.test(hit) || /^fsync .*\/pki$/.test(hit);
}

/** A running server and its client. Disposing it ends both. */
interface ServedClient extends AsyncDisposable {
  readonly running: Child;
  readonly client: Client;
}

/** Starts `up` and waits until it serves. */
export async function startWithClient(dataDir: string, port: number, disk?: FaultyDisk): Promise<ServedClient> {
  const running = startUp(dataDir, port, disk);
  await waitUntilUp(running);
  const client = await connect(dataDir);
  return {
    running,
    client,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await running[Symbol.asyncDispose]();
    },
  };
}
