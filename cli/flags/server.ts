/** Flags for `serve` and `up`, with kube-apiserver's names where it has them, including those for etcd. */
import { formatSettingDuration } from "../../core/lib/duration.ts";
import { err, ok, type Result } from "../../core/lib/result.ts";
import { DEFAULT_SETTINGS, parseEtcdServer } from "../../instance/settings.ts";
import {
  choiceFlag,
  durationFlag,
  fileFlag,
  hostFlag,
  hostListFlag,
  inGroup,
  integerFlag,
  listFlag,
  parsedFlag,
  parsedListFlag,
  parseSwitch,
  switchFlag,
  textFlag,
} from "../framework/flags.ts";
import { needs, together } from "../framework/rules.ts";
import { CA_KEY_FLAGS, CRL_URL_FLAG, DATA_DIR_FLAG, LOG_FLAGS } from "./common.ts";
import type { FeatureGate } from "../../instance/feature_gates.ts";

export const ETCD_FLAGS = inGroup("etcd", {
  etcdServers: parsedListFlag({
    placeholder: "URLS",
    summary: "URLs of the members of an etcd (3.5.13 or later) that stores the objects instead of a database in " +
      "--data-dir, all http or all https. Any number of servers may share it.",
    parse: parseEtcdServer,
  }),
  etcdCafile: fileFlag({ summary: "PEM bundle of the CAs that verify etcd's certificates." }),
  etcdCertfile: fileFlag({ summary: "Client certificate for etcd, PEM; with --etcd-keyfile." }),
  etcdKeyfile: fileFlag({ summary: "Key of --etcd-certfile, PEM, readable by its owner only." }),
  etcdPrefix: textFlag({
    default: DEFAULT_SETTINGS.etcdPrefix,
    placeholder: "PREFIX",
    summary: "Prefix of all keys in etcd.",
  }),
});

export const ETCD_RULES = [
  together("etcdCertfile", "etcdKeyfile"),
  needs(["etcdCafile", "etcdCertfile", "etcdKeyfile", "etcdPrefix"], "etcdServers"),
] as const;

/** The flag `--feature-gates`. If a feature is given several times, the last value counts. */
export const FEATURE_GATES_FLAG = parsedListFlag({
  group: "Feature",
  placeholder: "NAME=BOOL",
  completion: { kind: "suggestions", suggestions: ["MLDSA=true"] },
  summary: "Features that are off by default: MLDSA=true accepts requests for keys of ML-DSA, which is post-quantum. " +
    "kube-apiserver 1.37 refuses them; see docs/guides/post_quantum.md.",
  parse: parseFeatureGate,
  format: ({ name, isOn }) => `${name}=${isOn}`,
});

function parseFeatureGate(text: string): Result<FeatureGate, string> {
  const [name, value = ""] = text.split("=", 2);
  const isOn = parseSwitch(value);
  return name === "MLDSA" && isOn.ok ? ok({ name, isOn: isOn.value }) : err("want MLDSA=true or MLDSA=false");
}

