/** The usage of running processes as Linux reports it in /proc: CPU time by thread, and resident memory. */
import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";

export interface Usage {
  /** The CPU seconds on all cores, in user and kernel mode, since the processes started. */
  readonly cpuSeconds: number;
  /** The current resident memory, in bytes (VmRSS). */
  readonly residentBytes: number;
  /** The sum of the peak memory of each process (VmHWM). */
  readonly peakBytes: number;
}

/** Ticks of /proc/PID/stat in a second; the same on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;
/**
 * The index of utime among the fields of /proc/PID/stat after the command's name; utime and stime are the 14th and 15th
 * of all.
 */
const USER_AND_SYSTEM = 11;
/** The same index for the children that have ended. */
const OF_CHILDREN = 13;

/** More files than a program opens in addition to its connections. */
const OTHER_FILES = 500;

/**
 * Throws an Error if a program cannot have that many connections. The hard limit counts, because Node and Go raise
 * their soft limit to it when they start.
 */
export function checkOpenFiles(connections: number): void {
  const allowed = parseOpenFiles(readFileSync("/proc/self/limits", "utf8"));
  const wanted = connections + OTHER_FILES;
  if (allowed >= wanted) return;
  throw new Error(
    `${connections} connections take ${wanted} open files on either side, and this machine allows a program ${allowed}: ` +
      "raise the hard limit (ulimit -Hn), or measure less with --scale",
  );
}

/** Reads the hard limit of open files from the text of /proc/PID/limits. */
export function parseOpenFiles(limits: string): number {
  const match = /^Max open files +\S+ +(\S+)/m.exec(limits);
  if (match === null) throw new Error("/proc/self/limits does not list open files");
  return match[1] === "unlimited" ? Infinity : Number(match[1]);
}

/** Reads the usage of processes and their descendants. Throws an Error if a process has ended. */
export function readUsage(pids: readonly number[]): Usage {
  return pids.flatMap(findFamily).map(readProcess).reduce(addUsage, { cpuSeconds: 0, residentBytes: 0, peakBytes: 0 });
}

/** Reads the CPU seconds from the text of /proc/PID/stat, in which the command may contain spaces and parentheses. */
export function parseCpuSeconds(stat: string, field = USER_AND_SYSTEM): number {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[field]) + Number(fields[field + 1])) / TICKS_PER_SECOND;
}

/**
 * The shares of a machine's CPU time: the main thread of a Node server, libuv's pool (files, and cryptography with a
 * callback), V8's threads (garbage collection and compilation) and other threads, including ended ones; ended children
 * of this process, such as clients; and all other processes. Together they are the time of all cores.
 */
export const SHARES = ["main", "pool", "v8", "others", "clients", "rest"] as const;

/** The CPU seconds of each share. */
export type CpuShares = Readonly<Record<typeof SHARES[number], number>>;

/** Reads the CPU seconds of a server and of the machine since their start. */
export function readShares(pid: number): CpuShares {
  const threads = readdirSync(`/proc/${pid}/task`).map((id) => {
    const stat = readThread(`/proc/${pid}/task/${id}/stat`);
    return { id, name: /\((.*)\)/.exec(stat)?.[1], seconds: stat === "" ? 0 : parseCpuSeconds(stat) };
  });
  const sum = (isIncluded: (thread: typeof threads[number]) => boolean): number =>
    threads.filter(isIncluded).reduce((total, { seconds }) => total + seconds, 0);
  const main = sum(({ id }) => id === String(pid));
  const [pool, v8] = [sum(({ name }) => name === "libuv-worker"), sum(({ name }) => name === "V8Worker")];
  const server = parseCpuSeconds(readFileSync(`/proc/${pid}/stat`, "utf8"));
  const clients = parseCpuSeconds(readFileSync(`/proc/${process.pid}/stat`, "utf8"), OF_CHILDREN);
  const rest = parseBusySeconds(readFileSync("/proc/stat", "utf8")) - server - clients;
  return { main, pool, v8, others: server - main - pool - v8, clients, rest };
}

/** Returns the shares of the time between two readings. */
export function sharesSince(before: CpuShares, after: CpuShares): CpuShares {
  return Object.fromEntries(SHARES.map((share) => [share, after[share] - before[share]])) as CpuShares;
}

/** Reads the seconds in which the cores of a machine were busy, from the text of /proc/stat. */
export function parseBusySeconds(stat: string): number {
  const [user = 0, nice = 0, system = 0, , , interrupts = 0, softInterrupts = 0] = stat.slice(0, stat.indexOf("\n"))
    .split(/ +/).slice(1).map(Number);
  return (user + nice + system + interrupts + softInterrupts) / TICKS_PER_SECOND;
}

/** Reads the bytes in one line of /proc/PID/status, such as `VmRSS`. */
export function parseBytes(status: string, name: string): number {
  const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status);
  return match === null ? 0 : Number(match[1]) * 1024;
}

function readProcess(pid: number): Usage {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return {
    cpuSeconds: parseCpuSeconds(readFileSync(`/proc/${pid}/stat`, "utf8")),
    residentBytes: parseBytes(status, "VmRSS"),
    peakBytes: parseBytes(status, "VmHWM"),
  };
}

function findFamily(pid: number): readonly number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    findChildren(`/proc/${pid}/task/${task}/children`)
  );
  return [pid, ...children.flatMap(findFamily)];
}

function findChildren(path: string): readonly number[] {
  return readThread(path).split(" ").filter((text) => text !== "").map(Number);
}

/** Reads a file of one thread; returns an empty text if the thread has ended, or if the kernel has no such file. */
function readThread(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return "";
    throw error;
  }
}

function addUsage(one: Usage, other: Usage): Usage {
  return {
    cpuSeconds: one.cpuSeconds + other.cpuSeconds,
    residentBytes: one.residentBytes + other.residentBytes,
    peakBytes: one.peakBytes + other.peakBytes,
  };
}
