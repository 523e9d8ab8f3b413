/**
 * The names that machines hold. Some requests for a node's client certificate are held for a person, even if the
 * requester has permission: those with subject attributes that no kubelet requests, those for a machine that the
 * inventory lacks, and those for a node with a valid certificate for another key, because another machine may be
 * claiming its name. A DNS name or an address belongs to the user whose valid certificate contains it; a policy with
 * `names.unclaimed` leaves a request pending when another user holds one of its names.
 */
import { hash } from "node:crypto";
import { findLeafCertificate } from "../../request/issued_certificate.ts";
import { findCondition, hasCertificate, isApproved } from "../../request/phase.ts";
import { parseRequest } from "../../request/parse_request.ts";
import type { CertificateSigningRequest } from "../../kube/kinds/certificates_v1.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER } from "../../kube/kinds/constants.ts";
import { formatTime, getName } from "../../kube/meta.ts";
import type { IssuedCertificate } from "../../kube/kinds/tlsboot_v1alpha1.ts";
import { BOOTSTRAP_USER_PREFIX, NODE_USER_PREFIX } from "../../kube/user.ts";
import { shellWord } from "../../lib/printable.ts";
import { listExtraAttributes } from "../../pki/x509/names.ts";
import type { RequestFacts } from "../../pki/x509/pkcs10.ts";
import { readIdentity } from "../../register/certificate_user.ts";
import type { Inventory } from "./inventory.ts";
import type { Lookup, NameClaim, NodeCertificate } from "./ownership.ts";
import { isNodeClient } from "../recognizers.ts";
import type { Policy } from "../policy.ts";
import { canonicalIp } from "../../lib/ip_address.ts";

/** The settings for client certificates of nodes, from all policies. */
export interface NodeClientSettings {
  readonly reissue: "allow" | "whenExpiring" | "never";
  readonly machines: "any" | "inventory";
}

/** The reason why a request is held: a word for Events and metrics, and texts for people. */
export interface Hold {
  readonly kind: "UnusualSubject" | "NotInInventory" | "NameClaimed";
  readonly saw: string;
  readonly fault: string;
  readonly fix: string;
}

/**
 * A machine renews its certificate after 70 to 90 percent of the lifetime (client-go `certificate_manager.go`,
 * `jitteryDuration`), so a holder whose certificate is in its last tenth has probably stopped.
 */
const EXPIRING_FRACTION = 0.1;

/** Collects the settings: the first policy with `reissue` decides it, and any policy can require the inventory. */
export function collectNodeClientSettings(policies: readonly Policy[]): NodeClientSettings {
  return {
    reissue: policies.find(({ reissue }) => reissue !== undefined)?.reissue ?? "never",
    machines: policies.some(({ machines }) => machines === "inventory") ? "inventory" : "any",
  };
}

/** Finds the node whose client certificate a request asks for; undefined for any other request. */
export function findRequestedNode(csr: CertificateSigningRequest, facts: RequestFacts): string | undefined {
  if (!isNodeClient(csr, facts)) return undefined;
  return facts.subject.commonName.slice(NODE_USER_PREFIX.length);
}

/**
 * Finds the node whose client certificate a user other than the node requests; undefined for a renewal and any other
 * request.
 */
export function findClaimedNode(csr: CertificateSigningRequest, facts: RequestFacts): string | undefined {
  return csr.spec.username === facts.subject.commonName ? undefined : findRequestedNode(csr, facts);
}

/** The facts that a hold depends on. */
interface HoldInput {
  readonly csr: CertificateSigningRequest;
  readonly request: RequestFacts;
  readonly now: Date;
  readonly evidence: {
    readonly inventory: Inventory | undefined;
    readonly certificates: Lookup<readonly NodeCertificate[]>;
  };
}

