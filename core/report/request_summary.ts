/** One request as a row of a list: its holder, its signer, its requester and its state. */
import { findLeafCertificate } from "../request/issued_certificate.ts";
import { getCsrPhase } from "../request/phase.ts";
import { parseRequest } from "../request/parse_request.ts";
import type { CertificateSigningRequest } from "../kube/kinds/certificates_v1.ts";
import {
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBE_APISERVER_CLIENT_SIGNER,
  KUBELET_SERVING_SIGNER,
} from "../kube/kinds/constants.ts";
import { formatTime, getName } from "../kube/meta.ts";
import type { RequestFacts } from "../pki/x509/pkcs10.ts";
import { listAlternativeNames } from "../pki/x509/subject_alternative_names.ts";
import { formatShortIdentity, parseIdentity } from "./words.ts";
import { parseNodeUser } from "../kube/user.ts";

/** The state of a request. A request is `approved` only until its certificate is issued. */
export type CsrState = "pending" | "approved" | "issued" | "denied" | "failed";

/** The columns of a list of requests. Texts come from clients, so each user interface escapes them. */
export interface RequestSummary {
  readonly name: string;
  /** A prefix of the name that is unique among the given names. */
  readonly shortName: string;
  /** The identity or the names of the certificate: `node n7`, `user jane`, `web.example.com +2`. */
  readonly for: string;
  readonly signerName: string;
  /** The signer in few words: `kubelet client` for a signer of Kubernetes, its name for any other. */
  readonly signer: string;
  /** The requester: `token abc123`, `node n7`, `account kube-system/signer`, `jane`. */
  readonly requestedBy: string;
  /** RFC 3339; undefined for a request that was never stored. */
  readonly createdAt: string | undefined;
  /** The end of the issued certificate in RFC 3339; undefined while there is none. */
  readonly expiresAt: string | undefined;
  readonly state: CsrState;
}

/** Summarizes a request. `shortName` is that of `shortenNames`; by default the name is not shortened. */
export function summarizeRequest(csr: CertificateSigningRequest, shortName: string = getName(csr)): RequestSummary {
  const { signerName, username = "", request } = csr.spec;
  const facts = parseRequest(request);
  const phase = getCsrPhase(csr);
  const leaf = phase.kind === "issued" ? findLeafCertificate(phase.certificate) : undefined;
  return {
    name: getName(csr),
    shortName,
    for: facts.ok ? describeRequestedFor(signerName, facts.value) : "(cannot be read)",
    signerName,
    signer: shortenSignerName(signerName),
    requestedBy: formatShortIdentity(parseIdentity(username)),
    createdAt: csr.metadata.creationTimestamp,
    expiresAt: leaf === undefined ? undefined : formatTime(leaf.notAfter),
    state: phase.kind,
  };
}

const SIGNERS: ReadonlyMap<string, string> = new Map([
  [KUBE_APISERVER_CLIENT_KUBELET_SIGNER, "kubelet client"],
  [KUBELET_SERVING_SIGNER, "kubelet serving"],
  [KUBE_APISERVER_CLIENT_SIGNER, "API client"],
]);

/** Returns a few words for a signer of Kubernetes, and the name of any other. */
export function shortenSignerName(signerName: string): string {
  return SIGNERS.get(signerName) ?? signerName;
}

/** Describes briefly the holder or the names of the requested certificate. */
function describeRequestedFor(signerName: string, facts: RequestFacts): string {
  const { commonName } = facts.subject;
  const node = parseNodeUser(commonName);
  if (node !== undefined && SIGNERS.has(signerName)) return `node ${node}`;
  if (signerName === KUBE_APISERVER_CLIENT_SIGNER) return commonName === "" ? "(no user)" : `user ${commonName}`;
  const names = listAlternativeNames(facts);
  const [first = commonName, ...more] = names;
  if (first === "") return "(no name)";
  return more.length === 0 ? first : `${first} +${more.length}`;
}

/** The digests at the end of generated names: kubelet's in base64url, and tlsboot's in hexadecimal. */
const DIGEST = /^(node-csr-[\w-]{43}|.+-[0-9a-f]{20})$/;
const KUBELET_PREFIX = "node-csr-";
const HEX_DIGEST_LENGTH = 20;
/** The number of characters of a digest that a short name keeps at least. */
const SHORT_DIGEST_LENGTH = 5;

/**
 * Shortens names that end in a digest to a prefix that is unique among the given names. Other names stay whole. Pass
 * every name that a person may refer to, not only those that are shown.
 */
export function shortenNames(names: readonly string[]): ReadonlyMap<string, string> {
  const sorted = [...new Set(names)].sort();
  return new Map(sorted.map((name, index) => {
    if (!DIGEST.test(name)) return [name, name];
    // Neighbors in the order share the longest prefixes.
    const shared = Math.max(countShared(name, sorted[index - 1]), countShared(name, sorted[index + 1]));
    return [name, name.slice(0, Math.max(getTitleLength(name) + SHORT_DIGEST_LENGTH, shared + 1))];
  }));
}

/**
 * Finds the names to which a short name can refer: they end in a digest and begin with the text, which has at least
 * five characters of the digest. Other names have no short form, so `n1` never means `n10`.
 */
export function findShortened(text: string, names: readonly string[]): readonly string[] {
  return names.filter((name) =>
    DIGEST.test(name) && name.startsWith(text) && text.length >= getTitleLength(name) + SHORT_DIGEST_LENGTH
  );
}

/** Match short names with kubelet's digest and with tlsboot's, of which at least one character is missing. */
const KUBELET_SHORT_FORM = /^node-csr-[\w-]{5,42}$/;
const HEX_SHORT_FORM = /^[0-9a-f]{5,19}$/;

/** Reports whether a text can be a short name, so that other texts need no list of all names. */
export function isShortForm(text: string): boolean {
  const dash = text.lastIndexOf("-");
  return KUBELET_SHORT_FORM.test(text) || (dash > 0 && HEX_SHORT_FORM.test(text.slice(dash + 1)));
}

/** Returns the number of characters of a name before its digest. */
function getTitleLength(name: string): number {
  return name.startsWith(KUBELET_PREFIX) ? KUBELET_PREFIX.length : name.length - HEX_DIGEST_LENGTH;
}

function countShared(name: string, other = ""): number {
  let count = 0;
  while (count < other.length && name[count] === other[count]) count++;
  return count;
}
