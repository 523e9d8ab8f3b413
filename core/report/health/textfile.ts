/** The textfile of Prometheus' node exporter that `tlsboot doctor` writes. */
import type { CertificateFacts } from "../../pki/x509/certificate.ts";
import type { DistinguishedName } from "../../pki/x509/names.ts";
import { countFindings, type Finding } from "./finding.ts";

/** A certificate and the file that it is in, for the textfile. */
export interface SeenCertificate {
  /** The absolute path of the file. */
  readonly path: string;
  readonly certificate: CertificateFacts;
  /** The entry of a kubeconfig that contains the certificate. */
  readonly embedded?: { readonly kind: "user" | "cluster"; readonly key: string };
}

export interface TextfileContents {
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
  for (const one of certificates) {
    const labels = toLabels(one);
    // The same certificate may be in a file twice, and a series must not.
    seen.set(formatLabels(labels), [labels, one.certificate]);
  }
  const series = (value: (certificate: CertificateFacts) => number) =>
    [...seen.values()].map(([labels, certificate]) => [labels, value(certificate)] as const);
  const seconds = (ms: number): number => Math.floor(ms / 1000);
  const counts = countFindings(findings);
  const all = { ...counts, error: counts.error + uncheckedTargets };
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
      (["error", "warning", "skipped", "ok"] as const).map((severity) => [{ severity }, all[severity]]),
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