/** The flags for authentication and authorization. */
const ACCESS_FLAGS = {
  clientCaFile: fileFlag({
    summary: "PEM bundle of CAs whose client certificates are accepted, in addition to the CA in --data-dir.",
  }),
  tokenAuthFile: fileFlag({ summary: 'Static tokens: lines of token,user,uid,"group1,group2". Read once.' }),
  enableBootstrapTokenAuth: switchFlag({
    default: DEFAULT_SETTINGS.enableBootstrapTokenAuth,
    summary: "Let bootstrap tokens (Secrets of type bootstrap.kubernetes.io/token in kube-system) authenticate.",
  }),
  serviceAccountIssuer: {
    ...listFlag({
      default: DEFAULT_SETTINGS.serviceAccountIssuer,
      summary:
        "Issuer of service account tokens, preferably an https URL. If repeated, the first one issues tokens, and " +
        "tokens of the others are accepted too.",
    }),
    placeholder: "URLS",
  },
  serviceAccountSigningKeyFile: fileFlag({
    summary:
      "Private key that signs service account tokens, PEM, RSA or ECDSA. Without it, pki/sa.key in --data-dir, which " +
      "is created if it is missing.",
  }),
  serviceAccountKeyFile: listFlag({
    placeholder: "FILES",
    summary: "PEM files with further public or private keys whose service account tokens are accepted. Without " +
      "--service-account-signing-key-file, pki/sa.pub in --data-dir is one of them.",
    completion: { kind: "file" },
  }),
  apiAudiences: listFlag({
    summary: "Audiences of service account tokens that this server accepts. Without it, the issuers.",
  }),
  serviceAccountJwksUri: parsedFlag({
    placeholder: "URL",
    summary:
      "URL of the keys of service account tokens in /.well-known/openid-configuration. Without it, /openid/v1/jwks " +
      "of this server. Give it when both documents are published elsewhere, for programs that do not reach this " +
      "server.",
    parse: (text) => URL.canParse(text) && new URL(text).protocol === "https:" ? ok(text) : err("want an https URL"),
  }),
  serviceAccountMaxTokenExpiration: durationFlag({
    default: DEFAULT_SETTINGS.serviceAccountMaxTokenExpiration,
    summary: "Longest lifetime of a service account token, 1h or more. Longer ones are shortened. 0 for no limit.",
  }),
  serviceAccountExtendTokenExpiration: switchFlag({
    default: DEFAULT_SETTINGS.serviceAccountExtendTokenExpiration,
    summary:
      "Extend the tokens that kubelets request for pods by default to a year, and mark their use after an hour in the " +
      "audit log. This affects pods of a kube-apiserver on the same etcd.",
  }),
  anonymousAuth: switchFlag({
    default: DEFAULT_SETTINGS.anonymousAuth,
    summary: "Accept requests without credentials as system:anonymous, which may read health and version.",
  }),
  nodeRecovery: durationFlag({
    default: DEFAULT_SETTINGS.nodeRecovery,
    summary: "How long a node may use an expired certificate to request the next one, such as 90d, so that a machine " +
      "that was switched off recovers by itself. 0 disables it.",
  }),
  nodeRecoveryLimit: integerFlag({
    default: DEFAULT_SETTINGS.nodeRecoveryLimit,
    min: 1,
    max: 100_000,
    summary: "Number of nodes that this server lets recover in an hour; with --node-recovery.",
  }),
  authorizationMode: textFlag({
    default: DEFAULT_SETTINGS.authorizationMode,
    placeholder: "LIST",
    summary: "Authorization modes. Only Node,RBAC is supported; there is no AlwaysAllow.",
  }),
  maxOpenRequestsPerRequester: integerFlag({
    default: DEFAULT_SETTINGS.maxOpenRequestsPerRequester,
    max: 100_000,
    summary:
      "Number of undecided certificate signing requests that one requester may have. Further ones are answered " +
      "with 429 and Retry-After. All machines with the same token are one requester. 0 for no limit.",
  }),
} as const;

/** The flags for the serving certificate, and for the register of issued certificates. */
const SERVER_CERTIFICATE_FLAGS = {
  tlsSan: hostListFlag({ summary: "Further names and addresses of the serving certificate." }),
  tlsCertFile: fileFlag({ summary: "Your own serving certificate, PEM, leaf first; with --tls-private-key-file." }),
  tlsPrivateKeyFile: fileFlag({ summary: "Key of --tls-cert-file, PEM." }),
  issuedRetention: durationFlag({
    default: formatSettingDuration(DEFAULT_SETTINGS.issuedRetention),
    summary: "How long the register of issued certificates keeps a record after the certificate has expired.",
  }),
} as const;

