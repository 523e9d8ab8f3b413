/** HAProxy in front of several API servers that are ready, configured as in docs/guides/etcd.md. */
import { readFile, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { start } from "../support/child.ts";
import { eventually } from "../support/eventually.ts";
import { findProgram } from "../support/peers/debian.ts";

interface BalancerOptions {
  /** The folder for its configuration and its socket. */
  readonly folder: string;
  readonly port: number;
  /** The addresses and ports of the servers behind it. */
  readonly servers: readonly string[];
  /** The CA of the servers' certificates, for readiness checks. */
  readonly caPath: string;
}

export interface Balancer extends AsyncDisposable {
  /** Returns the number of connections that each server has had. */
  counts(): Promise<readonly number[]>;
  stderr(): string;
}

const PAGE = join("docs", "guides", "etcd.md");
/** Columns of `show stat`: the name of a server and its total number of connections. */
const NAME_COLUMN = 1;
const TOTAL_COLUMN = 7;

/** Starts HAProxy on loopback. Throws an Error if it is not installed or ends. */
export async function startBalancer(options: BalancerOptions): Promise<Balancer> {
  const { folder, servers } = options;
  const program = findProgram("haproxy");
  if (program === undefined) {
    throw new Error("several servers need HAProxy in front of them: install it with `deno task debian-packages`");
  }
  const socketPath = join(folder, "haproxy.sock");
  const path = join(folder, "haproxy.cfg");
  await writeFile(path, fillConfiguration(await readFile(PAGE, "utf8"), options, socketPath));
  const running = start(program, ["-db", "-f", path]);
  async function counts(): Promise<readonly number[]> {
    const socket = connect(socketPath);
    socket.write("show stat\n");
    const rows = (await text(socket)).split("\n").map((line) => line.split(","));
    return servers.map((_, index) => Number(rows.find((row) => row[NAME_COLUMN] === `s${index}`)?.[TOTAL_COLUMN]));
  }
  const balancer: Balancer = {
    counts,
    stderr: () => running.stderr(),
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
  try {
    await eventually("HAProxy to run", async () => {
      if (running.hasEnded()) throw new Error(`HAProxy ended: ${running.stderr()}`);
      return await counts().catch(() => undefined);
    });
    return balancer;
  } catch (error) {
    await balancer[Symbol.asyncDispose]();
    throw error;
  }
}

/** Fills loopback addresses into the configuration of the page, and adds a socket for statistics. */
function fillConfiguration(page: string, { port, servers, caPath }: BalancerOptions, socketPath: string): string {
  const block = /```\n(defaults\n[^]*?)```/.exec(page)?.[1];
  if (block === undefined) throw new Error(`${PAGE} has no configuration of HAProxy`);
  const filled = block
    .replace(/bind \S+/, `bind 127.0.0.1:${port}`)
    .replace(/ca-file \S+/, `ca-file ${caPath}`)
    .replace(
      /(?: *server \S+ \S+\n)+/,
      servers.map((server, index) => `  server s${index} ${server}\n`).join(""),
    );
  return `global\n  stats socket ${socketPath}\n${filled}`;
}
