/** The load program, `tests/interop/peers/kubernetes/cmd/load`: what it can do and what it says of it. */
import process from "node:process";
import { peerPath } from "../peers.ts";
import { start } from "../../tests/support/child.ts";
import { mustEnd } from "./program.ts";

/** Seconds that single acts took. */
export interface Times {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Nodes that bootstrapped, or had a certificate from cfssl. */
export interface StormFacts extends Times {
  readonly nodes: number;
  readonly seconds: number;
  /** Times that a node had no answer and asked again. */
  readonly retries: number;
}

/** Requests that were created. */
export interface CreateFacts extends Times {
  readonly requests: number;
  readonly clients: number;
  readonly seconds: number;
  readonly rate: number;
}

/** The whole list, in each form. */
export interface ListFacts {
  readonly requests: number;
  readonly forms: Readonly<Record<"json" | "table" | "protobuf", Times & { readonly bytes: number }>>;
}

/** The whole list in pages; times are of a page. */
export interface PageFacts extends Times {
  readonly requests: number;
  readonly pages: number;
  readonly seconds: number;
}

/** Watchers of one resource. */
export interface WatchFacts {
  readonly watchers: number;
  readonly opened: number;
  readonly last: Times;
  readonly acknowledged: Times;
}

const TIMEOUT = "-timeout=15m";
const OPEN_WITHIN_MS = 300_000;

/** Nodes that bootstrap at once; with `clients`, over so many connections that stay open. */
export async function storm(
  kubeconfig: string,
  nodes: number,
  options: { readonly clients?: number; readonly prefix?: string } = {},
): Promise<StormFacts> {
  const { clients = 0, prefix = "storm" } = options;
  const facts = await load<StormFacts>("storm", kubeconfig, [
    ...[`-nodes=${nodes}`, `-clients=${clients}`, `-prefix=${prefix}`, TIMEOUT],
  ]);
  if (facts.nodes !== nodes) throw new Error(`the storm was of ${facts.nodes} nodes, not ${nodes}`);
  return facts;
}

/** Requests for a signer that nobody is. */
export function create(kubeconfig: string, requests: number, clients: number): Promise<CreateFacts> {
  return load("create", kubeconfig, [`-requests=${requests}`, `-clients=${clients}`]);
}

/** Reads the whole list in each form, a few times. */
export function list(kubeconfig: string, rounds: number): Promise<ListFacts> {
  return load("list", kubeconfig, [`-rounds=${rounds}`]);
}

/** Reads the whole list in pages. */
export function page(kubeconfig: string, limit: number): Promise<PageFacts> {
  return load("page", kubeconfig, [`-limit=${limit}`]);
}

/** Watchers that all see each of a few writes. */
export function watch(kubeconfig: string, watchers: number, writes: number): Promise<WatchFacts> {
  return load("watch", kubeconfig, [`-watchers=${watchers}`, `-writes=${writes}`, TIMEOUT]);
}

/** Deletes all requests, as administrator. */
export function clean(kubeconfig: string): Promise<{ readonly seconds: number }> {
  return load("clean", kubeconfig, []);
}

/** Certificates from `cfssl serve` at the server of the kubeconfig. */
export function signWithCfssl(kubeconfig: string, nodes: number, clients: number): Promise<StormFacts> {
  return load("cfssl", kubeconfig, [`-nodes=${nodes}`, `-clients=${clients}`]);
}

/** Connections that stay open and do nothing while something is done. */
export async function whileIdle<Result>(
  kubeconfig: string,
  connections: number,
  act: () => Promise<Result>,
): Promise<Result> {
  await using running = start(peerPath("load"), [
    ...["idle", `-kubeconfig=${kubeconfig}`, `-connections=${connections}`],
  ]);
  await running.waitFor(/"opened"/, OPEN_WITHIN_MS);
  const result = await act();
  // Not by the child's own kill: Deno then says that the signal ended it, whatever it did.
  process.kill(running.pid, "SIGTERM");
  const { code, stderr } = await running.finished();
  if (code !== 0) throw new Error(`idle connections were lost: ${stderr.slice(-4000)}`);
  return result;
}

async function load<Facts>(mode: string, kubeconfig: string, flags: readonly string[]): Promise<Facts> {
  const { stdout } = await mustEnd(peerPath("load"), [mode, `-kubeconfig=${kubeconfig}`, ...flags]);
  return JSON.parse(stdout) as Facts;
}
