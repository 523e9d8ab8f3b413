/**
 * The commands `tlsboot request` and `tlsboot request web`: their flags with the subjects that users type, help and
 * examples.
 */
import {
  API_FLAGS,
  DATA_DIR_FLAG,
  OFFLINE_FLAG,
  SERVICE_FLAGS,
  SERVICE_RULES,
  STRUCTURED_OUTPUT,
} from "../../flags/common.ts";
import {
  CA_CERT_HASH,
  CLASSIC_KEY_ALGORITHM,
  KEY_ALGORITHM,
  lifetimeFlag,
  parseRequestedDnsName,
  parseRequestedEmail,
  parseRequestedIpAddress,
  parseRequestedUri,
  parseRequestedUsage,
  parseServerUrl,
  REQUEST_TIMEOUT,
  USAGE_CHOICES,
} from "../../flags/request.ts";
import { argument, defineCommand } from "../../framework/command.ts";
import {
  directoryFlag,
  durationFlag,
  fileFlag,
  parsedFlag,
  parsedListFlag,
  secretFlag,
  switchFlag,
  textFlag,
} from "../../framework/flags.ts";
import { atMostOneOf, excludes, needs, whenTyped } from "../../framework/rules.ts";
import { err, ok, type Result } from "../../../core/lib/result.ts";
import { FIELD_OF_SHORT_NAME, type ListField, type SubjectFields } from "../../../core/pki/x509/names.ts";
import { splitUnescaped, trimChars, trimEndChars } from "../../../core/lib/linear_text.ts";

export const CERTIFICATE_FLAGS = {
  dns: parsedListFlag({ placeholder: "NAME", summary: "DNS names; may be repeated.", parse: parseRequestedDnsName }),
  ip: parsedListFlag({
    placeholder: "ADDRESS",
    summary: "IP addresses; may be repeated.",
    parse: parseRequestedIpAddress,
  }),
  duration: lifetimeFlag({
    summary:
      "Requested lifetime of the certificate, at least 10m. The signer's own lifetime is the default and the maximum.",
  }),
  timeout: REQUEST_TIMEOUT,
  renewBefore: durationFlag({
    summary:
      "Keep the certificate in --out while it matches the request and lives longer than this; else replace it. " +
      "A time that is not shorter than its lifetime has no effect: it is then replaced when 30 % of its lifetime is left.",
  }),
  force: switchFlag({ summary: "Replace a certificate in --out in any case." }),
  exec: textFlag({
    placeholder: "COMMAND",
    summary:
      "Shell command to run after each new certificate, until it has succeeded once, such as 'systemctl reload " +
      "nginx'. Its environment has TLSBOOT_CERTIFICATE_FILE and TLSBOOT_NOT_AFTER.",
  }),
  pkcs12: fileFlag({
    summary: "Also write certificate, key and CA into this PKCS#12 file (.p12, .pfx), for Java, Windows and others.",
  }),
  pkcs12PasswordFile: fileFlag({
    summary:
      "File with the password of the PKCS#12 file, readable by its owner only; - reads it from stdin. Without it, " +
      "the password is prompted for on a terminal.",
  }),
  output: STRUCTURED_OUTPUT,
} as const;

const CERTIFICATE_RULES = [atMostOneOf("renewBefore", "force"), needs("pkcs12PasswordFile", "pkcs12")] as const;

