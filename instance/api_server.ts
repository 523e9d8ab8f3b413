/** The API server of an instance, with the limits of this machine and the version that it reports. */
import { readFileSync } from "node:fs";
import process from "node:process";
import type { TokenFile } from "../core/token/token_file.ts";
import type { BootstrapObject } from "../server/bootstrap_objects.ts";
import type { SigningRequestLimits } from "../server/admission/signing_requests.ts";
import type { AuditOptions } from "../server/http/audit.ts";
import type { PublishedCrls } from "../server/http/crl.ts";
import type { HealthCheck } from "../server/http/health.ts";
import type { ServingPair } from "../server/connections/tls.ts";
import type { NodeRecoveryLimits } from "../server/node_recovery.ts";
import type { MetricsRegistry } from "../server/metrics/registry.ts";
import type { Register } from "../server/register/register.ts";
import { type Server, type ServiceAccountOptions, startServer } from "../server/server.ts";
import type { Storage } from "../server/storage/storage.ts";
import {
  BUILD,
  type BuildCommit,
  getRuntime,
  GIT_VERSION,
  type RuntimeVersions,
  UNKNOWN_BUILD,
} from "../core/version.ts";
import type { ControllerDeps } from "./deps.ts";

/** The address, the certificates and the authentication of the server. */
export interface ApiServerOptions {
  readonly bindAddress: string;
  readonly port: number;
  readonly passedSocket: number | undefined;
  readonly serving: ServingPair;
  readonly clientCaPem: string;
  readonly clientIssuersPem: string;
  readonly tokenFile: TokenFile | undefined;
  readonly bootstrapTokens: boolean;
  readonly anonymous: boolean;
  readonly serviceAccounts: ServiceAccountOptions;
  readonly audit: AuditOptions | undefined;
  /** The number of requests that are served at once. */
  readonly maxRequestsInflight: number;
  readonly objects: readonly BootstrapObject[];
  readonly registry: MetricsRegistry;
  readonly customSigners: readonly string[];
  readonly register: Register;
  readonly checks: readonly HealthCheck[];
  readonly crls?: PublishedCrls;
  readonly signingRequests?: SigningRequestLimits;
  /** Whether ML-DSA keys are accepted. */
  readonly allowMlDsa?: boolean;
  /** Lets nodes with an expired certificate request the next one with it; undefined for never. */
  readonly nodeRecovery?: NodeRecoveryLimits | undefined;
}

/** Starts the API server over a storage. AppError `port_in_use`, `io`. */
export function startApiServer(
  settings: ApiServerOptions,
  deps: ControllerDeps & { readonly storage: Storage },
): Promise<Server> {
  const openFiles = getOpenFilesLimit();
  return startServer({
    ...settings,
    ...deps,
    version: createVersionInfo(BUILD, process),
    ...(openFiles === undefined ? {} : { connectionLimits: { maxConnections: computeConnectionLimit(openFiles) } }),
  });
}

/** Computes the limit of connections. The database, logs and files that are read again must always be openable. */
function computeConnectionLimit(openFiles: number): number {
  return Math.max(MIN_CONNECTIONS, openFiles - RESERVED_FILES);
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
