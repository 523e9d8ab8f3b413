/** The command `tlsboot sign`: its flags, help and examples. */
import { parsePublicKeyPin } from "../../../core/pki/keys/key_names.ts";
import { CA_KEY_FLAGS, CRL_URL_FLAG, DATA_DIR_FLAG, ISSUED_LOG_FLAG, QR_FLAG } from "../../flags/common.ts";
import { POLICY_FLAGS, SIGNING_FLAGS } from "../../flags/controller.ts";
import { parseRequestedUsage, parseServerUrl, USAGE_CHOICES } from "../../flags/request.ts";
import { argument, defineCommand } from "../../framework/command.ts";
import { durationFlag, fileFlag, parsedFlag, parsedListFlag, switchFlag, textFlag } from "../../framework/flags.ts";
import { FEATURE_GATES_FLAG } from "../../flags/server.ts";

export const signCommand = defineCommand({
  path: ["sign"],
  environment: "strict",
  summary: "Sign certificate requests in files, in a bundle or on a stick, without a server",
  description:
    `Sign certificate requests in files, in a bundle or on a stick, without a server, by the rules of a signer.

 Reads PKCS#10 requests, PEM or DER, checks them against the rules of the signer, and issues certificates for those that
 pass. A request that the rules refuse gets no certificate, and the reason is printed. Running the command approves the
 requests: check them with tlsboot inspect first.

 A bundle contains the request of one machine, from tlsboot bootstrap --offline or tlsboot request --offline, or the
 approved requests of a server, from tlsboot offline export. It can also be a saved email with the bundle, or the lines
 that a scanner typed from its QR codes. In a folder, such as a USB stick, each NAME.request.pem is answered by
 NAME.answer.pem.

 The command shows each request of a bundle, its requester and the result of the rules, and asks on a terminal whether
 to sign. Without a terminal it signs what a server has approved and, for machines, what --policy or --inventory
 approves; --yes signs everything that the rules of the signer allow. Each request is signed once and recorded; if it
 comes again, it gets the same answer. A server's bundle is signed only if the server's key is trusted:
 --trust-exporter is needed once for each server.

 The CA is the one in --data-dir, which may have one for each purpose, or that of --cluster-signing-cert-file. With a
 CA whose client certificates a server on --data-dir accepts, only Kubernetes' two client signers issue client
 certificates. The command does not know the CAs in a server's --client-ca-file.`,
  group: "Request Commands",
  args: [argument("FILE...", "Requests, PEM or DER, or one bundle or folder; - is stdin", { kind: "file" })],
  flags: {
    dataDir: DATA_DIR_FLAG,
    signer: textFlag({
      placeholder: "NAME",
      summary: "Signer whose rules apply: one of Kubernetes' signers, or that of --profile.",
    }),
    profile: fileFlag({ summary: "Rules of a custom signer (kind: SigningProfile)." }),
    usage: parsedListFlag({
      placeholder: "USAGE",
      completion: { kind: "choices", choices: USAGE_CHOICES },
      summary: "Usages, such as server-auth; may be repeated. Without it, the usages of the signer or its profile.",
      parse: parseRequestedUsage,
    }),
    chain: switchFlag({
      default: true,
      summary: "Append the CA's intermediates to each certificate, unless the profile has chain: false.",
    }),
    duration: durationFlag({
      summary: "Requested lifetime of the certificate. The signer's own lifetime is the default and the maximum.",
    }),
    out: fileFlag({
      summary:
        "File for the certificate or for the answers to a bundle; for several requests, a folder for NAME.crt files.",
    }),
    force: switchFlag({ summary: "Replace a file that exists." }),
    server: parsedFlag({
      isCommandLineOnly: true,
      placeholder: "URL",
      summary: "Address of the API server for the kubeconfigs of the machines.",
      parse: parseServerUrl,
    }),
    yes: switchFlag({ summary: "Sign every request of a bundle or a folder without asking." }),
    policy: {
      ...POLICY_FLAGS.policy,
      summary:
        "Policy for the requests of a bundle or a folder: kubelet-serving, or a file of kind ApprovalPolicy. May be " +
        "repeated. Without a terminal, a machine's request is signed if a policy approves it. A server's requests " +
        "are signed only if a policy approves them.",
    },
    inventory: {
      ...POLICY_FLAGS.inventory,
      summary:
        "File of kind Inventory, for a bundle or a folder. Without a terminal to ask on, its machines get client " +
        "certificates and others do not.",
    },
    trustExporter: parsedFlag({
      placeholder: "PIN",
      summary: "Trust the key that signed the bundle from now on, as tlsboot offline export printed it.",
      parse: parsePublicKeyPin,
    }),
    qr: { ...QR_FLAG, summary: "Also write the answers to a bundle as QR codes, as an HTML document in this folder." },
    clusterSigningCertFile: SIGNING_FLAGS.clusterSigningCertFile,
    clusterSigningKeyFile: SIGNING_FLAGS.clusterSigningKeyFile,
    ...CA_KEY_FLAGS,
    crlUrl: CRL_URL_FLAG,
    featureGates: FEATURE_GATES_FLAG,
    issuedLog: ISSUED_LOG_FLAG,
    clusterSigningDuration: SIGNING_FLAGS.clusterSigningDuration,
  },
  examples: {
    "Sign a web server's request by the rules of a profile": "tlsboot sign web.csr --profile web.yaml --out web.crt",
    "Sign a user's request for the API server, for a day":
      "tlsboot sign alice.csr --signer kubernetes.io/kube-apiserver-client --duration 24h",
    "Answer the requests on a stick, with the address of the API server for the kubeconfigs":
      "tlsboot sign /media/stick --server https://10.0.0.1:6443",
    "Answer the first bundle of a server":
      "tlsboot sign requests.tlsb --trust-exporter sha256:9f0c5d4a5c3f2b5f0e7a7dcd3c9a3c1e2f4b5a69788796a5b4c3d2e1f0a9b8c7 --out signed.tlsb",
    "Sign many requests with another CA":
      "tlsboot sign *.csr --profile web.yaml --cluster-signing-cert-file ca.crt --cluster-signing-key-file ca.key --out certificates",
  },
  exitCodes: {
    1: "a request cannot be read, or a certificate cannot be written",
    3: "the rules refuse a request; for a folder or a bundle, also when a request was not signed",
  },
});
