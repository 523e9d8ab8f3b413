/**
 * Describes requests: kubectl's page first (kubectl `pkg/describe/describe.go`), then the requested identity next to
 * the requester, and the rules' verdicts.
 */
import { resolve } from "node:path";
import { type ApiClient, withQuery } from "../../../client/objects/api.ts";
import { AppError, isAppError } from "../../../core/errors.ts";
import type { CertificateSigningRequest } from "../../../core/kube/kinds/certificates_v1.ts";
import type { Event } from "../../../core/kube/kinds/core_v1.ts";
import { createCustomProfile } from "../../../core/signing/custom_profile.ts";
import type { SigningProfile } from "../../../core/signing/profile.ts";
import { createProfileError } from "../../../controllers/signer/profile_provider.ts";
import { findPurposeFault } from "../../../core/signing/profile_spec.ts";
import type { describeCsrCommand } from "./flags.ts";
import { connect } from "../../connection.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Tools } from "../../io.ts";
import { readProfileFile } from "../../../instance/controllers/signer_profiles.ts";
import { getCsrByName, listCsrs, parseCsrNames } from "../../../client/admin/csrs.ts";
import { readApproverSettings } from "../../../client/admin/published_settings.ts";
import { createRequestViews } from "../../../client/admin/request_views.ts";
import { listRequestsOfMachine } from "./targets.ts";
import { formatConditionCell } from "../../../core/request/phase.ts";
import { parseRequest } from "../../../core/request/parse_request.ts";
import { formatHumanDuration } from "../../../core/lib/duration.ts";
import { getName } from "../../../core/kube/meta.ts";
import type { RequestFacts } from "../../../core/pki/x509/pkcs10.ts";
import type { RequestView } from "../../../core/report/request_view.ts";
import { line } from "../../../core/lib/printable.ts";
import { type DescribedLine, formatDescription } from "../../output/layout.ts";
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
} from "./view_text.ts";
import { forEachItem } from "../../framework/report.ts";

export async function run(input: Input<typeof describeCsrCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { signal } = tools;
  const names = parseCsrNames(input.args);
  const profiles = await readProfiles(input.settings.profile, tools);
  await using connection = await connect(input.settings, tools);
  const { api } = connection;
  const chosen = await readApproverSettings(api, signal);
  const views = createRequestViews(connection, { chosen, profiles }, tools);
  let isFirst = true;
  const show = async (csr: CertificateSigningRequest): Promise<void> => {
    const [events, view] = await Promise.all([findEvents(api, csr, signal), views.view(csr, signal)]);
    tools.stdout.write(`${isFirst ? "" : "\n\n"}${describeRequest(csr, view, events, tools.clock.now())}`);
    isFirst = false;
  };
  if (names.length > 0) {
    return await forEachItem(
      names,
      async (name) => {
        for (const csr of await findRequests(api, name, signal)) await show(csr);
      },
      tools,
    );
  }
  const { items } = await listCsrs(api, {}, signal);
  if (items.length === 0) tools.stderr.write("No resources found\n");
  for (const csr of items) await show(csr);
  return EXIT.done;
}

/** Finds a request by its name or short name, or else the requests for the machine of that name. */
async function findRequests(
  api: ApiClient,
  name: string,
  signal: AbortSignal,
): Promise<readonly CertificateSigningRequest[]> {
  try {
    return [await getCsrByName(api, name, signal)];
  } catch (error) {
    if (!isAppError(error, "not_found")) throw error;
    const found = await listRequestsOfMachine(api, name, signal);
    if (found.length === 0) throw error;
    return found;
  }
}

/** Reads profiles and returns them by signer name. A file without a signer name is refused. */
async function readProfiles(
  paths: readonly string[],
  { files, cwd }: Tools,
): Promise<ReadonlyMap<string, SigningProfile>> {
  const profiles = new Map<string, SigningProfile>();
  for (const path of paths) {
    const spec = await readProfileFile(resolve(cwd, path), files);
    const fault = findPurposeFault(spec, false);
    if (fault !== undefined) throw createProfileError(path, [fault]);
    if (spec.signerName === undefined) {
      throw createProfileError(path, ["signerName: missing; name the signer that these rules are for"]);
    }
    profiles.set(spec.signerName, createCustomProfile(spec.signerName, spec));
  }
  return profiles;
}

/** Reads the Events of a request; undefined when they cannot be read, because kubectl omits them then. */
async function findEvents(
  api: ApiClient,
  csr: CertificateSigningRequest,
  signal: AbortSignal,
): Promise<readonly Event[] | undefined> {
  const { name = "", uid = "" } = csr.metadata;
  const fieldSelector = [
    `involvedObject.name=${name}`,
    "involvedObject.namespace=",
    "involvedObject.kind=CertificateSigningRequest",
    `involvedObject.uid=${uid}`,
  ].join(",");
  try {
    const path = withQuery("/api/v1/events", { fieldSelector, limit: "500" });
    return (await api.requestList<Event>({ method: "GET", path }, signal)).items;
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof AppError)) throw error;
    return undefined;
  }
}

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
    [line`Summary:\t${view.sentence}.`, ...view.warnings.map((text) => ["Warning", text] as const)],
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
