/** Flags of controllers that run alone, beside a distant API. */
import { LOG_FLAGS } from "./common_flags.ts";
import { addressFlag, durationFlag, fileFlag, listFlag, switchFlag, textFlag } from "../framework/flags.ts";

/** How a controller finds the API, and whether it stands for election. */
export const CONTROLLER_FLAGS = {
  ...LOG_FLAGS,
  kubeconfig: fileFlag({ isRequired: true, summary: "Kubeconfig of the API server to work for." }),
  leaderElect: switchFlag({
    default: true,
    summary: "Run several and let one of them work: hold a Lease while working.",
  }),
  leaderElectResourceNamespace: textFlag({
    default: "kube-system",
    placeholder: "NAME",
    summary: "Namespace of the Lease.",
  }),
  metricsBindAddress: addressFlag({
    default: "0",
    summary:
      "Address to answer /metrics and /healthz at over plain HTTP, to anybody: 127.0.0.1:9443, or :9443 for all " +
      "addresses. 0 for nowhere.",
  }),
} as const;

/** What the approver decides beside the two kubelet client rules. */
export const POLICY_FLAGS = {
  policy: listFlag({
    placeholder: "NAME|FILE",
    completion: { kind: "file" },
    summary:
      "What is approved beside kubelet client certificates: kubelet-serving, kubelet-serving-trusting, or a file of " +
      "kind ApprovalPolicy. Several are asked in this order; the first rule about a request decides. Files are read " +
      "again when they change.",
  }),
  inventory: fileFlag({
    summary: "File of kind Inventory: which DNS names and addresses belong to which node. Read again when it changes.",
  }),
} as const;

/** kube-controller-manager's flags of the signing controllers. */
export const SIGNING_FLAGS = {
  clusterSigningCertFile: fileFlag({ summary: "CA certificate for all signers, PEM." }),
  clusterSigningKeyFile: fileFlag({ summary: "Key of --cluster-signing-cert-file, PEM, readable by its owner only." }),
  clusterSigningKubeletServingCertFile: fileFlag({ summary: "CA certificate of kubernetes.io/kubelet-serving alone." }),
  clusterSigningKubeletServingKeyFile: fileFlag({ summary: "Its key." }),
  clusterSigningKubeletClientCertFile: fileFlag({
    summary: "CA certificate of kubernetes.io/kube-apiserver-client-kubelet alone.",
  }),
  clusterSigningKubeletClientKeyFile: fileFlag({ summary: "Its key." }),
  clusterSigningKubeApiserverClientCertFile: fileFlag({
    summary: "CA certificate of kubernetes.io/kube-apiserver-client alone.",
  }),
  clusterSigningKubeApiserverClientKeyFile: fileFlag({ summary: "Its key." }),
  clusterSigningLegacyUnknownCertFile: fileFlag({ summary: "CA certificate of kubernetes.io/legacy-unknown alone." }),
  clusterSigningLegacyUnknownKeyFile: fileFlag({ summary: "Its key." }),
  clusterSigningChain: switchFlag({
    summary: "Let the CA files of the flags above hold the CA first and its issuers behind it, and put the " +
      "intermediates behind each certificate that is issued, never a self-signed root. Without it such a file holds " +
      "one certificate and issued certificates come alone, as with kube-controller-manager. For signers of your own " +
      "their profiles say it: chain.",
  }),
  clusterSigningDuration: durationFlag({
    default: "8760h0m0s",
    summary: "Default and longest life of the certificates that are issued. Below 10m, the least that a request may " +
      "ask for, each certificate lives as short as this.",
  }),
} as const;

/** Signers of one's own. */
export const PROFILE_FLAGS = {
  signerName: listFlag({
    placeholder: "NAME",
    summary:
      "Signers to act for, instead of Kubernetes' own; domain/path. One that is not Kubernetes' needs a --profile.",
  }),
  profile: listFlag({
    placeholder: "FILE",
    completion: { kind: "file" },
    summary: "Rules of a signer of your own (kind: SigningProfile). Read again when it changes.",
  }),
} as const;
