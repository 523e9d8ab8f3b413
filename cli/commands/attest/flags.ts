/** The command `tlsboot attest`: its flags, help and examples. */
import { PROOF_KINDS } from "../../../core/kube/kinds/constants.ts";
import { CA_CERT_HASH, parseServerUrl, PROOF_FROM_FLAG } from "../../flags/request.ts";
import { defineCommand } from "../../framework/command.ts";
import {
  choiceFlag,
  directoryFlag,
  durationFlag,
  fileFlag,
  parsedFlag,
  switchFlag,
  textFlag,
} from "../../framework/flags.ts";
import { exactlyOneOf, needs, together } from "../../framework/rules.ts";

export const attestCommand = defineCommand({
  path: ["attest"],
  environment: "strict",
  summary: "Prove which machine this is, for a stock kubelet",
  description: `Prove which machine this is, for a stock kubelet.

 With --show, the command prints this machine's entry for the inventory of the server: the hash of its TPM's endorsement
 key, and the fingerprint of its SSH host key. The server then accepts a proof by either of them. Add the entry to the list
 of nodes, and leave out a key that you do not want to accept.

 With --out, the command proves to the server which machine this is, and writes a bootstrap kubeconfig for the kubelet.
 Its token is valid for ten minutes, only for this node and one key: the key of the current certificate in --cert-dir if
 there is one, else kubelet-client.key.tmp there, which is created if it is missing. Start the kubelet within that time.

 A kubelet uses this key only without rotateCertificates. With rotateCertificates, it makes a new key for each request:
 get its first certificate with tlsboot bootstrap --attest before it starts. A stock kubelet gives no proof when it
 renews its certificate.`,
  group: "Machine Commands",
  flags: {
    show: switchFlag({ isCommandLineOnly: true, summary: "Only print this machine's entry for the inventory." }),
    server: parsedFlag({
      placeholder: "URL",
      summary: "Address of an API server that accepts proofs.",
      parse: parseServerUrl,
    }),
    caCertHash: CA_CERT_HASH,
    certDir: directoryFlag({ summary: "The kubelet's folder for its key and its certificates." }),
    out: fileFlag({ summary: "File for the bootstrap kubeconfig. A file of an earlier run is replaced." }),
    proof: choiceFlag({
      choices: PROOF_KINDS,
      placeholder: "KIND",
      summary: "Kind of proof: tpm or ssh. Without it, tpm where this machine has a TPM, else ssh.",
    }),
    proofFrom: PROOF_FROM_FLAG,
    hostnameOverride: textFlag({ placeholder: "NAME", summary: "Node name. Without it, this machine's name." }),
    timeout: durationFlag({ default: "5m", summary: "How long to wait for the server." }),
  },
  examples: {
    "Print this machine's entry for the inventory": "tlsboot attest --show",
    "Prepare the first start of a stock kubelet":
      "tlsboot attest --server https://10.0.0.1:6443 --ca-cert-hash sha256:1234...cdef --cert-dir /var/lib/kubelet/pki --out /etc/kubernetes/bootstrap-kubelet.conf",
  },
  rules: [
    exactlyOneOf("show", "out"),
    needs("out", "server"),
    needs("out", "caCertHash"),
    together("out", "certDir"),
    needs("proofFrom", "proof"),
  ],
});
