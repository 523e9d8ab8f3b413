/** The server under torture: the real program on one folder and one port, which is started and killed repeatedly. */
import { copyFile, mkdir, readdir, rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { KubeObject } from "../../core/kube/meta.ts";
import { type Child, start, tlsbootCommand } from "../support/child.ts";
import { HERE, type Place } from "../support/interop/network_namespace.ts";
import { copyCa } from "../support/interop/servers.ts";
import { findStoredFaults } from "./register_audit.ts";

/** The number of a server's last lines that are reported. */
const SHOWN_LINES = 20;

/** The newest revision, even if it is no longer in the history. */
const NEWEST = "SELECT max(revision) AS newest FROM (SELECT revision FROM changes UNION SELECT value FROM numbers)";

/** The newest state of each key. */
const STATES = "SELECT key, value, max(revision) FROM changes GROUP BY key HAVING value IS NOT NULL";

interface TorturedServerOptions {
  readonly dataDir: string;
  readonly port: number;
  /** Flags in addition to those of every server. */
  readonly flags?: readonly string[];
  /** The network in which it runs and listens; loopback by default. */
  readonly place?: Place;
  /** Environment variables, for example for its clock. */
  readonly env?: Readonly<Record<string, string>>;
  /** The path of an earlier build, to which `change` switches. */
  readonly earlierBuild?: string | undefined;
}

export interface TorturedServer extends AsyncDisposable {
  readonly dataDir: string;
  /** Its address and port, separated by a colon. */
  readonly host: string;
  /** Starts the process; `up` waits until it serves. */
  start(): void;
  /** Resolves once it serves. Rejects with its output if it ends instead. */
  up(): Promise<void>;
  /** Kills the process with SIGKILL, and waits until it has ended. */
  kill(): Promise<void>;
  /** Stops the process, or lets it continue. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void;
  /** Switches between the earlier build and this one, from the next start on. */
  change(): void;
  /** Returns the last lines that the server wrote to stderr. */
  stderr(): string;
}

/** Starts the servers of an instance on etcd for the first time, with the CA and the keys of the first server. */
export async function startTogether([first, ...others]: readonly [TorturedServer, ...TorturedServer[]]): Promise<void> {
  first.start();
  await first.up();
  for (const { dataDir } of others) await copyCa(first.dataDir, dataDir);
  for (const server of others) server.start();
  await Promise.all(others.map((server) => server.up()));
}

/** Flags that keep requests for the whole storm, however its clocks are set. */
const KEPT = ["--gc-issued", "48h", "--gc-denied", "48h", "--gc-failed", "48h"];

/** Creates a server, which is not started yet. */
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

/** The files of a database; SQLite recreates the index of its log (`-shm`). */
const DATABASE = /^tlsboot\.db(?:-wal|-journal)?$/;

/**
 * Checks a copy of the database as the kill left it, and returns the first fault of the database or of its register.
 * `newestShown` is the newest revision that a client had seen; if it is 0, the database may be empty.
 */
export async function findDatabaseFault(
  dataDir: string,
  copyDir: string,
  newestShown: number,
): Promise<string | undefined> {
  await rm(copyDir, { recursive: true, force: true });
  await mkdir(copyDir, { mode: 0o700 });
  const names = existsSync(dataDir) ? await readdir(dataDir) : [];
  for (const name of names.filter((name) => DATABASE.test(name))) {
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
    // The table is STRICT, so the value is a BLOB.
    states.set(String(key), JSON.parse(new TextDecoder().decode(value as Uint8Array)));
  }
  return states;
}
