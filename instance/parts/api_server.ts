/** The API server of an instance, with the limits of this machine and the version that it reports. */
import { readFileSync } from "node:fs";
import process from "node:process";
import {
  BUILD,
  type BuildCommit,
  getRuntime,
  GIT_VERSION,
  type RuntimeVersions,
  UNKNOWN_BUILD,
} from "../../core/version.ts";
import { type Server, type ServerOptions, startServer } from "../../server/server.ts";

/** Starts the API server over a storage. AppError `port_in_use`, `io`. */
export function startApiServer(options: Omit<ServerOptions, "version" | "connectionLimits">): Promise<Server> {
  const openFiles = getOpenFilesLimit();
  // The database, logs and files that are read again must always be openable.
  const maxConnections = openFiles === undefined ? undefined : Math.max(MIN_CONNECTIONS, openFiles - RESERVED_FILES);
  return startServer({
    ...options,
    version: createVersionInfo(BUILD, process),
    connectionLimits: maxConnections === undefined ? {} : { maxConnections },
  });
}

const RESERVED_FILES = 96;
const MIN_CONNECTIONS = 16;

/** The number of files and connections that the process may have open; undefined where the system does not report it. */
function getOpenFilesLimit(): number | undefined {
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}

/** The system that a program runs on, in Node's words. */
export interface HostSystem {
  readonly platform: string;
  readonly arch: string;
  readonly versions: RuntimeVersions;
}

/**
 * Describes the API server, as `/version` answers: the Kubernetes release of the API, with the tlsboot release as build
 * metadata. What Go calls its version and compiler are those of the JavaScript runtime here.
 */
export function createVersionInfo(
  { commit, date }: BuildCommit,
  { platform, arch, versions }: HostSystem,
): Readonly<Record<string, string>> {
  const runtime = getRuntime(versions);
  const isKnown = commit !== UNKNOWN_BUILD.commit;
  return {
    major: "1",
    minor: "37",
    emulationMajor: "1",
    emulationMinor: "37",
    minCompatibilityMajor: "1",
    minCompatibilityMinor: "36",
    gitVersion: GIT_VERSION,
    gitCommit: isKnown ? commit.replace(/-modified$/, "") : "",
    gitTreeState: !isKnown ? "" : commit.endsWith("-modified") ? "dirty" : "clean",
    buildDate: date === UNKNOWN_BUILD.date ? "1970-01-01T00:00:00Z" : date,
    goVersion: `${runtime.name.toLowerCase()}${runtime.version}`,
    compiler: "v8",
    platform: `${GO_NAMES.get(platform) ?? platform}/${GO_NAMES.get(arch) ?? arch}`,
  };
}

/** The names of systems and processors that Go calls differently. */
const GO_NAMES: ReadonlyMap<string, string> = new Map([["win32", "windows"], ["x64", "amd64"]]);
