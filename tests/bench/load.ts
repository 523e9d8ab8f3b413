/** The load program, `tests/interop/peers/kubernetes/cmd/load`: what it can do and what it says of it. */
import process from "node:process";
import { peerPath } from "../support/peers/go.ts";
import { start } from "../support/child.ts";
import { checkOpenFiles } from "./processes.ts";
import { mustEnd } from "./program.ts";

interface Facts {
  /** How often a client had no answer and retried. */
  readonly retries: number;
}

/** Nodes that bootstrapped, or had a certificate from cfssl. */
export interface StormFacts extends Facts {
  readonly nodes: number;
  readonly seconds: number;
}

/** The whole list, in each form; times are seconds. */
export interface ListFacts extends Facts {
  readonly requests: number;
  readonly forms: Readonly<Record<"json" | "table" | "protobuf", { readonly p50: number; readonly bytes: number }>>;
}

/** The kubeconfig of each server that clients are spread over. */
type Kubeconfigs = readonly string[];

/** How long a client retries. */
const TIMEOUT = "-timeout=15m";
const OPEN_WITHIN_MS = 300_000;

/** Nodes that bootstrap at once; with `clients`, over that number of persistent connections. */
export async function storm(
  kubeconfigs: Kubeconfigs,
  nodes: number,
  options: { readonly clients?: number; readonly prefix?: string } = {},
): Promise<StormFacts> {
  const { clients = 0, prefix = "storm" } = options;
  checkOpenFiles(clients === 0 ? nodes : clients);
  const facts = await load<StormFacts>("storm", kubeconfigs, [
    ...[`-nodes=${nodes}`, `-clients=${clients}`, `-prefix=${prefix}`],
  ]);
  if (facts.nodes !== nodes) throw new Error(`the storm was of ${facts.nodes} nodes, not ${nodes}`);
  return facts;
}

/**
 * More than the number of requests that a server remembers as verified. In turns, each of them is verified every time, as
 * no two machines send the same one.
 */
const DIFFERENT_REQUESTS = 10_000;

/** Creates requests for a signer that does not exist. */
export function create(
  kubeconfigs: Kubeconfigs,
  requests: number,
  clients: number,
): Promise<Facts & { readonly seconds: number; readonly rate: number }> {
  return load("create", kubeconfigs, [`-requests=${requests}`, `-keys=${DIFFERENT_REQUESTS}`, `-clients=${clients}`]);
}

/** Reads the whole list in each form, a few times. */
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

/** Watchers that all see each of a few writes. */
export function watch(
  kubeconfigs: Kubeconfigs,
  watchers: number,
  writes: number,
): Promise<Facts & { readonly last: { readonly p50: number } }> {
  checkOpenFiles(watchers);
  return load("watch", kubeconfigs, [`-watchers=${watchers}`, `-writes=${writes}`]);
}

/** Deletes all requests, as administrator. */
export function clean(kubeconfigs: Kubeconfigs): Promise<Facts> {
  return load("clean", kubeconfigs, []);
}

/** Certificates from `cfssl serve` at the servers of the kubeconfigs. */
export function signWithCfssl(kubeconfigs: Kubeconfigs, nodes: number, clients: number): Promise<StormFacts> {
  return load("cfssl", kubeconfigs, [`-nodes=${nodes}`, `-clients=${clients}`]);
}

/** Connections that stay open and do nothing while something is done; what came of both. */
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
  // Not by the child's own kill: Deno then says that the signal ended it, whatever it did.
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
