/** The description of one request: kubectl's page first (kubectl `pkg/describe/describe.go`), then the view. */
import { formatConditionCell } from "../../../core/request/phase.ts";
import { parseRequest } from "../../../core/request/parse_request.ts";
import type { CertificateSigningRequest } from "../../../core/kube/kinds/certificates_v1.ts";
import type { Event } from "../../../core/kube/kinds/core_v1.ts";
import { formatHumanDuration } from "../../../core/lib/duration.ts";
import { getName } from "../../../core/kube/meta.ts";
import type { RequestFacts } from "../../../core/pki/x509/pkcs10.ts";
import type { RequestView } from "../../../core/report/request_view.ts";
import { line } from "../../../core/lib/printable.ts";
import { type DescribedLine, formatDescription } from "../../output/tab_writer.ts";
import {
  allowedLines,
  certificateLines,
  conditionLines,
  historyLines,
  identityLines,
  otherLines,
  requestLines,
  ruleLines,
  signerLines,
  warningLines,
} from "./view_text.ts";

/**
 * Renders the whole description of a request.
 *
 * @param events undefined when they could not be read
 */
export function describeRequest(
  csr: CertificateSigningRequest,
  view: RequestView,
  events: readonly Event[] | undefined,
  now: Date,
): string {
  const request = parseRequest(csr.spec.request);
  const page = [
    ...summaryLines(csr),
    ...(request.ok ? subjectLines(request.value) : [line`Request:\tcannot be read: ${request.error}`]),
    ...(events === undefined ? [] : eventLines(events, now)),
  ];
  const isReadable = view.requested.unreadable === undefined;
  const sections = [
    [line`Summary:\t${view.sentence}.`, ...warningLines(view)],
    isReadable ? identityLines(view) : [],
    isReadable ? requestLines(view, now) : [],
    historyLines(view),
    otherLines(view, now),
    allowedLines(view),
    conditionLines(view, now),
    ruleLines(view),
    signerLines(view),
    certificateLines(view, now),
  ].filter((lines) => lines.length > 0);
  const rest = sections.flatMap((lines, index) => index === 0 ? lines : ["", ...lines]);
  return `${formatDescription(page)}\n\n${formatDescription(rest)}\n`;
}

function summaryLines(csr: CertificateSigningRequest): readonly DescribedLine[] {
  const { metadata, spec } = csr;
  const seconds = spec.expirationSeconds;
  return [
    line`Name:\t${getName(csr)}`,
    line`Labels:\t${formatLabels(metadata.labels)}`,
    line`Annotations:\t${formatLabels(metadata.annotations)}`,
    line`CreationTimestamp:\t${formatRfc1123(metadata.creationTimestamp)}`,
    line`Requesting User:\t${spec.username ?? ""}`,
    ["Signer", spec.signerName],
    ["Requested Duration", seconds === undefined ? undefined : formatHumanDuration(seconds * 1000)],
    line`Status:\t${formatConditionCell(csr)}`,
  ];
}

function subjectLines(facts: RequestFacts): string[] {
  const { subject } = facts;
  const names = [
    ...listLines("DNS Names", facts.dnsNames),
    ...listLines("Email Addresses", facts.emailAddresses),
    ...listLines("URIs", facts.uris),
    ...listLines("IP Addresses", facts.ipAddresses),
  ];
  return [
    "Subject:",
    line`\tCommon Name:\t${subject.commonName}`,
    line`\tSerial Number:\t${subject.serialNumber}`,
    ...listLines("Organization", subject.organizations),
    ...listLines("Organizational Unit", subject.organizationalUnits),
    ...listLines("Country", subject.countries),
    ...listLines("Locality", subject.localities),
    ...listLines("Province", subject.provinces),
    ...listLines("StreetAddress", subject.streetAddresses),
    ...listLines("PostalCode", subject.postalCodes),
    ...(names.length === 0 ? [] : ["Subject Alternative Names:", ...names]),
  ];
}

function listLines(title: string, values: readonly string[]): string[] {
  return values.map((value, index) => index === 0 ? line`\t${title}:\t${value}` : line`\t\t${value}`);
}

function eventLines(events: readonly Event[], now: Date): string[] {
  if (events.length === 0) return ["Events:\t<none>"];
  const sorted = [...events].sort((a, b) => getEventTime(a) - getEventTime(b));
  return [
    "Events:",
    "  Type\tReason\tAge\tFrom\tMessage",
    "  ----\t------\t----\t----\t-------",
    ...sorted.map((event) => {
      const age = formatHumanDuration(now.getTime() - getEventTime(event));
      const source = event.source.component ?? event.reportingComponent;
      return line`  ${event.type ?? ""}\t${event.reason ?? ""}\t${age}\t${source}\t${(event.message ?? "").trim()}`;
    }),
  ];
}

function getEventTime(event: Event): number {
  return Date.parse(event.lastTimestamp ?? event.eventTime ?? event.firstTimestamp ?? "") || 0;
}

function formatLabels(labels: Readonly<Record<string, string>> | undefined): string {
  const entries = Object.entries(labels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0 ? "<none>" : entries.map(([key, value]) => `${key}=${value}`).join(",");
}

/** Formats a time as Go's RFC1123Z: `Wed, 25 Nov 2026 01:02:03 +0000`. */
function formatRfc1123(text: string | undefined): string {
  const date = new Date(text ?? "0001-01-01T00:00:00Z");
  return date.toUTCString().replace("GMT", "+0000");
}
