/** Creates the view of a request from the available facts. */
import { computeKeyFingerprint, findClaimedNode, findLastWithOtherKey } from "../approval/evidence/claims.ts";
import type { NodeNames } from "../approval/evidence/inventory.ts";
import type { Verdict } from "../approval/decide_request.ts";
import { isSettled } from "../approval/recognizers.ts";
import { findLeafCertificate } from "../request/issued_certificate.ts";
import { describeMissingSigner, SIGNER_OVERDUE_MS } from "../request/signer_name.ts";
import { findCondition, getConditions, getCsrPhase, hasCertificate, isApproved, isFailed } from "../request/phase.ts";
import { parseRequest, verifyRequest } from "../request/parse_request.ts";
import type { CertificateSigningRequest, CertificateSigningRequestCondition } from "../kube/kinds/certificates_v1.ts";
import { formatHumanDuration } from "../lib/duration.ts";
import { formatTime, getName } from "../kube/meta.ts";
import type { IssuedCertificate, RequestRecord } from "../kube/kinds/tlsboot_v1alpha1.ts";
import { formatKey } from "../pki/keys/key_names.ts";
import { formatName } from "../pki/x509/names.ts";
import type { RequestFacts } from "../pki/x509/pkcs10.ts";
import { listAlternativeNames } from "../pki/x509/subject_alternative_names.ts";
import type { SigningProfile } from "../signing/profile.ts";
import { describeTarget, listAllowed, listWarnings } from "./warnings.ts";
import {
  type EarlierCertificate,
  getEarlierState,
  isOfHolder,
  listDifferences,
  listEarlierCertificates,
} from "./earlier.ts";
import { formatIdentity, formatLifetime, joinWords, parseIdentity } from "./words.ts";
import { summarizeRequest } from "./request_summary.ts";
import { describeInSentence } from "./sentence.ts";
import {
  type CertificateView,
  type ConditionView,
  type DecisionView,
  type EarlierCertificateView,
  listChanges,
  type OtherRequestView,
  type RequestedView,
  type RequesterView,
  type RequestView,
  type TokenView,
  toRuleViews,
  toSignerRuleViews,
  toVerdictView,
} from "./request_view.ts";
import { omitEmpty, omitUndefined } from "../lib/record.ts";
import type { SecretObject } from "../kube/kinds/core_v1.ts";
import { describeStoredProof, describeTokenProof, readTokenProof } from "../attestation/proof.ts";
import { readTokenLimits, readTokenUse } from "../token/bound_token.ts";
import { listTokenFacts } from "../token/token_secret.ts";

/** The available facts about a request. A fact that could not be read is undefined, and the view does not show it. */
export interface RequestViewInput {
  readonly csr: CertificateSigningRequest;
  readonly now: Date;
  /** The verdict of the approval rules, and those of the built-in policies that the approver does not have. */
  readonly rules?: {
    readonly verdict: Verdict;
    readonly others: readonly Verdict[];
    /** The source of the rules, as text. */
    readonly origin: string;
  } | undefined;
  /** Profiles of custom signers, by signer name. */
  readonly profiles?: ReadonlyMap<string, SigningProfile> | undefined;
  /** The signers that run in the server. */
  readonly signers?: readonly string[] | undefined;
  /** The server's own record of this request. */
  readonly record?: RequestRecord | undefined;
  readonly token?: TokenView | undefined;
  /** Every existing request, including decided ones. */
  readonly requests?: readonly CertificateSigningRequest[] | undefined;
  /** The records of certificates from the same signer; undefined when the API has no register. */
  readonly register?: readonly IssuedCertificate[] | undefined;
  /** The names and addresses that nodes report. */
  readonly reported?: ReadonlyMap<string, NodeNames> | undefined;
  /** The description of the Revocation that forbids the approval. */
  readonly revocation?: string | undefined;
  /** Whether roles grant everything to the requested user or to one of the requested groups. */
  readonly isAdministrator?: boolean | undefined;
}

