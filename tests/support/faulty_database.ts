/** A real SQLite database whose n-th call fails, as it does on a disk that is full, broken or read-only. */
import { DatabaseSync, type StatementSync } from "node:sqlite";

/** The errors of SQLite about a disk (sqlite.org/rescode.html), as `node:sqlite` throws them. */
export const DISK_FAULTS: readonly { readonly errcode: number; readonly text: string }[] = [
  { errcode: 13, text: "database or disk is full" },
  { errcode: 8, text: "attempt to write a readonly database" },
  // A write and a sync.
  { errcode: 778, text: "disk I/O error" },
  { errcode: 1034, text: "disk I/O error" },
];

export type DiskFault = typeof DISK_FAULTS[number];

/** Databases that share a count of calls. */
export interface FaultyDatabases {
  readonly open: (path: string) => DatabaseSync;
  /** Passes a number of calls, then fails a number of them with `fault`. Counts from now. */
  arm(fault: DiskFault, skipped: number, failing?: number): void;
  disarm(): void;
  /** Reports whether a call has failed since it was armed. */
  hasFailed(): boolean;
}

/** `close` is none of them, because SQLite reports no disk errors there. */
const CALLS = ["exec", "prepare", "run", "get", "all", "iterate"];

/** Opens real databases; nothing fails until it is armed. */
export function createFaultyDatabases(): FaultyDatabases {
  let armed: { readonly fault: DiskFault; skipped: number; failing: number } | undefined;
  let failed = false;

  function count(): void {
    if (armed === undefined || armed.skipped-- > 0 || armed.failing-- <= 0) return;
    failed = true;
    const { text, errcode } = armed.fault;
    throw Object.assign(new Error(text), { code: "ERR_SQLITE_ERROR", errcode });
  }

  function wrap<T extends DatabaseSync | StatementSync>(target: T): T {
    return new Proxy(target, {
      get(_, name) {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== "function") return value;
        return (...args: readonly unknown[]) => {
          if (CALLS.includes(String(name))) count();
          const result: unknown = Reflect.apply(value, target, args);
          // The one call whose result has calls itself.
          return name === "prepare" ? wrap(result as StatementSync) : result;
        };
      },
    });
  }

  return {
    open(path) {
      count();
      return wrap(new DatabaseSync(path));
    },
    arm(fault, skipped, failing = 1) {
      armed = { fault, skipped, failing };
      failed = false;
    },
    disarm: () => void (armed = undefined),
    hasFailed: () => failed,
  };
}
