/** The description of one request: kubectl's page first (kubectl `pkg/describe/describe.go`), then our additions. */
import { findLeafCertificate } from "../../../core/csr/certificate.ts";
import { findCondition, formatConditionCell, getConditions, isApproved, isFailed } from "../../../core/csr/phase.ts";
import { isSettled } from "../../../core/approval/plan_approval.ts";
import { parseRequest, verifyRequest } from "../../../core/csr/request.ts";
import { describeMissingSigner, SIGNER_OVERDUE_MS } from "../../../core/csr/missing_signer.ts";
import type { CertificateSigningRequest } from "../../../core/kube/certificates_v1.ts";
import type { Event } from "../../../core/kube/core_v1.ts";
import { formatHumanDuration } from "../../../core/kube/human_duration.ts";
import { getName } from "../../../core/kube/meta.ts";
import type { RequestRecord } from "../../../core/kube/tlsboot_v1alpha1.ts";
import { shellWord } from "../../../core/lib/shell_word.ts";
import { formatName } from "../../../core/pki/names.ts";
import type { RequestFacts } from "../../../core/pki/pkcs10.ts";
import { BUILTIN_SIGNERS, type SigningProfile } from "../../../core/signing/profile.ts";
import { line, oneLine } from "../../output/escape.ts";
import { alignTabs, DESCRIBE_TABS } from "../../output/tab_writer.ts";
import { formatKey } from "../../../core/pki/key_algorithm.ts";
import { formatValidity } from "../../output/certificate_text.ts";
import type { Explanation } from "../approver/explain_request.ts";
import { formatTrace, formatVerdict } from "../approver/trace_text.ts";

/** The facts about a request that are not in its object. */
export interface RequestContext {
  /** Undefined when they could not be read. */
  readonly events: readonly Event[] | undefined;
  /** The verdict of the approval rules; undefined when the request cannot be parsed. */
  readonly explanation: Explanation | undefined;
  /** The origin of these rules, in words. */
  readonly origin: string;
  /** What the server recorded about the request; undefined when it has no records, or they could not be read. */
  readonly record?: RequestRecord | undefined;
  /** The signers that run in the server; undefined when they are not known. */
  readonly signers: readonly string[] | undefined;
}

/** Renders the whole description of a request. */
export function describeRequest(
  csr: CertificateSigningRequest,
  { events, explanation, origin, signers, record }: RequestContext,
  now: Date,
  profiles: KnownProfiles = new Map(),
): string {
  const request = parseRequest(csr.spec.request);
  const page = [
    ...summaryLines(csr),
    ...(request.ok ? subjectLines(request.value) : [line`Request:\tcannot be read: ${request.error}`]),
    ...(events === undefined ? [] : eventLines(events, now)),
  ];
  const more = request.ok ? [...requesterLines(csr, request.value), ...requestLines(csr, request.value, record)] : [];
  const rest = [
    ...more,
    ...conditionLines(csr, record, now),
    ...describeRules(csr, explanation, origin, profiles),
    ...certificateLines(csr, signers, now),
  ];
  return `${align(page)}\n\n${align(rest)}\n`;
}

function align(lines: readonly string[]): string {
  return alignTabs(lines.map(oneLine).join("\n"), DESCRIBE_TABS);
}

