/** `tlsboot request`. */
import {
  parseRequestedDnsName,
  parseRequestedEmail,
  parseRequestedIpAddress,
  parseRequestedUri,
  parseRequestedUsage,
} from "../../core/csr/requested_names.ts";
import { parseSubject } from "../../core/pki/subject_text.ts";
import { defineCommand } from "../framework/command.ts";
import {
  directoryFlag,
  durationFlag,
  fileFlag,
  parsedFlag,
  parsedListFlag,
  switchFlag,
  textFlag,
} from "../framework/flags.ts";
import { API_FLAGS, STRUCTURED_OUTPUT } from "./common_flags.ts";
import { KEY_TYPE, lifeFlag, REQUEST_TIMEOUT, USAGE_CHOICES } from "./request_flags.ts";

const flags = {
  ...API_FLAGS,
  signerName: textFlag({
    isRequired: true,
    placeholder: "NAME",
    completion: {
      kind: "suggestions",
      suggestions: [
        "kubernetes.io/kube-apiserver-client",
        "kubernetes.io/kube-apiserver-client-kubelet",
        "kubernetes.io/kubelet-serving",
      ],
    },
    summary: "Signer to ask: one of Kubernetes, or any other as domain/name.",
  }),
  subject: parsedFlag({ summary: "Subject, as CN=web,O=shop or /CN=web/O=shop.", parse: parseSubject }),
  dns: parsedListFlag({ placeholder: "NAME", summary: "DNS names; may be repeated.", parse: parseRequestedDnsName }),
  ip: parsedListFlag({
    placeholder: "ADDRESS",
    summary: "IP addresses; may be repeated.",
    parse: parseRequestedIpAddress,
  }),
  uri: parsedListFlag({
    placeholder: "URI",
    summary: "URIs, such as a SPIFFE ID; may be repeated.",
    parse: parseRequestedUri,
  }),
  email: parsedListFlag({
    placeholder: "ADDRESS",
    summary: "Email addresses; may be repeated.",
    parse: parseRequestedEmail,
  }),
  usage: parsedListFlag({
    placeholder: "USAGE",
    completion: { kind: "choices", choices: USAGE_CHOICES },
    summary:
      "Usages; may be repeated. Without it digital-signature, for RSA key-encipherment, and what the signer is for; at other signers server-auth with --dns or --ip, else client-auth.",
    parse: parseRequestedUsage,
  }),
  duration: lifeFlag({ summary: "Life to ask for, at least 10m. Without it, and at most, the signer's own." }),
  name: textFlag({
    placeholder: "NAME",
    summary: "Name of the certificate signing request. Without it one made of what is asked, the same each time.",
  }),
  keyType: KEY_TYPE,
  key: fileFlag({ summary: "Private key to use instead of a new one." }),
  out: directoryFlag({ isRequired: true, summary: "Folder for tls.crt, tls.key and both in tls.pem." }),
  timeout: REQUEST_TIMEOUT,
  noWait: switchFlag({
    isCommandLineOnly: true,
    summary: "Do not wait; the same command takes the request up again later.",
  }),
  renewBefore: durationFlag({
    summary: "Do nothing while the certificate in --out is what is asked and lives longer than this; else replace it.",
  }),
  force: switchFlag({ isCommandLineOnly: true, summary: "Replace a certificate in --out in any case." }),
  output: STRUCTURED_OUTPUT,
} as const;

/** Its flags, for the action. */
export type RequestFlags = typeof flags;

/** A certificate for any program from any signer. */
export const requestCommand = defineCommand({
  path: ["request"],
  summary: "Get a certificate for any program from any signer",
  description: `Get a certificate for any program from any signer.

 Makes a key, asks the API for a certificate, waits until the request is approved and issued, checks what comes back, and
 writes tls.crt, tls.key and tls.pem into --out, all in one instant. Until then the key waits in tls.key.new. Run again
 after an interruption it takes up its own request. With --renew-before it may run each hour: it replaces the certificate
 in time, and at once when something else is asked.`,
  group: "Certificate Signing Request Commands",
  args: [],
  flags,
  examples: [
    {
      comment: "Get a serving certificate from a signer of your own",
      command:
        "tlsboot request --signer-name example.com/web --subject CN=web --dns web.example.com --ip 10.0.0.7 --out web",
    },
    {
      comment: "Get a client certificate for the API server that lives a day",
      command:
        "tlsboot request --signer-name kubernetes.io/kube-apiserver-client --subject CN=deployer,O=ci --duration 24h --out deployer",
    },
    {
      comment: "Ask now, and fetch the certificate when somebody has approved it",
      command: "tlsboot request --signer-name example.com/web --subject CN=web --out web --no-wait",
    },
    {
      comment: "Keep a certificate fresh, from cron or a systemd timer",
      command:
        "tlsboot request --signer-name example.com/web --subject CN=web --dns web.example.com --out web --renew-before 240h",
    },
  ],
  exitCodes: {
    0: "the certificate is there, or with --no-wait the request is",
    1: "failed, or there is a certificate already",
    3: "the request was denied, the signer refused, or nobody decided in time",
  },
  load: () => import("../actions/request.ts"),
});