export const requestCommand = defineCommand({
  path: ["request"],
  environment: "strict",
  summary: "Get a certificate for any program from any signer",
  description: `Get a certificate for any program from any signer.

 Makes a key, sends a request to the API, waits until it is approved and issued, checks the certificate, and writes
 tls.crt, tls.key and tls.pem into --out, all at once. Until then the key is in tls.key.new. Run again after an
 interruption, it continues with its own request. With --renew-before it may run each hour: it replaces the certificate
 in time, and at once when the request has changed.

 With --offline there is no API. The first run writes the request into a folder, such as a USB stick; tlsboot sign answers
 it at the CA; another run takes up the answer. Later runs renew the certificate when 30 % of its lifetime is left,
 or as --renew-before says.`,
  group: "Request Commands",
  flags: {
    ...API_FLAGS,
    ...CERTIFICATE_FLAGS,
    signer: textFlag({
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
      summary: "Signer to issue the certificate: one of Kubernetes' signers, or any other as domain/path.",
    }),
    subject: parsedFlag({ summary: "Subject, as CN=web,O=shop or /CN=web/O=shop.", parse: parseSubject }),
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
        "Usages; may be repeated. Without it, digital-signature, key-encipherment for RSA, and the purpose of the signer; for other signers server-auth with --dns or --ip, else client-auth.",
      parse: parseRequestedUsage,
    }),
    name: textFlag({
      placeholder: "NAME",
      summary:
        "Name of the certificate signing request. Without it, a name derived from the request, the same each time.",
    }),
    keyAlgorithm: KEY_ALGORITHM,
    key: fileFlag({ summary: "Private key to use instead of a new one." }),
    out: directoryFlag({ isRequired: true, summary: "Folder for tls.crt, tls.key and both in tls.pem." }),
    offline: OFFLINE_FLAG,
    caCertHash: CA_CERT_HASH,
    noWait: switchFlag({
      summary: "Do not wait; the same command continues with the request later.",
    }),
  },
  examples: {
    "Get a serving certificate from a custom signer":
      "tlsboot request --signer example.com/web --subject CN=web --dns web.example.com --ip 10.0.0.7 --out web",
    "Get a client certificate for the API server that lives a day":
      "tlsboot request --signer kubernetes.io/kube-apiserver-client --subject CN=deployer,O=ci --duration 24h --out deployer",
    "Send the request now, and fetch the certificate after the approval":
      "tlsboot request --signer example.com/web --subject CN=web --out web --no-wait",
    "Get the certificate without a network: run this, sign the stick at the CA, and run this again":
      "tlsboot request --signer example.com/web --dns web.example.com --out web --offline /media/stick",
    "Keep a certificate fresh, from cron or a systemd timer":
      "tlsboot request --signer example.com/web --subject CN=web --dns web.example.com --out web --renew-before 240h",
  },
  rules: [
    ...CERTIFICATE_RULES,
    atMostOneOf("key", "keyAlgorithm"),
    whenTyped(needs("caCertHash", "offline"), "the CA of the API is in the kubeconfig"),
  ],
  exitCodes: {
    0: "the certificate is in --out, or with --no-wait the request is sent",
    1: "failed, or there is a certificate already",
    3: "the request was denied, refused by the signer, not decided in time or, with --offline, not answered yet",
  },
});

export const requestWebCommand = defineCommand({
  path: ["request", "web"],
  environment: "strict",
  summary: "Get a web server its certificate, and keep it fresh",
  description: `Get a web server its certificate from a server that runs with --web-domain.

 The command exchanges a token for an identity, which may only request certificates for the name and renew itself, and uses
 it to get the certificate. The identity is kept as identity.kubeconfig in --out, next to tls.crt, tls.key, tls.pem and
 ca.crt. Run again, the command renews what is due, without a token.`,
  group: "Request Commands",
  args: [argument("NAME", "The name of the web server, such as nas.home.lan")],
  flags: {
    dataDir: DATA_DIR_FLAG,
    join: fileFlag({
      summary: "File web.kubeconfig of the server's data directory, with the token. Without it and --server, " +
        "the one in --data-dir.",
    }),
    server: parsedFlag({
      isCommandLineOnly: true,
      placeholder: "URL",
      summary: "Instead of --join: address of the API server, with a token and --ca-cert-hash.",
      parse: parseServerUrl,
    }),
    token: secretFlag({
      placeholder: "TOKEN",
      summary: "With --server: token for web servers; - reads it from stdin.",
    }),
    tokenFile: fileFlag({ summary: "File that holds the token." }),
    caCertHash: CA_CERT_HASH,
    ...CERTIFICATE_FLAGS,
    dns: { ...CERTIFICATE_FLAGS.dns, summary: "Further DNS names; may be repeated." },
    keyAlgorithm: CLASSIC_KEY_ALGORITHM,
    out: directoryFlag({
      summary:
        "Folder for tls.crt, tls.key, both in tls.pem, the CA and the identity. Without it, a folder with the name of " +
        "the web server.",
    }),
    rotateCertificates: switchFlag({
      summary: "Keep running, and renew the identity and the certificate when 70 % of their lifetime has passed.",
    }),
    printSystemdUnit: switchFlag({
      summary: "Get the certificate, and print a systemd unit that keeps it fresh. The unit needs no token.",
    }),
    ...SERVICE_FLAGS,
  },
  examples: {
    "Get a certificate for a web server, and a service that keeps it fresh":
      "sudo tlsboot request web nas.home.lan --join web.kubeconfig --exec 'systemctl reload nginx' --install-service",
    "Get one with a further name and an address, on the machine of the server":
      "tlsboot request web nas.home.lan --dns nas --ip 192.168.1.9",
  },
  rules: [
    ...CERTIFICATE_RULES,
    atMostOneOf("token", "tokenFile"),
    whenTyped(excludes("join", "server", "token", "tokenFile", "caCertHash")),
    excludes("rotateCertificates", "force", "token"),
    excludes("printSystemdUnit", "rotateCertificates", "output"),
    excludes("installService", "printSystemdUnit", "rotateCertificates", "output"),
    ...SERVICE_RULES,
  ],
  exitCodes: {
    0: "the certificate is in --out",
    3: "the request was denied, refused by the signer, or not decided in time",
  },
});

