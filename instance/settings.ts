/**
 * The settings of an instance and their defaults, under the names of Kubernetes' flags in camelCase; docs/reference/cli.md
 * describes each. Paths start in the current folder, and durations are in milliseconds.
 */
import { AppError } from "../core/errors.ts";
import { DAY_MS } from "../core/lib/duration.ts";
import { readBasicAuthorization } from "../core/lib/encodings.ts";
import { err, ok, type Result } from "../core/lib/result.ts";
import { DEFAULT_CLEANING_TIMES } from "../core/request/phase.ts";
import { DEFAULT_ISSUER } from "../core/service_accounts/issuer_documents.ts";
import type { FeatureGate } from "./feature_gates.ts";
import { formatCidr, isSharedAddress, parseCidr, parseIpAddress } from "../core/lib/ip_address.ts";

/** The settings of an instance with its controllers. */
export interface InstanceSettings {
  readonly dataDir: string;
  readonly clientCaFile?: string | undefined;
  readonly tokenAuthFile?: string | undefined;
  readonly enableBootstrapTokenAuth: boolean;
  readonly anonymousAuth: boolean;
  readonly nodeRecovery: number;
  readonly nodeRecoveryLimit: number;
  readonly authorizationMode: string;
  readonly maxOpenRequestsPerRequester: number;
  readonly crlUrl?: string | undefined;
  readonly issuedRetention: number;
  readonly etcdCompactionInterval: number;
  readonly featureGates: readonly FeatureGate[];
  readonly maxRequestsInflight: number;
  readonly maxMutatingRequestsInflight: number;
  readonly storageQuota: number;
  readonly storageMinFree: number;
  readonly bindAddress: string;
  readonly securePort: number;
  readonly advertiseAddress?: string | undefined;
  readonly tlsSan: readonly string[];
  readonly tlsCertFile?: string | undefined;
  readonly tlsPrivateKeyFile?: string | undefined;
  readonly serviceAccountIssuer: readonly string[];
  readonly serviceAccountSigningKeyFile?: string | undefined;
  readonly serviceAccountKeyFile: readonly string[];
  readonly apiAudiences: readonly string[];
  readonly serviceAccountJwksUri?: string | undefined;
  readonly serviceAccountMaxTokenExpiration: number;
  readonly serviceAccountExtendTokenExpiration: boolean;
  readonly etcdServers: readonly string[];
  readonly etcdCafile?: string | undefined;
  readonly etcdCertfile?: string | undefined;
  readonly etcdKeyfile?: string | undefined;
  readonly etcdPrefix: string;
  readonly auditLogPath?: string | undefined;
  readonly auditPolicyFile?: string | undefined;
  readonly auditLogMode: "blocking" | "blocking-strict";
  readonly auditLogMaxsize: number;
  readonly auditLogMaxage: number;
  readonly auditLogMaxbackup: number;
  readonly auditLogCompress: boolean;
  readonly policy: readonly string[];
  readonly inventory?: string | undefined;
  readonly signer: readonly string[];
  readonly profile: readonly string[];
  readonly clusterSigningCertFile?: string | undefined;
  readonly clusterSigningKeyFile?: string | undefined;
  readonly clusterSigningKubeletServingCertFile?: string | undefined;
  readonly clusterSigningKubeletServingKeyFile?: string | undefined;
  readonly clusterSigningKubeletClientCertFile?: string | undefined;
  readonly clusterSigningKubeletClientKeyFile?: string | undefined;
  readonly clusterSigningKubeApiserverClientCertFile?: string | undefined;
  readonly clusterSigningKubeApiserverClientKeyFile?: string | undefined;
  readonly clusterSigningLegacyUnknownCertFile?: string | undefined;
  readonly clusterSigningLegacyUnknownKeyFile?: string | undefined;
  /** Whether the files may contain issuers, so that issued certificates are followed by the intermediates. */
  readonly clusterSigningChain: boolean;
  readonly clusterSigningDuration: number;
  readonly webDomain: readonly string[];
  readonly webNetwork: readonly string[];
  readonly autoApprove: boolean;
  readonly sharedToken: boolean;
  readonly gcPending: number;
  readonly gcUnissued: number;
  readonly gcIssued: number;
  readonly gcDenied: number;
  readonly gcFailed: number;
  readonly gcInterval: number;
  readonly notify?: string | undefined;
  readonly notifyFile?: string | undefined;
  readonly notifyInsecure: boolean;
  readonly notifyKeyFile?: string | undefined;
  readonly notifyCaFile?: string | undefined;
}

