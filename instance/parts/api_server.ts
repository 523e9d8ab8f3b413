/**
 * Starts the API server of an instance, with the limits of this machine and the version that it reports. Also creates
 * the metrics: one registry for the server, its storage, its controllers and its certificates.
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import { basename } from "node:path";
import { DAY_MS } from "../../core/lib/duration.ts";
import {
  BUILD,
  type BuildCommit,
  getRuntime,
  GIT_VERSION,
  type RuntimeVersions,
  UNKNOWN_BUILD,
} from "../../core/version.ts";
import { type Server, type ServerOptions, startServer } from "../../server/server.ts";
import type { Clock, Logger } from "../../core/ports.ts";
import { CA_ENDING_MS } from "../../core/report/notification.ts";
import { type ControllerMetrics, createControllerMetrics } from "../../server/metrics/controllers.ts";
import {
  createExpiryMetrics,
  createMetricsRegistry,
  type ExpiryMetrics,
  type MetricsRegistry,
} from "../../server/metrics/registry.ts";
import type { InstanceAuthorities } from "../authority/instance_authorities.ts";
import type { Part } from "./parts.ts";
import { parseLeaf } from "./register.ts";
import { chainNotAfter } from "../../core/pki/x509/ca_bundle.ts";

/** Starts the API server over a storage. AppError `port_in_use`, `io`. */
export function startApiServer(options: Omit<ServerOptions, "version" | "connectionLimits">): Promise<Server> {
  const openFiles = getOpenFilesLimit();
  // Reserve descriptors for the database, the logs, and files that are read again.
  const maxConnections = openFiles === undefined ? undefined : Math.max(MIN_CONNECTIONS, openFiles - RESERVED_FILES);
  return startServer({
    ...options,
    version: createVersionInfo(BUILD, process),
    connectionLimits: maxConnections === undefined ? {} : { maxConnections },
  });
}

const RESERVED_FILES = 96;
const MIN_CONNECTIONS = 16;

/** Returns how many files and connections the process may open; undefined if the system does not report it. */
function getOpenFilesLimit(): number | undefined {
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}

/** The system that a program runs on, with Node's names. */
interface HostSystem {
  readonly platform: string;
  readonly arch: string;
  readonly versions: RuntimeVersions;
}

/**
 * Describes the API server, as `/version` answers: the Kubernetes release of the API, with the tlsboot release as build
 * metadata. The fields for Go's version and compiler describe the JavaScript runtime.
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

interface InstanceMetrics {
  readonly registry: MetricsRegistry;
  readonly controllers: ControllerMetrics;
  readonly expiry: ExpiryMetrics;
}

/** Creates the metrics; the storage adds its own. */
export function createInstanceMetrics(clock: Pick<Clock, "elapsedMs">): InstanceMetrics {
  const registry = createMetricsRegistry();
  return {
    registry,
    controllers: createControllerMetrics(registry, clock),
    expiry: createExpiryMetrics(registry),
  };
}

/**
 * Records when the CAs of an instance expire, and follows their replacement. Also logs once a day if one expires soon.
 */
export function watchCaExpiry(
  expiry: ExpiryMetrics,
  authorities: Pick<InstanceAuthorities, "serving" | "clientCas">,
  { clock, logger }: { readonly clock: Pick<Clock, "now">; readonly logger: Logger },
): Part {
  let warnedAt = -Infinity;
  let recorded = new Set<string>();

  /** Records the expiry times and returns the earliest one. */
  function record(): Date {
    const ends = new Map([["serving CA", chainNotAfter(authorities.serving)]]);
    for (const { chain, certificateFile } of authorities.clientCas) {
      ends.set(basename(certificateFile), chainNotAfter(chain));
    }
    for (const name of recorded) if (!ends.has(name)) expiry.remove(name);
    for (const [name, notAfter] of ends) expiry.set(name, notAfter);
    recorded = new Set(ends.keys());
    return new Date(Math.min(...[...ends.values()].map((end) => end.getTime())));
  }

  record();
  return {
    renew() {
      const notAfter = record();
      const now = clock.now().getTime();
      if (notAfter.getTime() - now < CA_ENDING_MS && now - warnedAt >= DAY_MS) {
        warnedAt = now;
        logger.warn("the CA expires soon, and its certificates expire with it", { notAfter });
      }
      return Promise.resolve();
    },
  };
}

/** Records when the serving certificate expires. */
export function recordServingExpiry(
  expiry: ExpiryMetrics,
  { certificatePem }: { readonly certificatePem: string },
): void {
  expiry.set("serving", parseLeaf(certificatePem).notAfter);
}