const AUDIT_FLAGS = {
  auditLogPath: fileFlag({
    summary: "File that gets a line for each request, in Kubernetes' audit format; - for stdout.",
  }),
  auditPolicyFile: fileFlag({
    summary:
      "Policy of audit.k8s.io/v1, which defines what is logged for which requests. Without it, the metadata of each " +
      "request. Bodies of Secrets, TokenReviews, node attestations and requests for service account tokens are never " +
      "logged.",
  }),
  auditLogMode: choiceFlag({
    choices: ["blocking", "blocking-strict"],
    default: DEFAULT_SETTINGS.auditLogMode,
    summary: "If the log cannot be written, requests continue (blocking) or are refused (blocking-strict).",
  }),
  auditLogMaxsize: integerFlag({
    default: DEFAULT_SETTINGS.auditLogMaxsize,
    summary: "Megabytes after which the audit log is rotated.",
  }),
  auditLogMaxage: integerFlag({
    default: DEFAULT_SETTINGS.auditLogMaxage,
    summary: "Days that rotated audit logs are kept. With 0 they are never deleted for their age.",
  }),
  auditLogMaxbackup: integerFlag({
    default: DEFAULT_SETTINGS.auditLogMaxbackup,
    summary: "Number of rotated audit logs that are kept. With 0 all are kept.",
  }),
  auditLogCompress: switchFlag({ summary: "Compress rotated audit logs with gzip." }),
} as const;

/** The flags for the limits of the server. */
const TUNING_FLAGS = {
  etcdCompactionInterval: durationFlag({
    default: DEFAULT_SETTINGS.etcdCompactionInterval,
    summary: "Interval at which etcd is compacted, and minimum age of the revisions that are removed. 0 disables it.",
  }),
  maxRequestsInflight: integerFlag({
    default: DEFAULT_SETTINGS.maxRequestsInflight,
    min: 1,
    max: 100_000,
    summary:
      "Together with --max-mutating-requests-inflight, the number of requests that are served at the same time. " +
      "Others wait by priority. After 15 s they are rejected, and the client retries.",
  }),
  maxMutatingRequestsInflight: integerFlag({
    default: DEFAULT_SETTINGS.maxMutatingRequestsInflight,
    min: 0,
    max: 100_000,
    summary: "Is added to --max-requests-inflight for the number of requests that are served at the same time.",
  }),
  storageQuota: integerFlag({
    default: DEFAULT_SETTINGS.storageQuota,
    placeholder: "MB",
    min: 1,
    max: 1_000_000,
    summary:
      "Megabytes that the objects in the database may take. A full database accepts no new objects until others " +
      "are deleted. For etcd, its own --quota-backend-bytes applies.",
  }),
  storageMinFree: integerFlag({
    default: DEFAULT_SETTINGS.storageMinFree,
    placeholder: "MB",
    summary:
      "Megabytes that must be free on the disk of --data-dir, and on that of a blocking-strict audit log. With less, " +
      "/readyz fails. 0 for no limit.",
  }),
} as const;

export const SERVER_FLAGS = {
  dataDir: { ...DATA_DIR_FLAG, group: undefined }, // help shows it first, because a server needs it most
  ...LOG_FLAGS,
  bindAddress: hostFlag({
    default: DEFAULT_SETTINGS.bindAddress,
    placeholder: "IP",
    summary: "Address to listen on. 0.0.0.0, or :: with IPv6, opens the server to the network.",
  }),
  securePort: integerFlag({
    default: DEFAULT_SETTINGS.securePort,
    min: 0,
    max: 65_535,
    summary: "Port to listen on; 0 chooses a free one.",
  }),
  advertiseAddress: hostFlag({
    summary:
      "Address or name of the server in kubeconfigs. Without it, the bind address; if that is 0.0.0.0 or ::, the " +
      "address of the interface with the default route.",
  }),
  ...inGroup("Access", ACCESS_FLAGS),
  ...CA_KEY_FLAGS,
  crlUrl: CRL_URL_FLAG,
  ...inGroup("Certificate", SERVER_CERTIFICATE_FLAGS),
  ...inGroup("Audit", AUDIT_FLAGS),
  ...ETCD_FLAGS,
  ...inGroup("Tuning", TUNING_FLAGS),
  featureGates: FEATURE_GATES_FLAG,
} as const;

export const SERVER_RULES = [
  together("tlsCertFile", "tlsPrivateKeyFile"),
  needs("auditPolicyFile", "auditLogPath"),
  ...ETCD_RULES,
] as const;
