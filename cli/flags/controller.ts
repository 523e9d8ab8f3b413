/** Flags for controllers, which run inside `up` or alone against a remote API, and for notifications. */
import { SYSTEM_NAMESPACE } from "../../core/kube/meta.ts";
import { DEFAULT_SETTINGS, parseReceiver, parseWebDomain, parseWebNetwork } from "../../instance/settings.ts";
import { LOG_FLAGS } from "./common.ts";
import {
  addressFlag,
  durationFlag,
  fileFlag,
  inGroup,
  listFlag,
  parsedFlag,
  parsedListFlag,
  switchFlag,
  textFlag,
} from "../framework/flags.ts";
import { atMostOneOf, needs } from "../framework/rules.ts";
import { ok } from "../../core/lib/result.ts";

/** The flags for the API, the log and the metrics of a program that works for a remote API. */
export const REMOTE_FLAGS = {
  ...LOG_FLAGS,
  kubeconfig: fileFlag({ summary: "Kubeconfig of the API server to work for. Required, except with --print-rbac." }),
  printRbac: switchFlag({
    isCommandLineOnly: true,
    summary: "Print the minimal permissions for these flags as a manifest for kubectl apply, and exit.",
  }),
  metricsBindAddress: addressFlag({
    group: "Tuning",
    default: "0",
    summary:
      "Address for /metrics and /healthz, over plain HTTP and without authentication: 127.0.0.1:9443, or :9443 for " +
      "all addresses. 0 disables both.",
  }),
} as const;

const { metricsBindAddress, ...API_FLAGS } = REMOTE_FLAGS;

/** The flags for the API, leader election, log and metrics of a controller. */
export const CONTROLLER_FLAGS = {
  ...API_FLAGS,
  leaderElect: switchFlag({
    group: "Tuning",
    default: true,
    summary: "Take part in leader election, so that only the controller that holds the Lease is active.",
  }),
  leaderElectResourceNamespace: textFlag({
    group: "Tuning",
    default: SYSTEM_NAMESPACE,
    placeholder: "NAME",
    summary: "Namespace of the Lease.",
  }),
  metricsBindAddress,
} as const;

/** The flags for policies, which extend the two kubelet client rules of the approver. */
export const POLICY_FLAGS = {
  policy: listFlag({
    placeholder: "NAME|FILE",
    completion: { kind: "file" },
    summary: "Policy for requests other than those for kubelet client certificates: kubelet-serving, " +
      "kubelet-serving-trusting, or a file of kind ApprovalPolicy. Several are evaluated in order, and the first " +
      "rule that applies decides. Files are read again when they change.",
  }),
  inventory: fileFlag({
    summary:
      "File of kind Inventory: the machines, their DNS names and addresses, and the keys with which they prove their " +
      "identity to up. Read again when it changes.",
  }),
} as const;

/** The flags of kube-controller-manager for its signing controllers. */
export const SIGNING_FLAGS = inGroup("Certificate", {
  clusterSigningCertFile: fileFlag({
    summary: "CA certificate for all signers, PEM. Without it, up and sign use the CA in --data-dir.",
  }),
  clusterSigningKeyFile: fileFlag({ summary: "Key of --cluster-signing-cert-file, PEM, readable by its owner only." }),
  clusterSigningKubeletServingCertFile: fileFlag({ summary: "CA certificate for kubernetes.io/kubelet-serving only." }),
  clusterSigningKubeletServingKeyFile: fileFlag({ summary: "Key of --cluster-signing-kubelet-serving-cert-file." }),
  clusterSigningKubeletClientCertFile: fileFlag({
    summary: "CA certificate for kubernetes.io/kube-apiserver-client-kubelet only.",
  }),
  clusterSigningKubeletClientKeyFile: fileFlag({ summary: "Key of --cluster-signing-kubelet-client-cert-file." }),
  clusterSigningKubeApiserverClientCertFile: fileFlag({
    summary: "CA certificate for kubernetes.io/kube-apiserver-client only.",
  }),
  clusterSigningKubeApiserverClientKeyFile: fileFlag({
    summary: "Key of --cluster-signing-kube-apiserver-client-cert-file.",
  }),
  clusterSigningLegacyUnknownCertFile: fileFlag({ summary: "CA certificate for kubernetes.io/legacy-unknown only." }),
  clusterSigningLegacyUnknownKeyFile: fileFlag({ summary: "Key of --cluster-signing-legacy-unknown-cert-file." }),
  clusterSigningChain: switchFlag({
    summary: "Accept a chain in the CA files of the --cluster-signing flags, the CA first, and append the " +
      "intermediates, but no self-signed root, to each issued certificate. Without it, such a file has one " +
      "certificate, and certificates are issued without a chain, as with kube-controller-manager. For custom signers " +
      "the field chain of the profile decides.",
  }),
  clusterSigningDuration: durationFlag({
    default: DEFAULT_SETTINGS.clusterSigningDuration,
    summary:
      "Default and maximum lifetime of issued certificates. Below 10m, the minimum that a request can ask for, it is the " +
      "lifetime of every certificate.",
  }),
});

