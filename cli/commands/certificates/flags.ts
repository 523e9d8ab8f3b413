/** The commands for the register of issued certificates: flags, help and examples. */
import { parseSettingDuration } from "../../../core/lib/duration.ts";
import type { IssuedSince, RecordOrder } from "../../../core/report/record_rows.ts";
import { err, ok, type Result } from "../../../core/lib/result.ts";
import { API_FLAGS } from "../../flags/common.ts";
import { LIST_FLAGS, RECORD_OUTPUT_FLAG } from "../../flags/list.ts";
import { argument, defineCommand } from "../../framework/command.ts";
import {
  durationFlag,
  fileFlag,
  type Flag,
  listFlag,
  parsedFlag,
  switchFlag,
  textFlag,
} from "../../framework/flags.ts";
import { atMostOneOf, excludes } from "../../framework/rules.ts";
import type { RegisterHead } from "../../../core/register/record.ts";

/** The orders that `--sort-by` can choose. */
const SORT_KEYS = [
  "issued",
  "expires",
  "subject",
  "signer",
  "serial",
  "status",
  "requester",
  "approved-by",
] as const satisfies readonly RecordOrder[];

/** Other names of the resource: short ones, and those of kubectl. */
const CERTIFICATE_ALIASES: readonly string[] = [
  "certificate",
  "certs",
  "cert",
  "issuedcertificates",
  "issuedcertificate",
  "issuedcertificates.tlsboot",
];

const ISSUED_LOG_FLAG = fileFlag({
  summary: "Read a log that a signer wrote with --issued-log, instead of the register of a server.",
});

/** Creates a flag whose `*` stands for one or more characters. */
function patternFlag(placeholder: string, summary: string): ReturnType<typeof textFlag> {
  return textFlag({ placeholder, summary });
}

const SELECTING_FLAGS = [
  "expiresWithin",
  "expired",
  "revoked",
  "signer",
  "subject",
  "name",
  "requester",
  "token",
  "approvedBy",
  "since",
] as const;

/** Reports whether a value of `--sort-by` is a column of the register. */
export function isRecordOrder(text: string): text is RecordOrder {
  return SORT_KEYS.some((key) => key === text);
}

/** Checks a value of `--sort-by`; paths have a dot or a bracket. */
function parseSortKey(text: string): Result<string, string> {
  return isRecordOrder(text) || /[.[{]/.test(text)
    ? ok(text)
    : err(`want one of ${SORT_KEYS.join(", ")}, or a path such as .spec.request.name`);
}

/** Parses a duration, a date or an RFC 3339 time. */
function parseSince(text: string): Result<IssuedSince, string> {
  const duration = parseSettingDuration(text);
  if (duration.ok) return ok({ kind: "ago", ms: duration.value });
  const date = new Date(text);
  const isDate = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2}))?$/.test(text);
  if (isDate && !Number.isNaN(date.getTime())) return ok({ kind: "at", date });
  return err("want a duration such as 365d or 12h, a date such as 2026-01-31, or a time such as 2026-01-31T08:00:00Z");
}

export const getCertificatesCommand = defineCommand({
  path: ["get", "certificates"],
  aliases: CERTIFICATE_ALIASES,
  summary: "Display the certificates that were issued",
  description: `Display the certificates that were issued.

 The register holds every certificate until a year after it has expired, even if its request was deleted long ago. STATUS is valid, replaced (a newer certificate of the same signer and subject exists, and this one still works), untrusted (its CA was replaced by ca rotate, and is no longer trusted), expired or revoked. SERIAL is the beginning of the serial number, by which the other commands find the certificate; -o wide shows all of it. In the flags that select certificates, * stands for one or more characters, and several flags must all match.`,
  group: "Certificate Commands",
  args: [
    argument("[SERIAL...]", "Serial numbers, or their beginnings. Without one, all certificates", {
      kind: "objects",
      objects: "certificates",
    }),
  ],
  flags: {
    ...API_FLAGS,
    output: RECORD_OUTPUT_FLAG,
    watch: LIST_FLAGS.watch,
    issuedLog: ISSUED_LOG_FLAG,
    expiresWithin: durationFlag({
      summary:
        "Certificates that end within this time, such as 30d, and are neither revoked nor replaced nor untrusted.",
    }),
    expired: switchFlag({ summary: "Certificates that have expired." }),
    revoked: switchFlag({ summary: "Certificates that are revoked." }),
    signer: patternFlag("NAME", "Certificates of a signer, such as kubernetes.io/kubelet-serving or 'example.com/*'."),
    subject: patternFlag(
      "TEXT",
      "Certificates with this subject or this value in it: CN=alice, alice, 'system:node:*'.",
    ),
    name: patternFlag("NAME", "Certificates for this DNS name, IP address, email address or URI."),
    requester: patternFlag("USER", "Certificates that this user requested."),
    token: patternFlag("ID", "Certificates that were requested with the bootstrap token of this id."),
    approvedBy: patternFlag("USER", "Certificates that this user approved, or an approval with this reason."),
    since: parsedFlag({
      placeholder: "TIME",
      summary: "Certificates that were issued within this time or since this date: 365d, 2026-01-31.",
      parse: parseSince,
    }),
    sortBy: {
      ...textFlag({
        placeholder: "COLUMN|PATH",
        default: "issued",
        completion: { kind: "suggestions", suggestions: SORT_KEYS },
        summary: `Order of the list: ${SORT_KEYS.join(", ")}, or a path such as .spec.request.name.`,
      }),
      parse: (texts) => parseSortKey(texts.at(-1) ?? ""),
    } satisfies Flag<string>,
    noHeaders: LIST_FLAGS.noHeaders,
  },
  examples: {
    "List what was issued in the last year": "tlsboot get certificates --since 365d",
    "Find what expires within 30 days": "tlsboot get certificates --expires-within 30d --sort-by expires",
    "Make a spreadsheet of all nodes": "tlsboot get certs --subject O=system:nodes -o csv > nodes.csv",
    "Read the log of a signer of another cluster": "tlsboot get certificates --issued-log issued.log -o wide",
  },
  rules: [
    excludes("SERIAL", "watch", ...SELECTING_FLAGS),
    atMostOneOf("watch", "issuedLog"),
  ],
  exitCodes: { 1: "failed, or a certificate was not found" },
});

