/** kube-apiserver's flags that `serve` and `up` have, under kube-apiserver's names. */
import {
  choiceFlag,
  durationFlag,
  fileFlag,
  hostFlag,
  hostListFlag,
  integerFlag,
  switchFlag,
  textFlag,
} from "../framework/flags.ts";
import { CA_KEY_FLAGS, DATA_DIR_FLAG, LOG_FLAGS } from "./common_flags.ts";
import { etcdFlags } from "./etcd_flags.ts";

/** Flags of everything that serves the API. */
export const SERVER_FLAGS = {
  dataDir: DATA_DIR_FLAG,
  ...CA_KEY_FLAGS,
  ...LOG_FLAGS,
  bindAddress: hostFlag({
    default: "127.0.0.1",
    placeholder: "IP",
    summary: "Address to listen on; 0.0.0.0, and :: with IPv6, open the server to the network.",
  }),
  securePort: integerFlag({ default: 6443, min: 0, max: 65_535, summary: "Port to listen on; 0 takes a free one." }),
  advertiseAddress: hostFlag({
    summary:
      "Address or name that kubeconfigs give for the server. Without it, the bind address; when that is 0.0.0.0 or ::, " +
      "the address of the interface with the default route.",
  }),
  tlsSan: hostListFlag({ summary: "Further names and addresses of the serving certificate." }),
  tlsCertFile: fileFlag({ summary: "Serving certificate of your own, PEM, leaf first; with --tls-private-key-file." }),
  tlsPrivateKeyFile: fileFlag({ summary: "Key of --tls-cert-file, PEM." }),
  clientCaFile: fileFlag({
    summary: "PEM bundle of CAs whose client certificates are believed, beside the CA in --data-dir.",
  }),
  tokenAuthFile: fileFlag({ summary: 'Static tokens: lines of token,user,uid,"group1,group2". Read once.' }),
  enableBootstrapTokenAuth: switchFlag({
    default: true,
    summary: "Let bootstrap tokens (Secrets of type bootstrap.kubernetes.io/token in kube-system) authenticate.",
  }),
  anonymousAuth: switchFlag({
    default: true,
    summary: "Let requests without credentials in as system:anonymous, who may read health and version.",
  }),
  authorizationMode: textFlag({
    default: "Node,RBAC",
    placeholder: "LIST",
    summary: "Always Node,RBAC; there is no AlwaysAllow.",
  }),
  maxRequestsInflight: integerFlag({
    default: 400,
    min: 1,
    max: 100_000,
    summary: "With --max-mutating-requests-inflight: how many requests are served at the same time. The rest wait by " +
      "priority, and are told to come again after 15 s.",
  }),
  maxMutatingRequestsInflight: integerFlag({
    default: 200,
    min: 0,
    max: 100_000,
    summary: "See --max-requests-inflight, to which it is added.",
  }),
  ...etcdFlags(
    "Keep the objects in this etcd instead of a database in --data-dir; URLs of its members (3.5.13 or later), all " +
      "http or all https. Any number of servers may share it.",
  ),
  etcdCompactionInterval: durationFlag({
    default: "5m0s",
    summary: "How often etcd is told to forget what is older than as long; 0 leaves that to others.",
  }),
  storageQuota: integerFlag({
    default: 2048,
    placeholder: "MB",
    min: 1,
    max: 1_000_000,
    summary: "Megabytes that all objects of the database may take: a full one creates nothing until objects are " +
      "deleted. In etcd, --quota-backend-bytes of etcd itself decides.",
  }),
  storageMinFree: integerFlag({
    default: 64,
    placeholder: "MB",
    summary: "Megabytes that the disk of --data-dir must have left, and that of a blocking-strict audit log: with " +
      "less, /readyz fails. 0 for no limit.",
  }),
  auditLogPath: fileFlag({
    summary: "File that gets a line for each request, in Kubernetes' audit format; - for stdout.",
  }),
  auditPolicyFile: fileFlag({
    summary:
      "Policy of audit.k8s.io/v1: what is written of which requests. Without it, the metadata of each. Bodies of " +
      "Secrets and TokenReviews are never written.",
  }),
  auditLogFormat: choiceFlag({
    choices: ["json", "legacy"],
    default: "json",
    summary: "A JSON event in each line, or text.",
  }),
  auditLogMode: choiceFlag({
    choices: ["blocking", "blocking-strict"],
    default: "blocking",
    summary: "When the log cannot be written, requests go on (blocking) or are refused (blocking-strict).",
  }),
  auditLogMaxsize: integerFlag({ default: 100, summary: "Megabytes after which the audit log is put aside." }),
  auditLogMaxage: integerFlag({ default: 366, summary: "Days that audit logs put aside are kept; 0 for ever." }),
  auditLogMaxbackup: integerFlag({ default: 100, summary: "Audit logs put aside that are kept; 0 for all." }),
  auditLogCompress: switchFlag({ summary: "Compress audit logs that are put aside with gzip." }),
} as const;

/** Type of SERVER_FLAGS, for the actions. */
export type ServerFlags = typeof SERVER_FLAGS;
