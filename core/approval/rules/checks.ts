/** Checks the requirements of a rule. Each check reports the actual value, the outcome, and how to fix a failure. */
import { describeTokenProof, type TokenProof } from "../../attestation/proof.ts";
import { formatDuration } from "../../lib/duration.ts";
import type { CertificateSigningRequest } from "../../kube/kinds/certificates_v1.ts";
import { isInNetwork } from "../../lib/ip_address.ts";
import { formatName, listExtraAttributes } from "../../pki/x509/names.ts";
import { listAlternativeNames } from "../../pki/x509/subject_alternative_names.ts";
import { findDnsNameFault } from "../../pki/x509/name_syntax.ts";
import type { RequestFacts } from "../../pki/x509/pkcs10.ts";
import { decideOwnership, type Lookup, type OwnershipEvidence } from "../evidence/ownership.ts";
import { matchesDeepPattern, matchesPattern, matchesRequesterPattern } from "../../lib/linear_text.ts";
import { formatTime } from "../../kube/meta.ts";
import { BOOTSTRAPPERS_GROUP, NODES_GROUP } from "../../kube/user.ts";
import { formatGrantCommand, type Grantee } from "../approver_rbac.ts";
import type { RequestPart } from "../../signing/profile.ts";
import { findForeignClaim, formatApproveCommand, listClaimedNames } from "../evidence/claims.ts";
import {
  type AttestationRequirement,
  type EvidenceSettings,
  type HoursRequirement,
  type KeyRequirement,
  type LifetimeRequirement,
  type NamesRequirement,
  type RateRequirement,
  type SubjectRequirement,
  type UsagesRequirement,
  WEEKDAYS,
} from "../policy.ts";
import type { PastApproval } from "../conditions.ts";
import { omitUndefined } from "../../lib/record.ts";

const NO_NAMES: NamesRequirement = { owned: false, atLeastOne: false, dns: [], ips: [], uris: [], emails: [] };

/** The facts that a policy is evaluated with. */
export interface PolicyInput {
  readonly csr: CertificateSigningRequest;
  readonly request: RequestFacts;
  readonly now: Date;
  readonly evidence: OwnershipEvidence;
  /** Whether the requester may `create` each virtual subresource of certificatesigningrequests. */
  readonly permissions: ReadonlyMap<string, Lookup<boolean>>;
  /** Earlier approvals of the same requester. */
  readonly approvedBefore: readonly PastApproval[];
  /** The proof for which the requester got its bootstrap token. */
  readonly proof?: TokenProof | undefined;
}

/** What a check examines: a part of the request, or a fact about it. */
export type CheckKind =
  | RequestPart
  | "names"
  | "ownership"
  | "holder"
  | "hours"
  | "rate"
  | "permission"
  | "requester"
  | "machine"
  | "token"
  | "proof"
  | "revocation";

/** The outcome of one requirement. */
export interface Check {
  readonly what: CheckKind;
  readonly saw: string;
  readonly outcome: "holds" | "fails" | "unknown";
  /** The fault and its fix when the requirement does not hold. Checks of a rule that denies have no fix. */
  readonly fault?: string;
  readonly fix?: string;
}

/** Checks common name and organizations, and that the subject has no other attribute. */
export function checkSubject(wanted: SubjectRequirement, { csr, request }: PolicyInput): Check {
  const { commonNames, organizations } = wanted;
  const { subject } = request;
  const saw = formatName(subject) || "none";
  const isNamed = subject.commonName === ""
    ? commonNames.length === 0
    : matchesCommonName(subject.commonName, commonNames, csr, request);
  if (!isNamed) {
    const patterns = commonNames.map((pattern) =>
      pattern.split("${requester}").join(csr.spec.username ?? "").split(DNS).join(request.dnsNames[0] ?? "")
    );
    return fails(
      "subject",
      saw,
      `common name "${subject.commonName}" is not ${patterns.length === 0 ? "empty" : `"${patterns.join('" or "')}"`}`,
      "request the right common name, or use the credential of the right user",
    );
  }
  const extra = subject.organizations.find((name) => !organizations.includes(name));
  if (extra !== undefined) {
    return fails("subject", saw, `organization "${extra}" is not allowed`, "leave it out of the request");
  }
  const missing = organizations.find((name) => !subject.organizations.includes(name));
  if (missing !== undefined) {
    return fails("subject", saw, `organization "${missing}" is missing`, "add it to the request");
  }
  const [other] = listExtraAttributes(subject);
  if (other !== undefined) {
    const fault = `the subject has "${other}" beyond common name and organization`;
    return fails("subject", saw, fault, "leave it out of the request");
  }
  return holds("subject", saw);
}