/** Decides whether a request is held. The lookup fails when the certificates of the node could not be read. */
export function decideHold(settings: NodeClientSettings, input: HoldInput): Lookup<Hold> {
  const { csr, request, now, evidence } = input;
  const node = findRequestedNode(csr, request);
  if (node === undefined) return { kind: "none" };
  const [attribute] = listExtraAttributes(request.subject);
  if (attribute !== undefined) {
    return {
      kind: "found",
      value: {
        kind: "UnusualSubject",
        saw: attribute,
        fault: `the subject has "${attribute}" beyond common name and organization, which no kubelet requests`,
        fix: `find out which program made it; then deny it, or approve it by hand: ${formatApproveCommand(csr)}`,
      },
    };
  }
  if (settings.machines === "inventory" && evidence.inventory?.has(node) !== true) {
    return {
      kind: "found",
      value: {
        kind: "NotInInventory",
        saw: node,
        fault: `machine ${node} is not in the inventory`,
        fix: `if it is one of yours, add it to the inventory, or approve it by hand: ${formatApproveCommand(csr)}`,
      },
    };
  }
  if (settings.reissue === "allow" || findClaimedNode(csr, request) === undefined) return { kind: "none" };
  if (evidence.certificates.kind !== "found") return evidence.certificates;
  const holder = findHolder(evidence.certificates.value, request, settings, now);
  return holder === undefined ? { kind: "none" } : { kind: "found", value: describeClaim(csr, node, holder) };
}

/** Finds the conflicting certificate: the valid one with another key that expires last. */
function findHolder(
  certificates: readonly NodeCertificate[],
  request: RequestFacts,
  { reissue }: Pick<NodeClientSettings, "reissue">,
  now: Date,
): NodeCertificate | undefined {
  const valid = certificates.filter(({ notAfter }) => notAfter === undefined || now < notAfter);
  const holder = findLastWithOtherKey(valid, request, ({ publicKeyFingerprint: key, notAfter }) => ({
    key,
    endMs: notAfter?.getTime() ?? Infinity,
  }));
  return holder !== undefined && reissue === "whenExpiring" && isExpiring(holder, now) ? undefined : holder;
}

/** Finds the certificate that expires last; undefined if one of them has the key of the request. */
export function findLastWithOtherKey<T>(
  valid: readonly T[],
  request: RequestFacts,
  read: (certificate: T) => { readonly key: string | undefined; readonly endMs: number },
): T | undefined {
  const key = computeKeyFingerprint(request);
  // A request with a known key comes from the same machine, even if that has since renewed with another key.
  if (valid.some((certificate) => read(certificate).key === key)) return undefined;
  return valid.toSorted((a, b) => read(b).endMs - read(a).endMs)[0];
}

function isExpiring({ notBefore, notAfter }: NodeCertificate, now: Date): boolean {
  if (notBefore === undefined || notAfter === undefined) return false;
  const left = notAfter.getTime() - now.getTime();
  return left <= (notAfter.getTime() - notBefore.getTime()) * EXPIRING_FRACTION;
}

function describeClaim(csr: CertificateSigningRequest, node: string, holder: NodeCertificate): Hold {
  const { notAfter } = holder;
  if (holder.node === undefined) {
    return {
      kind: "NameClaimed",
      saw: "a certificate of an unknown node",
      fault: `the register does not say which node certificate ${holder.fingerprint ?? ""} is for; it may be ${node}'s`,
      fix: "find out whose it is, and revoke it if it is not needed: tlsboot get certificates -o wide; " +
        `or approve the request by hand: ${formatApproveCommand(csr)}`,
    };
  }
  const what = notAfter === undefined
    ? `${node} already has an approved request with another key`
    : `${node} already has a certificate until ${formatTime(notAfter)}`;
  return {
    kind: "NameClaimed",
    saw: notAfter === undefined ? "an approved request" : `valid until ${formatTime(notAfter)}`,
    fault: `${what}; another machine may be claiming its name`,
    fix: `find out which machine sent the request; if it is ${node} itself with a new key, approve it by hand: ` +
      `${formatApproveCommand(csr)}; otherwise deny it`,
  };
}

/** Formats the command that approves a request, with NAME for a request that has no name yet. */
export function formatApproveCommand(csr: CertificateSigningRequest): string {
  return `tlsboot approve ${shellWord(getName(csr) || "NAME")}`;
}

/** Computes the fingerprint of a key: SHA-256 (hex) of the SubjectPublicKeyInfo. */
export function computeKeyFingerprint({ publicKeyDer }: { readonly publicKeyDer: Uint8Array }): string {
  return hash("sha256", publicKeyDer);
}

