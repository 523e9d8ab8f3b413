/** The server under torture: the real program on one folder and one port, started and killed again and again. */
import { copyFile, mkdir, readdir, rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { KubeObject } from "../../core/kube/meta.ts";
import { type Child, start, tlsbootCommand } from "../support/child.ts";
import { HERE, type Place } from "../support/interop/network_namespace.ts";
import { copyCa } from "../support/interop/servers.ts";
import { findStoredFaults } from "./register_audit.ts";

/** Under a storm it says a line for each request. */
const SHOWN_LINES = 20;

/** The newest revision: of a change, or of a deletion that is forgotten by now. */
const NEWEST = "SELECT max(revision) AS newest FROM (SELECT revision FROM changes UNION SELECT value FROM numbers)";

/** The newest state of each key. */
const STATES = "SELECT key, value, max(revision) FROM changes GROUP BY key HAVING value IS NOT NULL";

/** The options of a server. */
export interface TorturedServerOptions {
  readonly dataDir: string;
  readonly port: number;
  /** Flags beside those of every server. */
  readonly flags?: readonly string[];
  /** Where it runs and listens; on loopback by default. */
  readonly place?: Place;
  /** Variables of its environment, for a clock of its own. */
  readonly env?: Readonly<Record<string, string>>;
  /** The path of an earlier build, to which `change` turns. */
  readonly earlierBuild?: string | undefined;
}

/** A server that may be down. */
export interface TorturedServer extends AsyncDisposable {
  readonly dataDir: string;
  /** Its address and port, as a client names them. */
  readonly host: string;
  /** Starts it; answers once the process runs, which is long before it serves. */
  start(): void;
  /** Resolves once it serves. An Error with what it said when it ends instead. */
  up(): Promise<void>;
  /** Ends it at once, as a power cut would end the process, and waits until it is gone. */
  kill(): Promise<void>;
  /** Stops the process where it stands, or lets it go on. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void;
  /** From the next start on it is the earlier build, or this one again. */
  change(): void;
  /** Returns what the server last wrote to stderr. */
  stderr(): string;
}

/** Starts the servers of one instance on an etcd for the first time: the others get the CA and the keys of the first. */
export async function startTogether([first, ...others]: readonly [TorturedServer, ...TorturedServer[]]): Promise<void> {
  first.start();
  await first.up();
  for (const { dataDir } of others) await copyCa(first.dataDir, dataDir);
  for (const server of others) server.start();
  await Promise.all(others.map((server) => server.up()));
}

/** Requests stay for as long as the storm, however its clocks are set. */
const KEPT = ["--gc-issued", "48h", "--gc-denied", "48h", "--gc-failed", "48h"];

/** Creates a server; nothing is started yet. */
export function createTorturedServer(options: TorturedServerOptions): TorturedServer {
  const { dataDir, port, flags = [], place = HERE, env = {}, earlierBuild } = options;
  let running: Child | undefined;
  let isEarlier = false;
  const args = [
    ...["up", "--auto-approve", "--bind-address", place.address, "--secure-port", `${port}`, "--data-dir", dataDir],
    ...KEPT,
    ...flags,
  ];
  async function kill(): Promise<void> {
    running?.kill("SIGKILL");
    await running?.finished();
    running = undefined;
  }
  return {
    dataDir,
    host: `${place.address}:${port}`,
    start() {
      const command = isEarlier ? [earlierBuild!, args] as const : tlsbootCommand(args);
      running = start(...place.wrap(...command), { env });
    },
    async up() {
      await running?.waitFor(/tlsboot is up at/, undefined, "stdout");
    },
    kill,
    signal: (signal) => running?.kill(signal),
    change: () => void (isEarlier = !isEarlier),
    stderr: () => (running?.stderr() ?? "").trimEnd().split("\n").slice(-SHOWN_LINES).join("\n"),
    [Symbol.asyncDispose]: kill,
  };
}

/** The files of a database on the disk; the index of the log (`-shm`) is made anew. */
const DATABASE = /^tlsboot\.db(?:-wal|-journal)?$/;

/**
 * Checks a copy of the database as the kill left it, its log with it, and returns what is wrong with it or with the register
 * in it. `newestShown` is the
 * newest revision that a client had seen before the kill, or 0: then there may be no database yet.
 */
export async function findDatabaseFault(
  dataDir: string,
  copyDir: string,
  newestShown: number,
): Promise<string | undefined> {
  await rm(copyDir, { recursive: true, force: true });
  await mkdir(copyDir, { mode: 0o700 });
  const names = existsSync(dataDir) ? await readdir(dataDir) : [];
  for (const name of names.filter((one) => DATABASE.test(one))) {
    await copyFile(join(dataDir, name), join(copyDir, name));
  }
  const database = new DatabaseSync(join(copyDir, "tlsboot.db"));
  try {
    const verdict = Object.values(database.prepare("PRAGMA integrity_check").get() ?? {})[0];
    if (verdict !== "ok") return `the database is damaged: ${verdict}`;
    if (newestShown === 0) return undefined;
    const newest = Number(database.prepare(NEWEST).get()?.["newest"]);
    if (newest < newestShown) return `the database ends at revision ${newest}, but ${newestShown} was shown`;
    return findStoredFaults(readStates(database))[0];
  } finally {
    database.close();
  }
}

function readStates(database: DatabaseSync): ReadonlyMap<string, KubeObject> {
  const states = new Map<string, KubeObject>();
  for (const { key, value } of database.prepare(STATES).iterate()) {
    // The columns' types are enforced by the STRICT table.
    states.set(String(key), JSON.parse(new TextDecoder().decode(value as Uint8Array)));
  }
  return states;
}
