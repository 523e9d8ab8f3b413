/** The command `tlsboot sign`: its flags, help and examples. */
import { parseRequestedUsage } from "../../../core/csr/requested_names.ts";
import { parsePublicKeyPin } from "../../../core/pki/public_key_pin.ts";
import { CA_KEY_FLAGS, CRL_URL_FLAG, DATA_DIR_FLAG, ISSUED_LOG_FLAG } from "../../flags/common.ts";
import { POLICY_FLAGS, SIGNING_FLAGS } from "../../flags/controller.ts";
import { FEATURE_GATES_FLAG } from "../../flags/feature_gates.ts";
import { parseServerUrl, USAGE_CHOICES } from "../../flags/request.ts";
import { argument, defineCommand } from "../../framework/command.ts";
import { durationFlag, fileFlag, parsedFlag, parsedListFlag, switchFlag, textFlag } from "../../framework/flags.ts";
import { QR_FLAG } from "../../offline_files.ts";

const SIGN_FLAGS = {
  dataDir: DATA_DIR_FLAG,
  signerName: textFlag({
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
    summary: "Put the CA's intermediates behind each certificate. A profile with chain: false never has them.",
  }),
  duration: durationFlag({
    summary: "Requested lifetime of the certificate. The signer's own lifetime is the default and the maximum.",
  }),
  out: fileFlag({
    summary:
      "File for the certificate, or for the answers to a bundle; for several requests a folder, for NAME.crt each.",
  }),
  force: switchFlag({ isCommandLineOnly: true, summary: "Replace a file that exists." }),
  server: parsedFlag({
    placeholder: "URL",
    summary: "For a folder: address of the API server, which the answers carry to the machines' kubeconfigs.",
    parse: parseServerUrl,
  }),
  yes: switchFlag({ isCommandLineOnly: true, summary: "For a folder or a bundle: sign every request without asking." }),
  policy: {
    ...POLICY_FLAGS.policy,
    summary: "Policy by which the requests of a folder are judged, and signed where there is no terminal to ask on: " +
      "kubelet-serving, or a file of kind ApprovalPolicy. May be repeated. Of a bundle, only what it approves is signed.",
  },
  inventory: {
    ...POLICY_FLAGS.inventory,
    summary:
      "For a folder or a bundle: file of kind Inventory. Its machines get client certificates without a question where " +
      "there is no terminal to ask on; others do not.",
  },
  trustExporter: parsedFlag({
    isCommandLineOnly: true,
    placeholder: "PIN",
    summary: "For a bundle: trust the key that signed it from now on, as tlsboot offline export printed it.",
    parse: parsePublicKeyPin,
  }),
  qr: { ...QR_FLAG, summary: "For a bundle: also write the answers as QR codes, as an HTML document in this folder." },
  clusterSigningCertFile: {
    ...SIGNING_FLAGS.clusterSigningCertFile,
    summary: "CA certificate, PEM. Without it, the CA in --data-dir.",
  },
  clusterSigningKeyFile: SIGNING_FLAGS.clusterSigningKeyFile,
  ...CA_KEY_FLAGS,
  crlUrl: CRL_URL_FLAG,
  featureGates: FEATURE_GATES_FLAG,
  issuedLog: {
    ...ISSUED_LOG_FLAG,
    summary: `${ISSUED_LOG_FLAG.summary} With another CA than that of --data-dir, nothing is recorded without it.`,
  },
  clusterSigningDuration: SIGNING_FLAGS.clusterSigningDuration,
} as const;

/** The type of the flags of `sign`. */
export type SignFlags = typeof SIGN_FLAGS;

/** The command that signs requests in files without an API. */
export const signCommand = defineCommand({
  path: ["sign"],
  environment: "strict",
  summary: "Sign certificate requests in files, in a bundle or on a stick, without a server",
  description:
    `Sign certificate requests in files, in a bundle or on a stick, without a server, by the rules of a signer.

 Reads PKCS#10 requests, PEM or DER, checks them against the rules of the signer, and issues certificates for those that
 pass. A request that the rules refuse gets no certificate, and the reason is printed. Running the command approves the
 requests: check them with tlsboot inspect first.

 For a folder, such as a USB stick, it answers the requests that tlsboot bootstrap --offline and tlsboot request --offline
 left there: NAME.request.pem is answered by NAME.answer.pem. It shows what each one asks for, by whom, and what the rules
 say, and asks whether to sign it. Without a terminal it signs only what --policy or --inventory approves, or everything
 that the rules of the signer allow with --yes. Each request is signed once and recorded; the answer to one that is signed
 already is written again.

 For a bundle, which tlsboot offline export wrote, it prints the answers for tlsboot offline import. A saved mail with the bundle
 will do, or the lines that a scanner typed from its QR codes. It shows each request and what the rules say, and asks on a
 terminal whether to sign them. A bundle is only signed when its key is trusted: --trust-exporter is needed once for each
 server. Each request is signed once and recorded; a bundle that was answered gets the same answer again.

 The CA is the one in --data-dir, or the signer's if there is one for each purpose, or another one that flags name. With
 a CA whose client certificates a server on --data-dir accepts, only Kubernetes' two client signers issue client
 certificates. The command does not know the CAs in a server's --client-ca-file.`,
  group: "Request Commands",
  args: [
    argument("FILE", "Requests, PEM or DER, or one bundle or folder; - is stdin", {
      variadic: true,
      completion: { kind: "file" },
    }),
  ],
  flags: SIGN_FLAGS,
  examples: [
    {
      comment: "Sign a web server's request by the rules of a profile",
      command: "tlsboot sign web.csr --profile web.yaml --out web.crt",
    },
    {
      comment: "Sign a user's request for the API server, for a day",
      command: "tlsboot sign alice.csr --signer-name kubernetes.io/kube-apiserver-client --duration 24h",
    },
    {
      comment: "Answer the requests on a stick, with the address of the API server for the kubeconfigs",
      command: "tlsboot sign /media/stick --server https://10.0.0.1:6443",
    },
    {
      comment: "Answer a bundle, the first one of its server",
      command:
        "tlsboot sign requests.tlsb --trust-exporter sha256:9f0c5d4a5c3f2b5f0e7a7dcd3c9a3c1e2f4b5a69788796a5b4c3d2e1f0a9b8c7 --out signed.tlsb",
    },
    {
      comment: "Sign many with another CA",
      command:
        "tlsboot sign *.csr --profile web.yaml --cluster-signing-cert-file ca.crt --cluster-signing-key-file ca.key --out certificates",
    },
  ],
  exitCodes: {
    1: "a request cannot be read, or a certificate cannot be written",
    3: "the rules refuse a request; for a folder or a bundle, also when a request was left without a certificate",
  },
});