export function createRequestView(input: RequestViewInput): RequestView {
  const { csr, now, rules, record, signers } = input;
  const request = parseRequest(csr.spec.request);
  const summary = summarizeRequest(csr);
  const { metadata, spec } = csr;
  const content = request.ok ? describeReadable(input, request.value) : describeUnreadable(input, request.error);
  return {
    name: summary.name,
    uid: metadata.uid ?? "",
    resourceVersion: metadata.resourceVersion ?? "",
    state: summary.state,
    stateText: describeState(csr),
    for: summary.for,
    ...omitUndefined({ createdAt: summary.createdAt, expiresAt: summary.expiresAt }),
    requester: toRequesterView(spec, record, input.token),
    ...content,
    // The verdict of the current rules does not apply to a request that is already decided.
    ...(rules === undefined || !request.ok || isSettled(csr) ? { rules: [], changes: [], otherPolicies: [] } : {
      verdict: toVerdictView(rules.verdict),
      origin: rules.origin,
      rules: toRuleViews(rules.verdict.trace),
      changes: listChanges(rules.verdict, rules.others),
      otherPolicies: rules.others.map(({ policy = "" }) => policy),
    }),
    conditions: getConditions(csr).map(toConditionView),
    ...omitUndefined({
      decision: toDecisionView(record),
      certificate: toCertificateView(csr),
      unsigned: explainUnsigned(csr, signers, now),
    }),
  };
}

type ContentView = Pick<
  RequestView,
  "sentence" | "warnings" | "requested" | "signerRules" | "allows" | "lastCertificate" | "difference" | "others"
>;

function describeUnreadable({ csr, token, now }: RequestViewInput, fault: string): ContentView {
  const { signerName, username = "", usages = [], expirationSeconds } = csr.spec;
  return {
    sentence: describeInSentence({
      username,
      signerName,
      expirationSeconds,
      facts: undefined,
      token,
      history: "unknown",
      isClaim: false,
      isPending: !isSettled(csr),
      now,
    }),
    warnings: [`the request cannot be read: ${fault}`],
    requested: {
      signerName,
      unreadable: fault,
      subject: "",
      commonName: "",
      organizations: [],
      otherAttributes: [],
      dnsNames: [],
      ipAddresses: [],
      uris: [],
      emails: [],
      usages,
      key: "",
      keyFingerprint: "",
      signatureAlgorithm: "",
      extensions: [],
      ...describeLifetime(expirationSeconds),
    },
    signerRules: [],
    allows: [],
  };
}

function describeReadable(input: RequestViewInput, facts: RequestFacts): ContentView {
  const { csr, now, record, token, register, requests, profiles = new Map() } = input;
  const { signerName, username = "", usages = [], expirationSeconds } = csr.spec;
  const requested = toRequestedView(csr, facts);
  const { keyFingerprint } = requested;
  const address = record?.spec.address || undefined;
  const earlier = excludeOwn(listEarlierCertificates(facts, register, requests), csr);
  const own = earlier.filter((certificate) => isOfHolder(certificate, signerName, facts));
  const [last] = own;
  const claimed = findClaimed(csr, facts, own, now);
  const others = requests === undefined ? undefined : listOthers(csr, facts, keyFingerprint, requests);
  const signerRules = toSignerRuleViews(csr, facts, profiles);
  return {
    sentence: describeInSentence({
      username,
      signerName,
      expirationSeconds,
      facts,
      token,
      history: last !== undefined ? "some" : register === undefined ? "unknown" : "none",
      isClaim: claimed !== undefined,
      isPending: !isSettled(csr),
      now,
    }),
    warnings: listWarnings({
      username,
      signerName,
      usages,
      facts,
      keyFingerprint,
      address,
      signatureFault: requested.signatureFault,
      revocation: input.revocation,
      token,
      lastCertificate: last,
      claimed,
      hold: isSettled(csr) ? undefined : input.rules?.verdict.hold?.fault,
      earlier,
      others: others ?? [],
      reported: input.reported,
      signerRules,
      isAdministrator: input.isAdministrator,
      now,
    }),
    requested,
    signerRules,
    ...(last === undefined ? {} : {
      lastCertificate: toEarlierView(last, keyFingerprint, now),
      difference: listDifferences(last, { facts, usages, expirationSeconds, username, address }),
    }),
    ...omitUndefined({ others }),
    allows: listAllowed({ signerName, usages, facts, isAdministrator: input.isAdministrator }),
  };
}

