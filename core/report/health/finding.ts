/**
 * The findings of `tlsboot doctor`, and the textfile of Prometheus' node exporter that it writes. A check is a pure
 * function that returns the faults in given facts; the code in `client/health` gathers the facts.
 */
import type { CertificateFacts } from "../../pki/x509/certificate.ts";
import type { DistinguishedName } from "../../pki/x509/names.ts";

/** The severity of a finding. `skipped` means that the check could not run. */
type Severity = "ok" | "warning" | "error" | "skipped";

/** The result of one check of one target, as `tlsboot doctor -o json` prints it. */
export interface Finding {
  /** The stable name of the check, such as `secret-files`. */
  readonly check: string;
  /** The target of the check, as it was given or discovered. */
  readonly target: string;
  readonly severity: Severity;
  /** A sentence without its period. */
  readonly message: string;
  /** A command line that fixes the problem when it is run unchanged in a shell; absent when no command can. */
  readonly fix?: string;
  /** What to do when no command can fix the problem: an imperative sentence without its period. */
  readonly advice?: string;
}

/** One problem that a check found. */
export interface Fault {
  readonly severity: "warning" | "error";
  /** A sentence without its period. */
  readonly message: string;
  readonly fix?: string | undefined;
  readonly advice?: string | undefined;
}

/** The message of each check when it finds no fault. */
const OK_MESSAGES: Readonly<Record<string, string>> = {
  "audit-policy": "the audit policy can be used",
  "bootstrap-token": "no bootstrap token is left on the machine",
  "ca-expiry": "each CA is valid for more than a year, and for longer than what it signed",
  "ca-replacement": "no CA is being replaced",
  chain: "each certificate is followed by its issuers",
  clock: "the clock agrees with the server's",
  "cluster-info": "cluster-info has the URL of a server that answers, and its CA",
  "copied-folder": "the current certificate is in its folder",
  database: "the database is intact",
  disk: "the disk has space",
  expiry: "no certificate has expired or is overdue for renewal",
  inventory: "the inventory can be used",
  "key-pair": "each key belongs to its certificate",
  notification: "the receiver has accepted a test message",
  "open-files": "the server may open enough files",
  "pending-requests": "no request has waited for more than a day",
  policy: "every rule can apply to a request",
  "policy-test": "the cases can be read; run them with: tlsboot policy test FILE",
  profile: "the profile can be used",
  readable: "the files with certificates and keys can be read",
  proofs: "each machine with a certificate has given the proof that the inventory lists",
  "renewed-pair": "the kubeconfig refers to the certificate that is renewed",
  "secret-files": "the files with secrets are private",
  "secret-folders": "only the owner may write to the folders",
  "serving-certificate": "the server's certificate has not expired and is not overdue for renewal",
  signers: "each request has a signer",
  "strict-verifiers": "strict verifiers such as Python 3.13 accept the certificates",
  tokens: "each bootstrap token expires",
  "trusted-cas": "the kubeconfig trusts the CAs that the cluster publishes",
};

export interface Reporter {
  /** Returns a finding for each fault, or one `ok` finding when there is none. */
  check(check: string, faults: readonly Fault[], okMessage?: string): readonly Finding[];
  /** Returns the finding of a check that could not run. */
  skip(check: string, reason: string): readonly Finding[];
}

export function reportOn(target: string): Reporter {
  return {
    check(check, faults, okMessage = OK_MESSAGES[check] ?? "nothing is wrong") {
      if (faults.length === 0) return [{ check, target, severity: "ok", message: okMessage }];
      return faults.map(({ severity, message, fix, advice }) => ({
        check,
        target,
        severity,
        message,
        ...(fix === undefined ? {} : { fix }),
        ...(advice === undefined || fix !== undefined ? {} : { advice }),
      }));
    },
    skip: (check, reason) => [{ check, target, severity: "skipped", message: reason }],
  };
}

type FindingCounts = Readonly<Record<Severity, number>>;

export function countFindings(findings: readonly Finding[]): FindingCounts {
  const count = (wanted: Severity): number => findings.filter(({ severity }) => severity === wanted).length;
  return { ok: count("ok"), warning: count("warning"), error: count("error"), skipped: count("skipped") };
}

