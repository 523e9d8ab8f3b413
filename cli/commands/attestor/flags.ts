/** The command `tlsboot attestor`: its flags, help and examples. */
import { REMOTE_FLAGS } from "../../flags/controller.ts";
import { SERVER_FLAGS } from "../../flags/server.ts";
import { defineCommand } from "../../framework/command.ts";
import { fileFlag, hostFlag, integerFlag } from "../../framework/flags.ts";

export const attestorCommand = defineCommand({
  path: ["attestor"],
  environment: "daemon",
  summary: "Exchange proofs for bootstrap tokens of a cluster",
  description: `Exchange proofs of machines for bootstrap tokens of any Kubernetes cluster.

 A machine proves its identity by its TPM or its SSH host key (tlsboot attest, tlsboot bootstrap --attest), as with
 tlsboot up. It gets the address and the CA of the cluster, and a token for one node and one key that is valid for
 ten minutes. The file of --inventory lists the machines and their keys, and is read again when it changes.

 A kube-apiserver does not enforce the node and the key of a token. Run tlsboot approver --token-limits, which approves
 the requests of these tokens for their nodes and keys alone. The attestor exits with 1 when kube-controller-manager would
 approve such a request for any node: when the group system:bootstrappers or system:bootstrappers:attested may create
 certificatesigningrequests/nodeclient. It checks this at the start and every minute.

 Machines identify the attestor by the hash of its own CA, which it prints at the start. The CA and the key that seals the
 exchanges are in the Secret kube-system/tlsboot-attestor, which replicas share, and which is made when it is missing. The
 address of the cluster is that of the ConfigMap kube-public/cluster-info, or without one that of --kubeconfig.`,
  group: "Running Commands",
  flags: {
    ...REMOTE_FLAGS,
    inventory: fileFlag({
      summary: "File of kind Inventory: the machines, and the keys with which they prove their identity. Required, " +
        "except with --print-rbac.",
    }),
    bindAddress: SERVER_FLAGS.bindAddress,
    securePort: integerFlag({ default: 6444, min: 0, max: 65_535, summary: SERVER_FLAGS.securePort.summary }),
    advertiseAddress: hostFlag({
      summary:
        "Address or name by which machines reach the attestor. Without it, the bind address; when that is 0.0.0.0 or " +
        "::, the address of the interface with the default route.",
    }),
    tlsSan: SERVER_FLAGS.tlsSan,
  },
  examples: {
    "Exchange proofs for a cluster":
      "tlsboot attestor --kubeconfig attestor.kubeconfig --inventory machines.yaml --bind-address 0.0.0.0",
    "Grant it the permissions that it needs, and let its tokens create requests":
      "tlsboot attestor --print-rbac | kubectl apply -f -",
  },
  exitCodes: { 0: "stopped by SIGINT or SIGTERM, or the permissions are printed" },
});