/**
 * Checks the subject for a rule with `then: deny`: one of the listed common names and all of the listed organizations.
 * Other attributes are ignored, because otherwise one more attribute would circumvent the rule.
 */
export function checkDeniedSubject(wanted: SubjectRequirement, { csr, request }: PolicyInput): Check {
  const { subject } = request;
  const saw = formatName(subject) || "none";
  const { commonNames } = wanted;
  const requested = [subject.commonName, ...subject.overridden.map(({ value = "" }) => value)];
  if (commonNames.length > 0 && !requested.some((value) => matchesCommonName(value, commonNames, csr, request))) {
    return fails("subject", saw, `common name "${subject.commonName}" does not match`);
  }
  const missing = wanted.organizations.find((name) => !subject.organizations.includes(name));
  if (missing !== undefined) return fails("subject", saw, `organization "${missing}" is missing`);
  return holds("subject", saw);
}

/** The placeholder for one of the DNS names of the request in a pattern of common names. */
const DNS = "${dns}";

function matchesCommonName(
  value: string,
  patterns: readonly string[],
  csr: CertificateSigningRequest,
  { dnsNames }: RequestFacts,
): boolean {
  return patterns.some((pattern) =>
    pattern.includes(DNS)
      // A DNS name is compared literally, even if it contains a star.
      ? dnsNames.some((name) => value === pattern.split(DNS).join(name))
      : matchesRequesterPattern(value, pattern, csr.spec.username ?? "")
  );
}

/** Checks the names against the listed patterns and address ranges; `checkOwned` checks ownership. */
export function checkNames(wanted: NamesRequirement = NO_NAMES, { request }: PolicyInput): Check {
  const { dnsNames, ipAddresses, emailAddresses, uris, otherNames } = request;
  const saw = listAlternativeNames(request).join(" ") || "none";
  const refuse = (fault: string, fix = "leave it out of the request") => fails("names", saw, fault, fix);
  if (otherNames > 0) return refuse("a name is not a DNS name, an address, an e-mail address or a URI");
  if (wanted.atLeastOne && dnsNames.length + ipAddresses.length === 0) {
    return refuse("there is no DNS name or address", "request the name or address that clients use");
  }
  const email = emailAddresses.find((value) => !wanted.emails.some((pattern) => matchesPattern(value, pattern)));
  if (email !== undefined) return refuse(`e-mail address "${email}" is not allowed`);
  const uri = uris.find((value) => !wanted.uris.some((pattern) => matchesPattern(value, pattern)));
  if (uri !== undefined) return refuse(`URI "${uri}" is not allowed`);
  if (wanted.owned) return holds("names", saw);
  const dns = dnsNames.find((value) => !wanted.dns.some((pattern) => matchesDnsPattern(value, pattern)));
  if (dns !== undefined) return refuse(`DNS name "${dns}" is not allowed`);
  const ip = ipAddresses.find((value) => !wanted.ips.some((range) => isInNetwork(value, range)));
  if (ip !== undefined) return refuse(`address ${ip} is not allowed`);
  return holds("names", saw);
}

/** Checks the names for a rule with `then: deny`: one listed name of any kind is enough, and other names are ignored. */
export function checkDeniedNames(wanted: NamesRequirement, { request }: PolicyInput): Check {
  const { dnsNames, ipAddresses, emailAddresses, uris } = request;
  const saw = listAlternativeNames(request).join(" ") || "none";
  if (wanted.atLeastOne && dnsNames.length + ipAddresses.length === 0) {
    return fails("names", saw, "there is no DNS name or address");
  }
  const listed = [...wanted.dns, ...wanted.ips, ...wanted.emails, ...wanted.uris];
  const isListed =
    dnsNames.some((value) => wanted.dns.some((pattern) => matchesDnsPattern(value.toLowerCase(), pattern))) ||
    ipAddresses.some((value) => wanted.ips.some((range) => isInNetwork(value, range))) ||
    emailAddresses.some((value) => wanted.emails.some((pattern) => matchesPattern(value, pattern))) ||
    uris.some((value) => wanted.uris.some((pattern) => matchesPattern(value, pattern)));
  if (listed.length > 0 && !isListed) return fails("names", saw, "none of the names is denied");
  return holds("names", saw);
}