/** Reads the certificate of a node from its request, or the approval if it is not issued yet. */
export function readNodeCertificate(
  csr: CertificateSigningRequest,
): NodeCertificate & { readonly node: string } | undefined {
  if (!isApproved(csr) || (!hasCertificate(csr) && findCondition(csr, "Failed") !== undefined)) return undefined;
  const request = parseRequest(csr.spec.request);
  const node = request.ok ? findRequestedNode(csr, request.value) : undefined;
  if (!request.ok || node === undefined) return undefined;
  const leaf = findLeafCertificate(csr.status.certificate ?? "");
  return {
    node,
    publicKeyFingerprint: computeKeyFingerprint(leaf ?? request.value),
    fingerprint: leaf?.sha256Fingerprint,
    notBefore: leaf?.notBefore,
    notAfter: leaf?.notAfter,
  };
}

/**
 * Reads the certificate of a node from a record of the register; undefined for any other record. A kubelet client
 * certificate whose user is unknown may belong to any node.
 */
export function readRecordedNodeCertificate(record: IssuedCertificate): NodeCertificate | undefined {
  const { spec } = record;
  if (spec.removed !== undefined) return undefined;
  const identity = readIdentity(record);
  const isNode = identity === undefined
    ? spec.signerName === KUBE_APISERVER_CLIENT_KUBELET_SIGNER
    : identity.username.startsWith(NODE_USER_PREFIX);
  if (!isNode) return undefined;
  return {
    node: identity?.username.slice(NODE_USER_PREFIX.length),
    // Records of earlier builds have no key, so they match none.
    publicKeyFingerprint: spec.publicKeyFingerprint ?? "",
    fingerprint: spec.fingerprint,
    notBefore: spec.notBefore === null ? undefined : new Date(spec.notBefore),
    notAfter: spec.notAfter === null ? undefined : new Date(spec.notAfter),
  };
}

/** The names of a certificate or a request. */
interface Named {
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
}

/** Lists the names and addresses of a request in the spelling of claims. */
export function listClaimedNames({ dnsNames = [], ipAddresses = [] }: Named): readonly string[] {
  return [...dnsNames.map((name) => name.toLowerCase()), ...ipAddresses.map((text) => canonicalIp(text) ?? text)];
}

/** The user of a certificate that is not for clients. */
const NO_USER = { username: "" };

/** Lists the names that a certificate in the register claims: none once it is revoked or its record was removed. */
export function listRecordedClaims(record: IssuedCertificate): readonly NameClaim[] {
  const { spec, status } = record;
  if (status.revocation !== undefined || spec.removed !== undefined || spec.isCA === true) return [];
  const { usages = [], requester, subject = "", publicKeyFingerprint = "", notAfter } = spec;
  const identity = usages.includes("client auth") ? readIdentity(record) : NO_USER;
  // A name is taken even if its holder is unknown.
  const holder = identity === undefined ? undefined : identity.username || requester?.username || subject;
  const end = notAfter === null ? undefined : new Date(notAfter);
  return listClaimedNames(spec).map((name) => ({ name, holder, publicKeyFingerprint, notAfter: end }));
}

/** Lists the names that an approved request claims before its certificate is in the register. */
export function listRequestClaims(csr: CertificateSigningRequest): readonly NameClaim[] {
  if (!isApproved(csr) || hasCertificate(csr)) return [];
  const request = parseRequest(csr.spec.request);
  if (!request.ok) return [];
  const publicKeyFingerprint = computeKeyFingerprint(request.value);
  const isIdentity = csr.spec.usages?.includes("client auth") === true;
  const holder = isIdentity ? request.value.subject.commonName : csr.spec.username ?? "";
  return listClaimedNames(request.value).map((name) => ({ name, holder, publicKeyFingerprint, notAfter: undefined }));
}

/**
 * Finds a name of a request that another user holds. A claim with the same key is the machine's own, so an interrupted
 * request can be repeated. Many machines may share a bootstrap token, so its user holds no names.
 */
export function findForeignClaim(
  claims: readonly NameClaim[],
  { csr, request, now }: {
    readonly csr: CertificateSigningRequest;
    readonly request: RequestFacts;
    readonly now: Date;
  },
): NameClaim | undefined {
  const names = new Set(listClaimedNames(request));
  const key = computeKeyFingerprint(request);
  const { username = "" } = csr.spec;
  const isShared = username.startsWith(BOOTSTRAP_USER_PREFIX);
  return claims.find(({ name, holder, publicKeyFingerprint, notAfter }) =>
    names.has(name) && publicKeyFingerprint !== key && (isShared || holder !== username) &&
    (notAfter === undefined || now < notAfter)
  );
}