type Keys<P extends string> = Pick<InstanceSettings, Extract<keyof InstanceSettings, P>>;

/** The address of an etcd, and the files of the credentials for it. */
export type EtcdSettings = Omit<Keys<`etcd${string}`>, "etcdCompactionInterval">;

/** The serving certificate, and the addresses of the server. */
export type ServingSettings = Keys<"bindAddress" | "advertiseAddress" | `tls${string}`>;

/** The keys and the tokens of service accounts. */
export type ServiceAccountSettings = Keys<`serviceAccount${string}` | "apiAudiences">;

/** The audit log and its rotation. */
export type AuditSettings = Keys<`audit${string}`>;

/** The policies of the approver: names of built-in ones or paths of files. */
export type PolicyFiles = Keys<"policy" | "inventory">;

/** The custom signers, and the files of their profiles. */
export type ProfileFiles = Keys<"signer" | "profile">;

/** The CA for all signers, or the CA of each signer. */
export type SigningCaFiles = Omit<Keys<`clusterSigning${string}`>, "clusterSigningDuration">;

/** The receiver of notifications: its URL or the file with it, the CAs that are trusted for it, and the key that signs. */
export type NotificationSettings = Keys<`notify${string}`>;

/** The settings of an API server over a data directory, without those of controllers. */
export type ServerSettings = Omit<
  InstanceSettings,
  | keyof PolicyFiles
  | keyof ProfileFiles
  | keyof NotificationSettings
  | keyof Keys<`clusterSigning${string}` | `gc${string}` | `web${string}`>
  | "autoApprove"
  | "sharedToken"
>;

const YEAR_MS = 365 * DAY_MS;

/** The default of each setting; those of Kubernetes' flags are Kubernetes'. */
export const DEFAULT_SETTINGS: InstanceSettings = {
  dataDir: "./tlsboot-data",
  bindAddress: "127.0.0.1",
  securePort: 6443,
  tlsSan: [],
  enableBootstrapTokenAuth: true,
  serviceAccountIssuer: [DEFAULT_ISSUER],
  serviceAccountKeyFile: [],
  apiAudiences: [],
  serviceAccountMaxTokenExpiration: 0,
  serviceAccountExtendTokenExpiration: true,
  anonymousAuth: true,
  nodeRecovery: 0,
  nodeRecoveryLimit: 10,
  authorizationMode: "Node,RBAC",
  maxOpenRequestsPerRequester: 0,
  issuedRetention: YEAR_MS,
  auditLogMode: "blocking",
  auditLogMaxsize: 100,
  auditLogMaxage: 366,
  auditLogMaxbackup: 100,
  auditLogCompress: false,
  etcdServers: [],
  etcdPrefix: "/registry",
  etcdCompactionInterval: 300_000,
  featureGates: [],
  maxRequestsInflight: 400,
  maxMutatingRequestsInflight: 200,
  storageQuota: 2048,
  storageMinFree: 64,
  policy: [],
  signer: [],
  profile: [],
  webDomain: [],
  webNetwork: [],
  clusterSigningChain: false,
  clusterSigningDuration: YEAR_MS,
  autoApprove: false,
  sharedToken: true,
  gcPending: DEFAULT_CLEANING_TIMES.pendingMs,
  gcUnissued: DEFAULT_CLEANING_TIMES.unissuedMs,
  gcIssued: DEFAULT_CLEANING_TIMES.issuedMs,
  gcDenied: DEFAULT_CLEANING_TIMES.deniedMs,
  gcFailed: DEFAULT_CLEANING_TIMES.failedMs,
  gcInterval: 3_600_000,
  notifyInsecure: false,
};