const WANTED = "want CN=name,O=group or /CN=name/O=group";

/**
 * Parses a subject. Only the attributes that signers keep are supported. Backslashes escape: `\,` is a comma, `\C3\A9` an é.
 * The order of equal attributes is kept.
 */
export function parseSubject(text: string): Result<SubjectFields, string> {
  const isSlashed = text.startsWith("/");
  const attributes = isSlashed ? text.slice(1) : text;
  // A `+` separates the attributes of a multi-valued RDN.
  const isPlus = (char: string, at: number) => char === "+" && /^\s*[a-z]+\s*=/i.test(attributes.slice(at + 1));
  const parts = splitUnescaped(attributes, (char, at) => char === (isSlashed ? "/" : ",") || isPlus(char, at));
  const single: { commonName?: string; serialNumber?: string } = {};
  const lists: Partial<Record<ListField, string[]>> = {};
  for (const part of parts) {
    const [type = "", ...rest] = part.split("=");
    const short = type.trim().toUpperCase();
    const field = FIELD_OF_SHORT_NAME.get(short === "S" ? "ST" : short);
    if (rest.length === 0 || type.trim() === "") return err(WANTED);
    if (field === undefined) {
      return err(`unsupported attribute "${type.trim()}": use CN, O, OU, C, L, ST, STREET, POSTALCODE`);
    }
    const value = unescape(rest.join("="));
    if (!value.ok) return value;
    if (value.value === "") return err(`${type.trim()} has no value; ${WANTED}`);
    if (field !== "commonName" && field !== "serialNumber") (lists[field] ??= []).push(value.value);
    else if (single[field] === undefined) single[field] = value.value;
    else return err(`${type.trim()} is given twice`);
  }
  return ok({ ...single, ...lists });
}

/** Removes the spaces around a text, except one at its end that a backslash escapes. */
function trimSpaces(text: string): string {
  const trimmed = trimChars(text, " ");
  const backslashes = trimmed.length - trimEndChars(trimmed, "\\").length;
  return backslashes % 2 === 1 && text.endsWith(" ") ? `${trimmed} ` : trimmed;
}

/** Decodes the bytes of a value; spaces around it are removed unless they are escaped. */
function unescape(raw: string): Result<string, string> {
  const text = trimSpaces(raw);
  if (/^["#]/.test(text)) return err(`a value that begins with ${text.charAt(0)} must be written with a \\ before it`);
  if (!text.includes("\\")) return ok(text.toWellFormed());
  const bytes: number[] = [];
  const encoder = new TextEncoder();
  for (let at = 0; at < text.length;) {
    const hex = /^\\([0-9a-f]{2})/i.exec(text.slice(at))?.[1];
    const isEscape = text.charAt(at) === "\\";
    if (isEscape && hex === undefined && at + 1 === text.length) return err("it ends in the middle of an escape");
    const char = String.fromCodePoint(text.codePointAt(isEscape && hex === undefined ? at + 1 : at) ?? 0);
    if (hex === undefined) bytes.push(...encoder.encode(char));
    else bytes.push(Number.parseInt(hex, 16));
    at += hex === undefined ? char.length + (isEscape ? 1 : 0) : 3;
  }
  try {
    return ok(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes)));
  } catch {
    return err("its escaped bytes are not UTF-8");
  }
}