/** Checks that every DNS name and address belongs to the requesting node. */
export function checkOwned(
  node: string | undefined,
  settings: EvidenceSettings,
  { request, evidence }: PolicyInput,
): Check {
  const values = [
    ...request.dnsNames.map((value) => ["dns", value] as const),
    ...request.ipAddresses.map((value) => ["ips", value] as const),
  ];
  if (node === undefined) {
    return fails(
      "ownership",
      "no node",
      "the requester is not a node",
      "only nodes own names: send the request as system:node:<name> in group system:nodes",
    );
  }
  const decided = values.map(([field, value]) => ({
    value,
    answer: decideOwnership(node, field, value, evidence, settings),
  }));
  const saw = decided.map(({ value, answer }) => `${value} by ${answer.kind === "owned" ? answer.by : "nothing"}`).join(
    ", ",
  );
  const foreign = decided.map(({ answer }) => answer).filter((answer) => answer.kind === "foreign");
  if (foreign.length > 0) {
    const join = (texts: readonly string[]) => [...new Set(texts)].join("; ");
    return fails("ownership", saw, join(foreign.map(({ fault }) => fault)), join(foreign.map(({ fix }) => fix)));
  }
  const unknown = decided.map(({ answer }) => answer).find((answer) => answer.kind === "unknown");
  if (unknown !== undefined) return cannotCheck("ownership", saw, unknown.message);
  return holds("ownership", saw);
}

/** Checks that no other user holds one of the names, and that none belongs to the API server. */
export function checkUnclaimed(input: PolicyInput): Check {
  const { request, evidence: { claims, server } } = input;
  const names = listClaimedNames(request);
  const saw = names.join(" ") || "none";
  const byHand = `approve it by hand: ${formatApproveCommand(input.csr)}`;
  const servers = names.find((name) => server.dns.includes(name) || server.ips.includes(name));
  if (servers !== undefined) {
    const fix = `choose another name; if this is the machine of the API server itself, ${byHand}`;
    return fails("holder", saw, `${servers} belongs to the API server`, fix);
  }
  if (claims?.kind === "failed") return cannotCheck("holder", saw, claims.message);
  if (claims === undefined) {
    return fails("holder", saw, "there is no register of the holders of names", byHand);
  }
  const claim = claims.kind === "found" ? findForeignClaim(claims.value, input) : undefined;
  if (claim === undefined) return holds("holder", saw);
  const { name, holder, notAfter } = claim;
  const until = notAfter === undefined ? "by an approved request" : `until ${formatTime(notAfter)}`;
  return fails(
    "holder",
    saw,
    `${name} belongs to another machine: ${holder ?? "an unknown user"} holds it ${until}`,
    `if the machine was reinstalled or replaced, ${byHand}, or revoke the other certificate: tlsboot revoke`,
  );
}

/** Checks the requested key usages. */
export function checkUsages({ allowed, required }: UsagesRequirement, { csr }: PolicyInput): Check {
  const usages = csr.spec.usages ?? [];
  const saw = usages.length === 0 ? "none" : usages.join(", ");
  const extra = usages.find((usage) => !allowed.includes(usage));
  if (extra !== undefined) {
    return fails("usages", saw, `usage "${extra}" is not allowed`, "leave it out of the request");
  }
  const missing = required.find((usage) => !usages.includes(usage));
  if (missing !== undefined) return fails("usages", saw, `usage "${missing}" is missing`, "add it to the request");
  return holds("usages", saw);
}

export function checkKey(keys: readonly KeyRequirement[], { request }: PolicyInput): Check {
  const { keyAlgorithm, keyBits } = request;
  const saw = `${keyAlgorithm} ${keyBits}`;
  if (keys.some(({ type, minBits = 0 }) => type === keyAlgorithm && keyBits >= minBits)) return holds("key", saw);
  const allowed = keys.map(({ type, minBits }) => minBits === undefined ? type : `${type} of ${minBits} bits or more`)
    .join(", ");
  return fails("key", saw, `a key ${saw} is not allowed`, `make a new key: ${allowed}`);
}

/** Checks the requested lifetime against the requirement. */
export function checkLifetime({ maxMs, mayBeAbsent }: LifetimeRequirement, { csr }: PolicyInput): Check {
  const seconds = csr.spec.expirationSeconds;
  if (seconds === undefined) {
    return mayBeAbsent
      ? holds("lifetime", "left to the signer")
      : fails("lifetime", "left to the signer", "the request has no lifetime", "set spec.expirationSeconds");
  }
  const saw = formatDuration(seconds * 1_000);
  if (maxMs === undefined || seconds * 1_000 <= maxMs) return holds("lifetime", saw);
  return fails("lifetime", saw, `${saw} is longer than ${formatDuration(maxMs)}`, "request a shorter lifetime");
}

