/** The command `tlsboot signer`: its flags, help and examples. */
import { CA_KEY_FLAGS, CRL_URL_FLAG } from "../../flags/common.ts";
import { CONTROLLER_FLAGS, NOTIFY_FLAGS, NOTIFY_RULES, PROFILE_FLAGS, SIGNING_FLAGS } from "../../flags/controller.ts";
import { defineCommand } from "../../framework/command.ts";
import { fileFlag, switchFlag } from "../../framework/flags.ts";
import { needs } from "../../framework/rules.ts";
import { FEATURE_GATES_FLAG } from "../../flags/server.ts";

export const signerCommand = defineCommand({
  path: ["signer"],
  environment: "daemon",
  summary: "Run the signing controller",
  description: `Run the signing controller for the built-in signers, or for custom ones, against any Kubernetes API.

 Issues certificates for approved requests, by the rules of kube-controller-manager, from a CA on disk. There is one CA
 for all signers, or one for each signer; then a signer without a CA does not run. Changed CA files are loaded while it
 runs.

 A custom signer has a name such as example.com/web and a profile: a file that defines which subjects, names, usages,
 keys and lifetimes are allowed, and what is added. Everything that the profile does not allow is refused. A changed
 profile is loaded too; an invalid one is reported as an error, and the old one stays in use. Only the two built-in
 client signers issue client certificates for the API: custom signers refuse them if the API trusts their CA for clients.

 With --pod-certificates it is the signer of PodCertificateRequests, which Kubernetes does not ship. The profile selects
 the pods, and defines the names in their certificates: {namespace}, {serviceAccount}, {pod} and {node} stand for those of
 the pod. No one approves these requests: what the profile refuses is denied. The CA of each signer is published as a
 ClusterTrustBundle.

 At the start it checks the permissions of its user. If they do not suffice to sign anything, it exits and
 lists the missing ones; otherwise it only warns about them. --print-rbac prints all of them.`,
  group: "Running Commands",
  flags: {
    ...CONTROLLER_FLAGS,
    ...PROFILE_FLAGS,
    podCertificates: switchFlag({
      summary: "Sign PodCertificateRequests, with which kubelets request certificates for pods, instead of " +
        "CertificateSigningRequests, and publish the CA of each signer as a ClusterTrustBundle. The section pods of " +
        "each profile says for which pods.",
    }),
    ...SIGNING_FLAGS,
    ...NOTIFY_FLAGS,
    ...CA_KEY_FLAGS,
    crlUrl: CRL_URL_FLAG,
    featureGates: FEATURE_GATES_FLAG,
    issuedLog: fileFlag({
      summary:
        "File to which a record of each certificate is appended before the request gets it: a line of JSON with the " +
        "hash of the line before. A tlsboot server has a register of its own; other API servers have none.",
    }),
  },
  examples: {
    "Sign for a cluster with the CA on this machine":
      "tlsboot signer --kubeconfig signer.kubeconfig --cluster-signing-cert-file ca.crt --cluster-signing-key-file ca.key",
    "Run a custom signer, with the rules of a file":
      "tlsboot signer --kubeconfig signer.kubeconfig --signer example.com/web --profile web.yaml --cluster-signing-cert-file ca.crt --cluster-signing-key-file ca.key",
    "Sign certificates for pods, by the rules of a file":
      "tlsboot signer --pod-certificates --kubeconfig signer.kubeconfig --signer example.com/pods --profile pods.yaml --cluster-signing-cert-file ca.crt --cluster-signing-key-file ca.key",
    "Grant it the permissions that it needs, and no more":
      "tlsboot signer --print-rbac --signer example.com/web --profile web.yaml | kubectl apply -f -",
  },
  rules: [needs("podCertificates", "signer", "profile"), ...NOTIFY_RULES],
  exitCodes: { 0: "stopped by SIGINT or SIGTERM, or the permissions are printed" },
});
