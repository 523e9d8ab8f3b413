/** `tlsboot sign`. */
import { parseRequestedUsage } from "../../core/csr/requested_names.ts";
import { argument, defineCommand } from "../framework/command.ts";
import { durationFlag, fileFlag, parsedListFlag, switchFlag, textFlag } from "../framework/flags.ts";
import { CA_KEY_FLAGS, DATA_DIR_FLAG } from "./common_flags.ts";
import { SIGNING_FLAGS } from "./controller_flags.ts";
import { USAGE_CHOICES } from "./request_flags.ts";

const flags = {
  dataDir: DATA_DIR_FLAG,
  signerName: textFlag({
    placeholder: "NAME",
    summary: "Signer whose rules hold: one of Kubernetes, or that of --profile.",
  }),
  profile: fileFlag({ summary: "Rules of a signer of your own (kind: SigningProfile)." }),
  usage: parsedListFlag({
    placeholder: "USAGE",
    completion: { kind: "choices", choices: USAGE_CHOICES },
    summary: "Usages, such as server-auth; may be repeated. Without it what the signer or its profile is for.",
    parse: parseRequestedUsage,
  }),
  chain: switchFlag({
    default: true,
    summary: "Put the CA's intermediates behind each certificate. A profile with chain: false has none either way.",
  }),
  duration: durationFlag({ summary: "Life to ask for. Without it, and at most, the signer's own." }),
  out: fileFlag({ summary: "File for the certificate; for several requests a folder, for NAME.crt each." }),
  force: switchFlag({ isCommandLineOnly: true, summary: "Replace a certificate that exists." }),
  clusterSigningCertFile: {
    ...SIGNING_FLAGS.clusterSigningCertFile,
    summary: "CA certificate, PEM. Without it, the CA in --data-dir.",
  },
  clusterSigningKeyFile: SIGNING_FLAGS.clusterSigningKeyFile,
  ...CA_KEY_FLAGS,
  clusterSigningDuration: SIGNING_FLAGS.clusterSigningDuration,
} as const;

/** Its flags, for the action. */
export type SignFlags = typeof flags;

/** Signs without an API. */
export const signCommand = defineCommand({
  path: ["sign"],
  summary: "Sign certificate requests in files, without a server",
  description: `Sign certificate requests in files, without a server, by the rules of a signer.

 Reads PKCS#10 requests, PEM or DER, holds them against the rules of the signer, and issues what they let through. What
 the rules refuse gets no certificate, and the reason is told. Whoever runs it approves: look at a request with tlsboot
 inspect first.

 The CA is the one in --data-dir, and where that has one for each purpose, the signer's; or another that flags name. With
 a CA whose client certificates a server on --data-dir believes, only Kubernetes' two client signers make some. Which CAs
 such a server has in its --client-ca-file is not known here.`,
  group: "Certificate Signing Request Commands",
  args: [argument("FILE", "Requests, PEM or DER; - is stdin", { variadic: true, completion: { kind: "file" } })],
  flags,
  examples: [
    {
      comment: "Sign a web server's request by rules of your own",
      command: "tlsboot sign web.csr --profile web.yaml --out web.crt",
    },
    {
      comment: "Sign a user's request for the API server, for a day",
      command: "tlsboot sign alice.csr --signer-name kubernetes.io/kube-apiserver-client --duration 24h",
    },
    {
      comment: "Sign many with another CA",
      command:
        "tlsboot sign *.csr --profile web.yaml --cluster-signing-cert-file ca.crt --cluster-signing-key-file ca.key --out certificates",
    },
  ],
  exitCodes: {
    1: "a request cannot be read, or a certificate not be written",
    3: "the rules refuse a request",
  },
  load: () => import("../actions/sign.ts"),
});
