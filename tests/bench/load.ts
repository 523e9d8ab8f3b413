/** Runs the load program, `tests/interop/peers/kubernetes/cmd/load`, and reads its reports. */
import process from "node:process";
import { peerPath } from "../support/peers/go.ts";
import { start } from "../support/child.ts";
import { checkOpenFiles } from "./processes.ts";
import { mustEnd } from "./program.ts";

interface Facts {
  /** The number of retries after a request without an answer. */
  readonly retries: number;
}

/** The report about nodes that bootstrapped or got a certificate from cfssl. */
interface StormFacts extends Facts {
  readonly nodes: number;
  readonly seconds: number;
}

/** The report about the whole list in each form; times are in seconds. */
export interface ListFacts extends Facts {
  readonly requests: number;
  readonly forms: Readonly<Record<"json" | "table" | "protobuf", { readonly p50: number; readonly bytes: number }>>;
}

/** The kubeconfigs of the servers; clients are spread over them. */
type Kubeconfigs = readonly string[];

/** The flag for how long a client retries. */
const TIMEOUT = "-timeout=15m";
const OPEN_WITHIN_MS = 300_000;

/** Bootstraps nodes at once, or, with `clients`, over that number of persistent connections. */
export async function storm(
  kubeconfigs: Kubeconfigs,
  nodes: number,
  options: { readonly clients?: number; readonly prefix?: string } = {},
): Promise<StormFacts> {
  const { clients = 0, prefix = "storm" } = options;
  checkOpenFiles(clients === 0 ? nodes : clients);
  const facts = await load<StormFacts>("storm", kubeconfigs, [
    `-nodes=${nodes}`,
    `-clients=${clients}`,
    `-prefix=${prefix}`,
  ]);
  if (facts.nodes !== nodes) throw new Error(`${facts.nodes} nodes bootstrapped, not ${nodes}`);
  return facts;
}

/** The number of different requests, more than a server caches as verified, so that it verifies each one. */
const DIFFERENT_REQUESTS = 10_000;

/** Creates requests for a signer that does not exist. */
export function create(
  kubeconfigs: Kubeconfigs,
  requests: number,
  clients: number,
): Promise<Facts & { readonly seconds: number; readonly rate: number }> {
  return load("create", kubeconfigs, [`-requests=${requests}`, `-keys=${DIFFERENT_REQUESTS}`, `-clients=${clients}`]);
}

/** Reads the whole list in each form `rounds` times. */
export function list(kubeconfigs: Kubeconfigs, rounds: number): Promise<ListFacts> {
  return load("list", kubeconfigs, [`-rounds=${rounds}`]);
}

/** Reads the whole list in pages, from the first server. */
export function page(
  kubeconfigs: Kubeconfigs,
  limit: number,
): Promise<Facts & { readonly requests: number; readonly seconds: number }> {
  return load("page", kubeconfigs, [`-limit=${limit}`]);
}

/** Runs watchers that all see a few writes. */
export function watch(
  kubeconfigs: Kubeconfigs,
  watchers: number,
  writes: number,
): Promise<Facts & { readonly last: { readonly p50: number } }> {
  checkOpenFiles(watchers);
  return load("watch", kubeconfigs, [`-watchers=${watchers}`, `-writes=${writes}`]);
}

/** Deletes all requests as an administrator. */
export function clean(kubeconfigs: Kubeconfigs): Promise<Facts> {
  return load("clean", kubeconfigs, []);
}

/** Requests certificates from `cfssl serve` at the servers of the kubeconfigs. */
export function signWithCfssl(kubeconfigs: Kubeconfigs, nodes: number, clients: number): Promise<StormFacts> {
  return load("cfssl", kubeconfigs, [`-nodes=${nodes}`, `-clients=${clients}`]);
}

/** Keeps idle connections open during an action, and returns the results of both. */
export async function whileIdle<Result>(
  kubeconfigs: Kubeconfigs,
  connections: number,
  act: () => Promise<Result>,
): Promise<readonly [Result, Facts]> {
  checkOpenFiles(connections);
  const flags = [`-connections=${connections}`];
  await using running = start(peerPath("load"), toWords("idle", kubeconfigs, flags));
  await running.waitFor(/"opened"/, OPEN_WITHIN_MS);
  const result = await act();
  // Do not use the child's own kill, after which Deno always reports that the signal ended the child.
  process.kill(running.pid, "SIGTERM");
  const { code, stdout, stderr } = await running.finished();
  if (code !== 0) throw new Error(`idle connections were lost: ${stderr.slice(-4000)}`);
  return [result, JSON.parse(stdout) as Facts];
}

async function load<Report extends Facts>(
  mode: string,
  kubeconfigs: Kubeconfigs,
  flags: readonly string[],
): Promise<Report> {
  const { stdout } = await mustEnd(peerPath("load"), toWords(mode, kubeconfigs, flags));
  return JSON.parse(stdout) as Report;
}

function toWords(mode: string, kubeconfigs: Kubeconfigs, flags: readonly string[]): readonly string[] {
  return [mode, `-kubeconfig=${kubeconfigs.join(",")}`, TIMEOUT, ...flags];
}
