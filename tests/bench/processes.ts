/** The usage of running processes as Linux reports it in /proc: CPU time and resident memory, children included. */
import { readdirSync, readFileSync } from "node:fs";

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
const USER_TICKS = 11;
const SYSTEM_TICKS = 12;

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
export function cpuSecondsIn(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[USER_TICKS]) + Number(fields[SYSTEM_TICKS])) / TICKS_PER_SECOND;
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

/**
 * Reads the children of one thread; empty when the thread has ended since it was listed, or when the kernel does not
 * report them.
 */
function findChildren(path: string): readonly number[] {
  try {
    return readFileSync(path, "utf8").split(" ").filter((text) => text !== "").map(Number);
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return [];
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