function summaryLines(csr: CertificateSigningRequest): string[] {
  const { metadata, spec } = csr;
  const seconds = spec.expirationSeconds;
  return [
    line`Name:\t${getName(csr)}`,
    line`Labels:\t${formatLabels(metadata.labels)}`,
    line`Annotations:\t${formatLabels(metadata.annotations)}`,
    line`CreationTimestamp:\t${formatRfc1123(metadata.creationTimestamp)}`,
    line`Requesting User:\t${spec.username ?? ""}`,
    ...(spec.signerName === "" ? [] : [line`Signer:\t${spec.signerName}`]),
    ...(seconds === undefined ? [] : [line`Requested Duration:\t${formatHumanDuration(seconds * 1000)}`]),
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

/** Shows the requested identity next to the requester, because an approver decides about the difference. */
function requesterLines(csr: CertificateSigningRequest, facts: RequestFacts): string[] {
  const { username = "", groups = [] } = csr.spec;
  const rows = Math.max(facts.subject.organizations.length, groups.length, 1);
  return [
    "Identity:\tRequested\tRequester",
    line`  User:\t${facts.subject.commonName || "<none>"}\t${username || "<none>"}`,
    ...Array.from({ length: rows }, (_, index) => {
      const title = index === 0 ? "  Groups:" : "";
      const none = index === 0 ? "<none>" : "";
      return line`${title}\t${facts.subject.organizations[index] ?? none}\t${groups[index] ?? none}`;
    }),
    "",
  ];
}

function requestLines(
  csr: CertificateSigningRequest,
  facts: RequestFacts,
  record: RequestRecord | undefined,
): string[] {
  const { address = "", userAgent = "" } = record?.spec ?? {};
  const signature = verifyRequest(facts);
  const extensions = facts.requestedExtensions.map(({ oid, critical }) => `${oid}${critical ? " (critical)" : ""}`);
  const { otherAttributes, overridden } = facts.subject;
  const unnamed = [...overridden, ...otherAttributes].map(({ oid, value = "" }) => `${oid}=${value}`);
  return [
    "Request:",
    // kubectl does not show these attributes, but signers that copy the subject put them into the certificate.
    ...(unnamed.length === 0 ? [] : [line`  Other subject attributes:\t${unnamed.join(", ")}`]),
    line`  Key:\t${formatKey(facts)}`,
    line`  Signature:\t${facts.signatureAlgorithm}, ${signature.ok ? "verified" : `not valid: ${signature.error}`}`,
    line`  Usages:\t${csr.spec.usages?.join(", ") ?? "<none>"}`,
    line`  Requested extensions:\t${extensions.join(", ") || "<none>"}`,
    ...(address === "" ? [] : [line`  Address:\t${address}`]),
    ...(userAgent === "" ? [] : [line`  Program:\t${userAgent}`]),
    "",
  ];
}

function conditionLines(csr: CertificateSigningRequest, record: RequestRecord | undefined, now: Date): string[] {
  const conditions = getConditions(csr);
  if (conditions.length === 0) return ["Conditions:\t<none>", ""];
  return [
    "Conditions:",
    "  Type\tStatus\tAge\tReason\tMessage",
    ...conditions.map((condition) => {
      const since = Date.parse(condition.lastUpdateTime ?? "");
      const age = Number.isNaN(since) ? "<unknown>" : formatHumanDuration(now.getTime() - since);
      return line`  ${condition.type}\t${condition.status}\t${age}\t${condition.reason ?? ""}\t${
        condition.message ?? ""
      }`;
    }),
    ...decisionLines(record),
    "",
  ];
}

/** Shows the user whom the server authenticated for the decision; a condition may name anyone. */
function decisionLines(record: RequestRecord | undefined): string[] {
  const decision = record?.status?.decision;
  if (decision === undefined) return [];
  const from = decision.address === undefined ? "" : ` from ${decision.address}`;
  return [line`  ${decision.type} by ${decision.username}${from} at ${decision.time ?? "<unknown>"}`];
}

function certificateLines(
  csr: CertificateSigningRequest,
  signers: readonly string[] | undefined,
  now: Date,
): string[] {
  const { certificate = "" } = csr.status;
  if (certificate === "") return ["Certificate:\t<none>", ...unsignedLines(csr, signers, now)];
  const leaf = findLeafCertificate(certificate);
  if (leaf === undefined) return ["Certificate:\tcannot be read"];
  return [
    "Certificate:",
    line`  Subject:\t${formatName(leaf.subject)}`,
    line`  Issuer:\t${formatName(leaf.issuer)}`,
    line`  Serial number:\t${leaf.serialNumber}`,
    line`  Validity:\t${formatValidity(leaf, now)}`,
  ];
}

/** Explains why there is no certificate; empty for a moment after the approval, which a signer needs. */
function unsignedLines(
  csr: CertificateSigningRequest,
  signers: readonly string[] | undefined,
  now: Date,
): string[] {
  const { signerName } = csr.spec;
  if (!isApproved(csr) || isFailed(csr)) {
    if (signers === undefined || signers.includes(signerName) || isSettled(csr)) return [];
    return [line`  no signer for "${signerName}" runs in the server: ${describeMissingSigner(signerName)}`];
  }
  const { lastTransitionTime, lastUpdateTime } = findCondition(csr, "Approved") ?? {};
  const waitedMs = now.getTime() - Date.parse(lastTransitionTime ?? lastUpdateTime ?? "");
  if (waitedMs < SIGNER_OVERDUE_MS) return [];
  const since = Number.isNaN(waitedMs) ? "" : ` for ${formatHumanDuration(waitedMs)}`;
  return [line`  approved${since}, but no signer has issued it: ${describeMissingSigner(signerName)}`];
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

/** Profiles of custom signers, by signer name. */
export type KnownProfiles = ReadonlyMap<string, SigningProfile>;

/** Describes the verdicts of the approval rules and of the signer's rules; empty when the request cannot be parsed. */
function describeRules(
  csr: CertificateSigningRequest,
  explanation: Explanation | undefined,
  origin: string,
  profiles: KnownProfiles,
): string[] {
  const request = parseRequest(csr.spec.request);
  if (!request.ok || explanation === undefined) return [];
  const { verdict, others } = explanation;
  return [
    "Approval rules:",
    line`  Policies:\t${origin}`,
    ...formatTrace(verdict.trace, { isBrief: true }),
    line`Verdict:\t${formatVerdict(verdict)}`,
    ...others.map(({ policy = "" }) =>
      line`Other policies:\tsee tlsboot approver explain ${shellWord(getName(csr))} --policy ${policy}`
    ),
    "",
    "Signer rules:",
    ...profileLines(csr, request.value, profiles),
    "",
  ];
}

/** Formats a line for each rule of the profile, with the verdict before the rule. */
function profileLines({ spec }: CertificateSigningRequest, facts: RequestFacts, profiles: KnownProfiles): string[] {
  const profile = BUILTIN_SIGNERS.get(spec.signerName) ?? profiles.get(spec.signerName);
  if (profile === undefined) {
    return [line`  ${spec.signerName}\tnot a built-in signer: its own profile decides (--profile)`];
  }
  const { rules, remarks = [] } = profile;
  if (rules.length === 0) return ["  none\tthis signer promises nothing"];
  const verdicts = rules.map((rule) => {
    const fault = rule.check(facts, spec.usages ?? [], spec.expirationSeconds);
    return fault === undefined ? line`  ok\t${rule.sentence}` : line`  refused\t${rule.sentence}; but ${fault}`;
  });
  return [...verdicts, ...remarks.map((remark) => line`  note\t${remark}`)];
}