/** Checks the day and the time in UTC. */
export function checkHours({ days, from, to }: HoursRequirement, { now }: PolicyInput): Check {
  const day = WEEKDAYS[now.getUTCDay()] ?? "Sun";
  const minutes = now.getUTCHours() * 60 + now.getUTCMinutes();
  const saw = `${day} ${clock(minutes)} UTC`;
  if (days.includes(day) && minutes >= from && minutes < to) return holds("hours", saw);
  return fails(
    "hours",
    saw,
    `${saw} is outside of ${days.join(", ")} ${clock(from)} to ${clock(to)} UTC`,
    "wait, or approve by hand: tlsboot approve",
  );
}

/** Checks how many requests of the same requester the rule has approved recently. */
export function checkRate(
  { max, perMs }: RateRequirement,
  { policy, rule }: { readonly policy: string; readonly rule: string },
  { approvedBefore, now }: PolicyInput,
): Check {
  const recent =
    approvedBefore.filter((past) =>
      past.policy === policy && past.rule === rule && now.getTime() - past.at.getTime() < perMs
    ).length;
  const saw = `${recent} within ${formatDuration(perMs)}`;
  if (recent < max) return holds("rate", saw);
  return fails(
    "rate",
    saw,
    `${recent} requests of this requester were approved within ${formatDuration(perMs)}, ${max} are allowed`,
    "find out why it sends so many requests; approve by hand: tlsboot approve",
  );
}

/** Checks the proof for which the requester got its bootstrap token. */
export function checkProof({ kind, maxAgeMs }: AttestationRequirement, { csr, proof, now }: PolicyInput): Check {
  const how = kind === undefined ? "" : ` by ${kind}`;
  const fix = `get the certificate with: tlsboot bootstrap --attest ${kind ?? "tpm"}; a machine without a proof ` +
    `needs a person: ${formatApproveCommand(csr)}`;
  if (proof === undefined) {
    return fails("proof", "none", `the requester has not proven its identity${how}`, fix);
  }
  const saw = describeTokenProof(proof);
  if (kind !== undefined && proof.kind !== kind) {
    return fails("proof", saw, `the requester has proven its identity by ${proof.kind}, not by ${kind}`, fix);
  }
  const ageMs = now.getTime() - proof.at.getTime();
  if (maxAgeMs === undefined || ageMs <= maxAgeMs) return holds("proof", saw);
  const age = formatDuration(Math.floor(ageMs / 1_000) * 1_000);
  return fails("proof", saw, `the proof is ${age} old, and at most ${formatDuration(maxAgeMs)} is allowed`, fix);
}

/** Checks the result of a SubjectAccessReview. */
export function checkPermission(permission: string, { csr, permissions }: PolicyInput): Check {
  const answer = permissions.get(permission) ?? { kind: "none" };
  if (answer.kind === "failed") return cannotCheck("permission", permission, answer.message);
  if (answer.kind === "found" && answer.value) return holds("permission", permission);
  return fails(
    "permission",
    permission,
    `the requester may not create certificatesigningrequests/${permission}`,
    `grant create on certificatesigningrequests/${permission}: ${formatGrantCommand(permission, findGrantee(csr))}`,
  );
}

/** Finds the grantee of a permission: the requester's group of tokens or nodes, or else the requester itself. */
function findGrantee({ spec: { username = "", groups = [] } }: CertificateSigningRequest): Grantee {
  const group = groups.find((name) => name.startsWith(`${BOOTSTRAPPERS_GROUP}:`)) ??
    groups.find((name) => name === NODES_GROUP || name === BOOTSTRAPPERS_GROUP);
  return group === undefined ? { kind: "user", name: username } : { kind: "group", name: group };
}

function matchesDnsPattern(name: string, pattern: string): boolean {
  // "**" is not a wildcard in a certificate, so a name that contains it never matches.
  if (name === pattern && !pattern.includes("**")) return true;
  return findDnsNameFault(name) === undefined && matchesDeepPattern(name, pattern, ".");
}

function clock(minutes: number): string {
  return `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
}

function holds(what: CheckKind, saw: string): Check {
  return { what, saw, outcome: "holds" };
}

/** Creates the outcome of a check whose fact could not be read. */
export function cannotCheck(what: CheckKind, saw: string, fault: string): Check {
  return { what, saw, outcome: "unknown", fault, fix: "it is retried automatically" };
}

function fails(what: CheckKind, saw: string, fault: string, fix?: string): Check {
  return { what, saw, outcome: "fails", fault, ...omitUndefined({ fix }) };
}
