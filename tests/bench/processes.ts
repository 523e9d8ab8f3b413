/** The usage of running processes as Linux reports it in /proc: CPU time by thread, and resident memory. */
import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";

export interface Usage {
  /** The CPU seconds on all cores, in user and kernel mode, since their start. */
  readonly cpuSeconds: number;
  /** Memory that is theirs now (VmRSS). */
  readonly residentBytes: number;
  /** The most that each of them ever had, summed (VmHWM). */
  readonly peakBytes: number;
}

/** Ticks of /proc/PID/stat in a second; the same on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;
/** Fields of /proc/PID/stat behind the command's name: utime and stime are the 14th and 15th of all. */
const USER_AND_SYSTEM = 11;
/** Likewise for all children that have ended. */
const OF_CHILDREN = 13;

/** More than the number of files that a program opens besides its connections. */
const OTHER_FILES = 500;

/**
 * Fails when a program cannot have that many connections. The hard limit counts: Node and Go raise their own soft
 * one to it when they start.
 */
export function checkOpenFiles(connections: number): void {
  const allowed = openFilesIn(readFileSync("/proc/self/limits", "utf8"));
  const wanted = connections + OTHER_FILES;
  if (allowed >= wanted) return;
  throw new Error(
    `${connections} connections take ${wanted} open files on either side, and this machine allows a program ${allowed}: ` +
      "raise the hard limit (ulimit -Hn), or measure less with --scale",
  );
}

/** Files that a program may have open, from the text of a /proc/PID/limits: the hard limit. */
export function openFilesIn(limits: string): number {
  const match = /^Max open files +\S+ +(\S+)/m.exec(limits);
  if (match === null) throw new Error("/proc/self/limits does not list open files");
  return match[1] === "unlimited" ? Infinity : Number(match[1]);
}

/** Usage of processes and of all that they started. Throws when one of them has ended. */
export function readUsage(pids: readonly number[]): Usage {
  return pids.flatMap(findFamily).map(usageOfOne).reduce(addUsage, { cpuSeconds: 0, residentBytes: 0, peakBytes: 0 });
}

/** CPU seconds in the text of a /proc/PID/stat; the command in it may hold spaces and parentheses. */
export function cpuSecondsIn(stat: string, field = USER_AND_SYSTEM): number {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[field]) + Number(fields[field + 1])) / TICKS_PER_SECOND;
}

/**
 * Who uses a machine: of a Node server the main thread, libuv's pool (files, and cryptography with a callback), V8's
 * threads (garbage and compiling) and its other threads, also those that have ended; children of this process that have
 * ended, such as clients; and all other processes. Together they are what all cores did.
 */
export const SHARES = ["main", "pool", "v8", "others", "clients", "rest"] as const;

/** The CPU seconds of each share. */
export type CpuShares = Readonly<Record<typeof SHARES[number], number>>;

/** Reads the CPU seconds of a server and of the machine since their start. */
export function readShares(pid: number): CpuShares {
  const threads = readdirSync(`/proc/${pid}/task`).map((id) => {
    const stat = readThread(`/proc/${pid}/task/${id}/stat`);
    return { id, name: /\((.*)\)/.exec(stat)?.[1], seconds: stat === "" ? 0 : cpuSecondsIn(stat) };
  });
  const sum = (isMeant: (thread: typeof threads[number]) => boolean): number =>
    threads.filter(isMeant).reduce((total, { seconds }) => total + seconds, 0);
  const main = sum(({ id }) => id === String(pid));
  const [pool, v8] = [sum(({ name }) => name === "libuv-worker"), sum(({ name }) => name === "V8Worker")];
  const server = cpuSecondsIn(readFileSync(`/proc/${pid}/stat`, "utf8"));
  const clients = cpuSecondsIn(readFileSync(`/proc/${process.pid}/stat`, "utf8"), OF_CHILDREN);
  const rest = busySecondsIn(readFileSync("/proc/stat", "utf8")) - server - clients;
  return { main, pool, v8, others: server - main - pool - v8, clients, rest };
}

/** The shares of the time between two readings. */
export function sharesSince(before: CpuShares, after: CpuShares): CpuShares {
  return Object.fromEntries(SHARES.map((share) => [share, after[share] - before[share]])) as CpuShares;
}

/** The seconds in which the cores of a machine were busy, from the text of /proc/stat. */
export function busySecondsIn(stat: string): number {
  const [user = 0, nice = 0, system = 0, , , interrupts = 0, softInterrupts = 0] = stat.slice(0, stat.indexOf("\n"))
    .split(/ +/).slice(1).map(Number);
  return (user + nice + system + interrupts + softInterrupts) / TICKS_PER_SECOND;
}

/** Reads the bytes in one line of a /proc/PID/status, such as `VmRSS`. */
export function bytesIn(status: string, name: string): number {
  const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status);
  return match === null ? 0 : Number(match[1]) * 1024;
}

function usageOfOne(pid: number): Usage {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return {
    cpuSeconds: cpuSecondsIn(readFileSync(`/proc/${pid}/stat`, "utf8")),
    residentBytes: bytesIn(status, "VmRSS"),
    peakBytes: bytesIn(status, "VmHWM"),
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

/** Reads a file of one thread; empty when the thread has ended since it was listed, or when the kernel has no such file. */
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