/** Removes the certificate of the request itself, and those that were issued after it. */
function excludeOwn(
  earlier: readonly EarlierCertificate[],
  csr: CertificateSigningRequest,
): readonly EarlierCertificate[] {
  const { uid } = csr.metadata;
  const leaf = findLeafCertificate(csr.status.certificate ?? "");
  const isOwn = ({ requestUid, fingerprint }: EarlierCertificate): boolean =>
    (uid !== undefined && requestUid === uid) || (leaf !== undefined && fingerprint === leaf.sha256Fingerprint);
  const own = earlier.findIndex(isOwn);
  // The list begins with the newest.
  return own === -1 ? earlier : earlier.slice(own + 1).filter((certificate) => !isOwn(certificate));
}

/** Finds another machine's certificate for a node name that the requester claims, by the rule of the approver. */
function findClaimed(
  csr: CertificateSigningRequest,
  facts: RequestFacts,
  own: readonly EarlierCertificate[],
  now: Date,
): EarlierCertificate | undefined {
  if (findClaimedNode(csr, facts) === undefined || isSettled(csr)) return undefined;
  const valid = own.filter((certificate) => getEarlierState(certificate, now) === "valid");
  return findLastWithOtherKey(valid, facts, ({ keyFingerprint: key, notAfter = "" }) => ({
    key,
    endMs: Date.parse(notAfter),
  }));
}

function listOthers(
  csr: CertificateSigningRequest,
  facts: RequestFacts,
  keyFingerprint: string,
  requests: readonly CertificateSigningRequest[],
): readonly OtherRequestView[] {
  const names = new Set(listAlternativeNames(facts));
  return requests.flatMap((other): OtherRequestView[] => {
    const { kind } = getCsrPhase(other);
    if (getName(other) === getName(csr) || (kind !== "pending" && kind !== "approved")) return [];
    const parsed = parseRequest(other.spec.request);
    if (!parsed.ok) return [];
    const isSameHolder = facts.subject.commonName !== "" && other.spec.signerName === csr.spec.signerName &&
      parsed.value.subject.commonName === facts.subject.commonName;
    const shared = listAlternativeNames(parsed.value).filter((name) => names.has(name));
    if (!isSameHolder && shared.length === 0) return [];
    return [{
      name: getName(other),
      state: kind,
      ...omitUndefined({ createdAt: other.metadata.creationTimestamp }),
      requestedBy: formatIdentity(parseIdentity(other.spec.username ?? "")),
      shares: isSameHolder ? describeTarget(facts, csr.spec.signerName) : joinWords(shared, MAX_SHARED),
      sameKey: computeKeyFingerprint(parsed.value) === keyFingerprint,
    }];
  });
}

/** The largest number of shared names in a list; the rest are only counted. */
const MAX_SHARED = 3;

function toRequesterView(
  { username = "", groups = [] }: CertificateSigningRequest["spec"],
  record: RequestRecord | undefined,
  token: TokenView | undefined,
): RequesterView {
  const identity = parseIdentity(username);
  const { address, userAgent, attested } = record?.spec ?? {};
  return {
    text: formatIdentity(identity),
    user: username,
    groups,
    ...(identity.kind === "token" ? { token: token ?? { id: identity.id } } : {}),
    ...omitEmpty({ proof: attested === undefined ? token?.proof : describeStoredProof(attested), address, userAgent }),
  };
}

function toRequestedView({ spec }: CertificateSigningRequest, facts: RequestFacts): RequestedView {
  const { subject } = facts;
  const signature = verifyRequest(facts);
  return {
    signerName: spec.signerName,
    subject: formatName(subject),
    commonName: subject.commonName,
    organizations: subject.organizations,
    otherAttributes: [...subject.overridden, ...subject.otherAttributes].map(({ oid, value = "" }) =>
      `${oid}=${value}`
    ),
    dnsNames: facts.dnsNames,
    ipAddresses: facts.ipAddresses,
    uris: facts.uris,
    emails: facts.emailAddresses,
    usages: spec.usages ?? [],
    key: formatKey(facts),
    keyFingerprint: computeKeyFingerprint(facts),
    signatureAlgorithm: facts.signatureAlgorithm,
    ...(signature.ok ? {} : { signatureFault: signature.error }),
    extensions: facts.requestedExtensions.map(({ oid, critical }) => `${oid}${critical ? " (critical)" : ""}`),
    ...describeLifetime(spec.expirationSeconds),
  };
}