/** A certificate and its file, for the textfile. */
export interface SeenCertificate {
  /** The absolute path of the file. */
  readonly path: string;
  readonly certificate: CertificateFacts;
  /** The entry of a kubeconfig that contains the certificate. */
  readonly embedded?: { readonly kind: "user" | "cluster"; readonly key: string };
}

interface TextfileContents {
  readonly findings: readonly Finding[];
  readonly certificates: readonly SeenCertificate[];
  /** The number of files that could not be read; each has a finding. */
  readonly unreadableFiles: number;
  /** The number of targets that could not be checked. They have no findings, and each counts as an error. */
  readonly uncheckedTargets: number;
  readonly now: Date;
}

type Labels = Readonly<Record<string, string>>;

/**
 * Formats the textfile. The series of certificates have the names and labels of x509-certificate-exporter
 * (`internal/collector.go`), so that its dashboards and alerts apply.
 */
export function formatTextfile(
  { findings, certificates, unreadableFiles, uncheckedTargets, now }: TextfileContents,
): string {
  const seen = new Map<string, readonly [Labels, CertificateFacts]>();
  for (const entry of certificates) {
    const labels = toLabels(entry);
    // A file may contain a certificate twice, but a series must be unique.
    seen.set(formatLabels(labels), [labels, entry.certificate]);
  }
  const series = (value: (certificate: CertificateFacts) => number) =>
    [...seen.values()].map(([labels, certificate]) => [labels, value(certificate)] as const);
  const seconds = (ms: number): number => Math.floor(ms / 1000);
  const counts = countFindings(findings);
  const totals = { ...counts, error: counts.error + uncheckedTargets };
  return [
    formatGauge(
      "x509_cert_expired",
      "Indicates if the certificate is expired",
      series(({ notAfter }) => now > notAfter ? 1 : 0),
    ),
    formatGauge(
      "x509_cert_expires_in_seconds",
      "Indicates the remaining time before the certificate's not after timestamp",
      series(({ notAfter }) => seconds(notAfter.getTime() - now.getTime())),
    ),
    formatGauge(
      "x509_cert_not_after",
      "Indicates the certificate's not after timestamp",
      series(({ notAfter }) => seconds(notAfter.getTime())),
    ),
    formatGauge(
      "x509_cert_not_before",
      "Indicates the certificate's not before timestamp",
      series(({ notBefore }) => seconds(notBefore.getTime())),
    ),
    formatGauge("x509_read_errors", "Indicates the number of read failure(s)", [
      [{}, unreadableFiles + uncheckedTargets],
    ]),
    formatGauge(
      "tlsboot_doctor_findings",
      "Findings of the last run of tlsboot doctor, by severity",
      (["error", "warning", "skipped", "ok"] as const).map((severity) => [{ severity }, totals[severity]]),
    ),
    formatGauge(
      "tlsboot_doctor_last_run_timestamp_seconds",
      "Time of the last run of tlsboot doctor",
      [[{}, seconds(now.getTime())]],
    ),
  ].join("");
}

function toLabels({ path, certificate, embedded }: SeenCertificate): Labels {
  return {
    filename: path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1),
    filepath: path,
    serial_number: BigInt(`0x${certificate.serialNumber || "0"}`).toString(),
    ...toNameLabels("issuer", certificate.issuer),
    ...toNameLabels("subject", certificate.subject),
    ...(embedded === undefined ? {} : { embedded_kind: embedded.kind, embedded_key: embedded.key }),
  };
}

function toNameLabels(prefix: "issuer" | "subject", { commonName, organizations }: DistinguishedName): Labels {
  return {
    ...(organizations[0] === undefined ? {} : { [`${prefix}_O`]: organizations[0] }),
    ...(commonName === "" ? {} : { [`${prefix}_CN`]: commonName }),
  };
}

function formatGauge(name: string, help: string, series: readonly (readonly [Labels, number])[]): string {
  if (series.length === 0) return "";
  const lines = series.map(([labels, value]) => `${name}${formatLabels(labels)} ${value}\n`);
  return `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${lines.join("")}`;
}

/** Formats labels with the escapes of Prometheus' text format: backslash, quote and line feed. */
function formatLabels(labels: Labels): string {
  const escape = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escape(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}