/** Parses each value of a setting. AppError `usage` for one that cannot be used. */
export function parseSetting<T>(
  name: string,
  texts: readonly string[],
  parse: (text: string) => Result<T, string>,
): readonly T[] {
  return texts.map((text) => {
    const parsed = parse(text);
    if (parsed.ok) return parsed.value;
    throw new AppError("usage", `the setting ${name}: "${text}" found, ${parsed.error}`);
  });
}

/** Parses the URL of a server of the setting `etcdServers`. */
export function parseEtcdServer(text: string): Result<string, string> {
  const url = URL.parse(text);
  const isServer = url !== null && /^https?:$/.test(url.protocol) && url.pathname === "/" && url.search === "";
  if (!isServer || url.username !== "" || url.port === "") {
    return err("want a URL with a port, such as https://etcd-0.example.com:2379");
  }
  return ok(url.origin);
}

/** Parses the URL of the setting `notify`. The error does not quote it, because it may contain a password. */
export function parseReceiver(text: string): Result<URL, string> {
  const url = URL.parse(text.trim());
  if (url === null || !/^https?:$/.test(url.protocol)) return err("want a URL such as https://ntfy.example.com/topic");
  // If the password has an unescaped "/", part of it would be taken for the host and be shown.
  if (/@/.test(url.pathname)) return err('it has "@" after the host: write special characters of a password as %40');
  const authorization = readBasicAuthorization(url);
  return authorization.ok ? ok(url) : authorization;
}

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** The longest common name (X.520 ub-common-name); serving certificates have one for people to read. */
const MAX_NAME = 64;

/** Converts a host name into lower case and A-labels, as a browser does; empty for anything else. */
function toAscii(text: string): string {
  return /[\s/@:?#%\\[\]]/.test(text) ? "" : URL.parse(`https://${text}`)?.hostname ?? "";
}

/** Parses the name of a web server. International names become A-labels (RFC 5890), in lower case. */
export function parseWebName(text: string): Result<string, string> {
  if (text.includes("*")) return err("name one host: wildcards are not supported");
  if (parseIpAddress(text) !== undefined) return err("want a DNS name; add an address with the setting ip");
  const name = toAscii(text);
  if (name === "" || parseIpAddress(name) !== undefined || !name.split(".").every((label) => LABEL.test(label))) {
    return err("want a DNS name, such as nas.home.lan");
  }
  return name.length > MAX_NAME ? err(`want a name of at most ${MAX_NAME} characters`) : ok(name);
}

/** Parses a domain of the setting `webDomain`. The errors say what to write instead. */
export function parseWebDomain(text: string): Result<string, string> {
  if (text.includes("*")) return err("name the domain itself, without a star: all names below it are included");
  if (text.startsWith(".")) return err("write it without the dot in front: all names below it are included");
  if (text.endsWith(".")) return err("write it without the dot at the end");
  if (parseIpAddress(text) !== undefined || text.includes("/")) {
    return err("want a domain; networks belong to the setting webNetwork");
  }
  const domain = toAscii(text);
  if (domain === "" || parseIpAddress(domain) !== undefined || !domain.split(".").every((label) => LABEL.test(label))) {
    return err("want a domain, such as home.lan");
  }
  if (domain === "localhost" || domain.endsWith(".localhost")) {
    return err("every machine is localhost; choose another domain");
  }
  return domain.length > MAX_NAME ? err(`want a domain of at most ${MAX_NAME} characters`) : ok(domain);
}

/** Parses a network of the setting `webNetwork`. */
export function parseWebNetwork(text: string): Result<string, string> {
  const range = parseCidr(text);
  if (range === undefined) {
    return err("want a network such as 192.168.1.0/24 or fd00::/64, without bits after its prefix");
  }
  if (isSharedAddress(range.bytes)) {
    return err("its addresses are the same on every machine; choose the network of the web servers");
  }
  return ok(formatCidr(range));
}