function describeLifetime(seconds: number | undefined): Pick<RequestedView, "lifetime" | "expirationSeconds"> {
  return seconds === undefined ? {} : { lifetime: formatLifetime(seconds), expirationSeconds: seconds };
}

function toEarlierView(earlier: EarlierCertificate, keyFingerprint: string, now: Date): EarlierCertificateView {
  const { serialNumber, notBefore, notAfter, username, address } = earlier;
  return {
    ...omitUndefined({ serialNumber, notBefore, notAfter }),
    state: getEarlierState(earlier, now),
    ...omitUndefined({
      isSameKey: earlier.keyFingerprint === undefined ? undefined : earlier.keyFingerprint === keyFingerprint,
      requestedBy: username === undefined ? undefined : formatIdentity(parseIdentity(username)),
      address,
    }),
  };
}

function describeState(csr: CertificateSigningRequest): string {
  const phase = getCsrPhase(csr);
  if (phase.kind !== "denied" && phase.kind !== "failed") return phase.kind;
  return [phase.kind, phase.reason, phase.message].filter((text) => text !== "").join(": ");
}

function toConditionView(
  { type, status, reason = "", message = "", lastUpdateTime }: CertificateSigningRequestCondition,
): ConditionView {
  return { type, status, ...(lastUpdateTime === null ? {} : { since: lastUpdateTime }), reason, message };
}

function toDecisionView(record: RequestRecord | undefined): DecisionView | undefined {
  const decision = record?.status?.decision;
  if (decision === undefined) return undefined;
  const { type, username, address, time } = decision;
  return { type, user: username, ...omitUndefined({ address, time: time ?? undefined }) };
}

function toCertificateView({ status: { certificate = "" } }: CertificateSigningRequest): CertificateView | undefined {
  if (certificate === "") return undefined;
  const leaf = findLeafCertificate(certificate);
  if (leaf === undefined) {
    return { unreadable: true, subject: "", issuer: "", serialNumber: "", notBefore: "", notAfter: "" };
  }
  return {
    subject: formatName(leaf.subject),
    issuer: formatName(leaf.issuer),
    serialNumber: leaf.serialNumber,
    notBefore: formatTime(leaf.notBefore),
    notAfter: formatTime(leaf.notAfter),
  };
}

/** Explains why there is no certificate; undefined shortly after the approval, because a signer needs some time. */
function explainUnsigned(
  csr: CertificateSigningRequest,
  signers: readonly string[] | undefined,
  now: Date,
): string | undefined {
  if (hasCertificate(csr)) return undefined;
  const { signerName } = csr.spec;
  if (!isApproved(csr) || isFailed(csr)) {
    if (signers === undefined || signers.includes(signerName) || isSettled(csr)) return undefined;
    return `no signer for "${signerName}" runs in the server: ${describeMissingSigner(signerName)}`;
  }
  const { lastTransitionTime, lastUpdateTime } = findCondition(csr, "Approved") ?? {};
  const waitedMs = now.getTime() - Date.parse(lastTransitionTime ?? lastUpdateTime ?? "");
  if (waitedMs < SIGNER_OVERDUE_MS) return undefined;
  const since = Number.isNaN(waitedMs) ? "" : ` for ${formatHumanDuration(waitedMs)}`;
  return `approved${since}, but no signer has issued it: ${describeMissingSigner(signerName)}`;
}

/** Describes a token; without its Secret, the token no longer exists. */
export function toTokenView(id: string, secret: SecretObject | undefined): TokenView {
  const facts = secret === undefined ? undefined : listTokenFacts(secret);
  if (secret === undefined || facts === undefined) return { id, isGone: true };
  const limits = readTokenLimits(secret);
  const { createdAt, createdBy, boundKeys } = readTokenUse(secret);
  const { node, maxKeys } = limits.ok ? limits.value : {};
  const { expiration, description } = facts;
  const proof = readTokenProof(secret);
  return {
    id,
    ...omitEmpty({
      createdAt: createdAt && formatTime(createdAt),
      createdBy,
      expiresAt: expiration.kind === "at" ? formatTime(expiration.at) : undefined,
      description,
      proof: proof && describeTokenProof(proof),
      node,
      usesLeft: maxKeys === undefined ? undefined : Math.max(0, maxKeys - boundKeys.length),
    }),
  };
}