export const describeCertificateCommand = defineCommand({
  path: ["describe", "certificate"],
  aliases: ["certificates", ...CERTIFICATE_ALIASES.filter((alias) => alias !== "certificate")],
  summary: "Show what the register knows about a certificate",
  description: `Show what the register knows about a certificate.

 Shows who requested it, with which token and from which address, who approved it and why, which certificate it replaced and which one replaced it, whether it is revoked, and the command that revokes it.`,
  group: "Certificate Commands",
  args: [
    argument("SERIAL...", "Serial numbers, or their beginnings; SHA-256 fingerprints; or numbers in the register", {
      kind: "objects",
      objects: "certificates",
    }),
  ],
  flags: { ...API_FLAGS, issuedLog: ISSUED_LOG_FLAG },
  examples: {
    "Describe a certificate by the beginning of its serial number": "tlsboot describe certificate 3fa9c1",
    "Describe the certificate in a file":
      "tlsboot describe certificate \\\n    $(openssl x509 -in tls.crt -noout -serial | cut -d= -f2)",
    "Describe the seventeenth certificate": "tlsboot describe certificate 17",
  },
  exitCodes: { 1: "failed, or a certificate was not found" },
});

/** Parses the sequence number of a record, in digits with or without leading zeros, and its hash. */
function parseExpectedRecord(text: string): Result<RegisterHead, string> {
  const [, sequence, hash = ""] = /^(\d{1,15}):([0-9a-f]{64})$/i.exec(text) ?? [];
  return sequence === undefined
    ? err("want the sequence number of a record, a colon and its hash of 64 hexadecimal digits")
    : ok({ sequence: Number(sequence), hash: hash.toLowerCase() });
}

export const verifyCertificatesCommand = defineCommand({
  path: ["verify", "certificates"],
  aliases: CERTIFICATE_ALIASES,
  summary: "Check that no record of the register was changed or removed",
  description: `Check that no record of the register was changed or removed.

 Each record holds the hash of the one before it, and a CA signs the newest hash once a day, which is the seal. The command
 checks all hashes and seals, and reports the first record with a fault. It fails too when the newest seal is older than two days,
 because records may have been cut off at the end. With FILE it checks a log that a signer wrote with --issued-log.

 To find out whether records of the last two days were cut off, pass a seal from the log of the server with --expect.`,
  group: "Certificate Commands",
  args: [argument("[FILE]", "A log of a signer. Without it, the register of the server", { kind: "file" })],
  flags: {
    ...API_FLAGS,
    caFile: listFlag({
      placeholder: "FILE",
      completion: { kind: "file" },
      summary: "Certificates of CAs whose seals are checked. Without it, those of the kubeconfig; none for a log.",
    }),
    expect: parsedFlag({
      placeholder: "SEQUENCE:HASH",
      summary: "A record that must exist with this hash. The server's log and audit log name one for each seal.",
      parse: parseExpectedRecord,
    }),
  },
  examples: {
    "Check the register of the server": "tlsboot verify certificates",
    "Check a log, and its seals": "tlsboot verify certificates issued.log --ca-file ca.crt",
    "Check a record that the log of the server reported as sealed": `tlsboot verify certificates --expect 42:${
      "1f".repeat(32)
    }`,
  },
  exitCodes: { 0: "every record is intact", 1: "failed, a record is not intact, or a seal is overdue" },
});
