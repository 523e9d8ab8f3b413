/** The API server of an instance, with the limits of this machine and the version that it reports. */
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
import { BUILD } from "../cli/build.ts";
import { getOpenFilesLimit } from "../cli/system.ts";
import { createVersionInfo } from "../cli/version.ts";
import type { ControllerDeps } from "./deps.ts";

/** The address, the certificates and the authentication of the server. */
export interface ServerSettings {
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
  settings: ServerSettings,
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