/** The flags for custom signers. */
export const PROFILE_FLAGS = {
  signer: listFlag({
    placeholder: "NAME",
    summary: "Signers to run instead of Kubernetes' own, as domain/path. A custom signer needs a --profile.",
  }),
  profile: listFlag({
    placeholder: "FILE",
    completion: { kind: "file" },
    summary: "Rules of a custom signer (kind: SigningProfile). Read again when the file changes.",
  }),
} as const;

/** The flags for certificates of web servers. */
export const WEB_FLAGS = {
  webDomain: parsedListFlag({
    placeholder: "DOMAIN",
    summary: "Domain of web servers, such as home.lan; may be repeated. A machine with a token of web.kubeconfig in " +
      "--data-dir gets serving certificates for names below it that no other machine holds: tlsboot request web " +
      "NAME.",
    parse: parseWebDomain,
  }),
  webNetwork: parsedListFlag({
    placeholder: "CIDR",
    summary:
      "Network of the addresses that certificates of web servers may also have, such as 192.168.1.0/24; may be " +
      "repeated.",
    parse: parseWebNetwork,
  }),
} as const;

/** The flags for the times of the cleaner, which deletes old CSRs. */
export const CLEANER_FLAGS = {
  gcIssued: durationFlag({
    default: DEFAULT_SETTINGS.gcIssued,
    min: "1s",
    summary:
      "Delete a request this long after its approval if it has its certificate, and at once when that has expired. Rates " +
      "in policies count only requests that still exist. The defaults of the --gc flags are Kubernetes' own.",
  }),
  gcDenied: durationFlag({
    default: DEFAULT_SETTINGS.gcDenied,
    min: "1s",
    summary: "Delete a request this long after its denial.",
  }),
  gcFailed: durationFlag({
    default: DEFAULT_SETTINGS.gcFailed,
    min: "1s",
    summary: "Delete a request this long after a signer refused it.",
  }),
  gcInterval: durationFlag({
    default: DEFAULT_SETTINGS.gcInterval,
    min: "1s",
    summary: "How often the ages of requests are checked.",
  }),
} as const;

export const NOTIFY_FLAGS = inGroup("Notification", {
  notify: {
    ...parsedFlag({
      placeholder: "URL",
      summary:
        "URL that receives a message when something needs your attention, such as a pending request: a topic of ntfy, " +
        "an application of Gotify, or your own program. See: tlsboot guide notifications.",
      parse: (text) => {
        const url = parseReceiver(text);
        return url.ok ? ok(text) : url;
      },
    }),
    isSecret: true,
  },
  notifyFile: fileFlag({
    summary: "File with the URL of --notify, readable by its owner only, for one that contains a token or a password.",
  }),
  notifyInsecure: switchFlag({ summary: "Allow an http:// URL for notifications, whose text others can read." }),
  notifyKeyFile: fileFlag({
    summary:
      "File with the key for the HMAC-SHA-256 in the header X-Tlsboot-Signature of each notification, readable by " +
      "its owner only.",
  }),
  notifyCaFile: fileFlag({
    summary: "PEM bundle of the CAs that verify the receiver of notifications. Without it, those of the system.",
  }),
});

export const NOTIFY_RULES = [
  atMostOneOf("notify", "notifyFile"),
  needs(["notifyInsecure", "notifyKeyFile", "notifyCaFile"], "notify", "notifyFile"),
] as const;
