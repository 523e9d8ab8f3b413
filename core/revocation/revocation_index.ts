/**
 * Finds the Revocation of a credential, of a request and of an issued certificate, with the register's facts about each
 * certificate. Every search is a few lookups in maps, because it runs with each request to the API.
 */
import { omitEmpty } from "../lib/record.ts";
import { isReplacementToken } from "../token/bound_token.ts";
import { findTokenId } from "../token/token_secret.ts";
import { parseRequest } from "../request/parse_request.ts";
import type { CertificateSigningRequest } from "../kube/kinds/certificates_v1.ts";
import type { SecretObject } from "../kube/kinds/core_v1.ts";
import { getName } from "../kube/meta.ts";
import type { CertificateRevocation, IssuedCertificate, Revocation } from "../kube/kinds/tlsboot_v1alpha1.ts";
import { CREDENTIAL_ID_KEY, CREDENTIAL_ID_PREFIX, NODE_USER_PREFIX, type UserInfo } from "../kube/user.ts";
import { type IdentifiedUser, readIdentity } from "../register/certificate_user.ts";
import {
  describeRevocation,
  findRevocationTarget,
  REVOCATION_TARGET_KINDS,
  type RevocationTarget,
  type RevocationTargetKind,
} from "./revocation.ts";

/** The parts of a client certificate on which revocations depend. */
export interface PresentedCertificate {
  readonly serialNumber: string;
  /** SHA-256 (hex) of the DER. */
  readonly fingerprint: string;
  readonly notBefore: Date;
}

/** The parts of a certificate signing request on which revocations depend. */
export interface RevocableRequest {
  /** The user that the certificate would identify: CN and organizations of the requested subject. */
  readonly subject: IdentifiedUser;
  readonly requester: IdentifiedUser;
  /** SHA-256 (hex) of the client certificate of the requester; undefined for other credentials. */
  readonly certificateFingerprint: string | undefined;
  /** The Secret of the bootstrap token of the requester; undefined for other credentials, and when it is gone. */
  readonly tokenSecret: SecretObject | undefined;
}

/** The Revocation that applies, and the reason in words. */
export interface RevocationMatch {
  readonly revoked: Revocation;
  /** A sentence without a period, such as `the requester: user "alice" is revoked since … (keyCompromise)`. */
  readonly message: string;
}

/** The user of an unreadable request, which no Revocation of a user, a group or a node covers. */
const NO_USER: IdentifiedUser = { username: "", groups: [] };

/**
 * Reads the parts of a request on which revocations depend, except the Secret of its token. An unreadable request has
 * no subject.
 */
export function readRevocableRequest({ spec }: CertificateSigningRequest): Omit<RevocableRequest, "tokenSecret"> {
  const { username = "", groups = [], extra = {} } = spec;
  const request = parseRequest(spec.request);
  const { commonName, organizations } = request.ok ? request.value.subject : { commonName: "", organizations: [] };
  return {
    subject: { username: commonName, groups: organizations },
    requester: { username, groups },
    certificateFingerprint: findCertificateFingerprint(extra),
  };
}

/** Finds the SHA-256 (hex) of a user's client certificate in the extra of the user. */
export function findCertificateFingerprint(extra: UserInfo["extra"]): string | undefined {
  const [credentialId = ""] = extra[CREDENTIAL_ID_KEY] ?? [];
  return credentialId.startsWith(CREDENTIAL_ID_PREFIX) ? credentialId.slice(CREDENTIAL_ID_PREFIX.length) : undefined;
}

/** An index of all Revocations by their targets. */
export class RevocationIndex {
  readonly #byName = new Map<string, { readonly target: RevocationTarget; readonly revoked: Revocation }>();
  readonly #byTarget: Readonly<Record<RevocationTargetKind, Map<string, Revocation>>> = {
    serial: new Map(),
    node: new Map(),
    user: new Map(),
    group: new Map(),
    token: new Map(),
  };
  /** The tokens whose certificates are revoked too. */
  readonly #tokensWithCertificates = new Map<string, Revocation>();
  readonly #findRecorded: FindRecorded | undefined;

  /**
   * @param findRecorded finds the facts in the register about a certificate; without it, the API server has to apply
   * the rules that depend on the register or on a token's Secret
   */
  constructor(findRecorded?: FindRecorded) {
    this.#findRecorded = findRecorded;
  }

  get size(): number {
    return this.#byName.size;
  }

  /** Counts the Revocations of each kind of target. */
  count(): Readonly<Record<RevocationTargetKind, number>> {
    const counts = REVOCATION_TARGET_KINDS.map((kind) => [kind, this.#byTarget[kind].size] as const);
    // The list has every kind.
    return Object.fromEntries(counts) as Record<RevocationTargetKind, number>;
  }

  /** Finds a Revocation by its name. */
  get(name: string): Revocation | undefined {
    return this.#byName.get(name)?.revoked;
  }

  replace(revocations: readonly Revocation[]): void {
    for (const name of [...this.#byName.keys()]) this.delete(name);
    for (const revoked of revocations) this.put(revoked);
  }

  /** Adds a Revocation, or replaces the one of its name. */
  put(revoked: Revocation): void {
    const name = getName(revoked);
    this.delete(name);
    const target = findRevocationTarget(revoked.spec);
    if (target === undefined) return;
    this.#byName.set(name, { target, revoked });
    this.#byTarget[target.kind].set(target.value, revoked);
    if (revoked.spec.includeCertificates === true) this.#tokensWithCertificates.set(target.value, revoked);
  }

  /** Removes the Revocation of a name. */
  delete(name: string): void {
    const known = this.#byName.get(name);
    if (known === undefined) return;
    const { kind, value } = known.target;
    this.#byName.delete(name);
    this.#byTarget[kind].delete(value);
    if (kind === "token") this.#tokensWithCertificates.delete(value);
  }

  /** Finds the Revocation of a user who presents a certificate, or another credential. */
  findForCredential(user: IdentifiedUser, certificate?: PresentedCertificate): RevocationMatch | undefined {
    if (this.size === 0) return undefined;
    const recorded = certificate === undefined ? undefined : this.#findRecorded?.(certificate.fingerprint);
    const revoked = this.#findForUser(user) ??
      (certificate === undefined
        ? undefined
        : this.#byTarget.serial.get(recorded?.serialNumber ?? certificate.serialNumber) ??
          this.#findForToken(recorded)) ??
      this.#findForNode(user.username, (revoked) => {
        if (certificate === undefined) return true;
        return wasIssuedBefore(revoked, recorded) ?? certificate.notBefore <= getTime(revoked);
      });
    return revoked === undefined ? undefined : { revoked, message: describeRevocation(revoked) };
  }

  /** Finds the Revocation that forbids the approval and the signing of a request. */
  findForRequest(request: RevocableRequest): RevocationMatch | undefined {
    if (this.size === 0) return undefined;
    const requester = this.#findForRequester(request);
    if (requester !== undefined) {
      return { revoked: requester, message: `the requester: ${describeRevocation(requester)}` };
    }
    const { subject } = request;
    const plain = this.#findForUser(subject);
    if (plain !== undefined) return { revoked: plain, message: `the requested subject: ${describeRevocation(plain)}` };
    const node = this.#findForNode(subject.username, (revoked) => !this.#isReplacement(revoked, request));
    if (node === undefined) return undefined;
    const name = node.spec.node ?? "";
    const how = `a replacement needs a token that was created after that: tlsboot token create --node ${name}`;
    return { revoked: node, message: `the requested subject: ${describeRevocation(node)}; ${how}` };
  }

  /**
   * Finds the Revocation that covers a certificate in the register; certificates of CAs and servers are never covered.
   * When the user of the certificate is unknown, only its serial number and its token are compared.
   */
  findForRecord(record: IssuedCertificate): Revocation | undefined {
    const { serialNumber = "", fingerprint = "", notBefore, isCA, source } = record.spec;
    if (this.size === 0 || fingerprint === "" || isCA === true || source === "ca" || source === "serving") {
      return undefined;
    }
    const presented = { serialNumber, fingerprint, notBefore: new Date(notBefore ?? 0) };
    return this.findForCredential(readIdentity(record) ?? NO_USER, presented)?.revoked;
  }

  #findForRequester(
    { requester, certificateFingerprint: fingerprint }: RevocableRequest,
  ): Revocation | undefined {
    const recorded = fingerprint === undefined ? undefined : this.#findRecorded?.(fingerprint);
    const revoked = this.#findForUser(requester) ??
      (recorded === undefined ? undefined : this.#byTarget.serial.get(recorded.serialNumber)) ??
      this.#findForToken(recorded);
    if (revoked !== undefined) return revoked;
    return this.#findForNode(requester.username, (revoked) => {
      if (fingerprint !== undefined && this.#findRecorded === undefined) return false;
      return wasIssuedBefore(revoked, recorded) ?? true;
    });
  }

  #findForUser({ username, groups }: IdentifiedUser): Revocation | undefined {
    const { user, group, token } = this.#byTarget;
    const revoked = user.get(username);
    if (revoked !== undefined) return revoked;
    if (group.size > 0) {
      for (const name of groups) {
        const found = group.get(name);
        if (found !== undefined) return found;
      }
    }
    return token.size === 0 ? undefined : token.get(findTokenId(username) ?? "");
  }

  #findForToken(recorded: RecordedCertificate | undefined): Revocation | undefined {
    return recorded?.tokenID === undefined ? undefined : this.#tokensWithCertificates.get(recorded.tokenID);
  }

  #findForNode(username: string, applies: (revoked: Revocation) => boolean): Revocation | undefined {
    if (this.#byTarget.node.size === 0 || !username.startsWith(NODE_USER_PREFIX)) return undefined;
    const revoked = this.#byTarget.node.get(username.slice(NODE_USER_PREFIX.length));
    return revoked !== undefined && applies(revoked) ? revoked : undefined;
  }

  /** Reports whether a request for a revoked node comes from the machine that replaces it. */
  #isReplacement(revoked: Revocation, request: RevocableRequest): boolean {
    const { subject, requester, certificateFingerprint: fingerprint, tokenSecret } = request;
    const isToken = findTokenId(requester.username) !== undefined;
    if (this.#findRecorded === undefined) return isToken || fingerprint !== undefined;
    if (isToken) {
      return tokenSecret !== undefined && isReplacementToken(tokenSecret, revoked.spec.node ?? "", getTime(revoked));
    }
    if (requester.username !== subject.username || fingerprint === undefined) return false;
    return wasIssuedBefore(revoked, this.#findRecorded(fingerprint)) === false;
  }
}

/**
 * Reports whether a certificate of a node was issued before the node was revoked, or renews one that was; undefined when
 * the register does not know it.
 */
function wasIssuedBefore({ status }: Revocation, recorded: RecordedCertificate | undefined): boolean | undefined {
  return recorded === undefined ? undefined : recorded.firstSequence <= (status.lastSequence ?? 0);
}

function getTime({ status, metadata }: Revocation): Date {
  return new Date(status.time ?? metadata.creationTimestamp ?? 0);
}

/** Returns the entry about a Revocation in the status of the records that it covers. */
export function toRecordedRevocation(revoked: Revocation): CertificateRevocation {
  const { spec: { reason, message = "" }, status: { revokedBy = "", time } } = revoked;
  return {
    name: getName(revoked),
    reason,
    ...omitEmpty({ message, revokedBy }),
    time,
  };
}

/** The facts in the register about one certificate. */
export interface RecordedCertificate {
  /** The position in the register. */
  readonly sequence: number;
  readonly serialNumber: string;
  /** The certificates of CAs and the serving certificates of servers cannot be revoked. */
  readonly origin: "ca" | "serving" | "other";
  /** The token with which it, or the first certificate in its chain of renewals, was requested. */
  readonly tokenID: string | undefined;
  /** The sequence number of the first certificate in the chain of renewals that ends here; its own without renewals. */
  readonly firstSequence: number;
}

/** Finds the record of a certificate by the SHA-256 (hex) of its DER. */
export type FindRecorded = (fingerprint: string) => RecordedCertificate | undefined;

/** An index of records, which must be added in the order of their sequence numbers. */
export class RecordedCertificates {
  readonly #byName = new Map<string, { readonly fingerprint: string; readonly recorded: RecordedCertificate }>();
  readonly #byFingerprint = new Map<string, RecordedCertificate>();
  readonly #bySerial = new Map<string, RecordedCertificate>();
  readonly #tokenIDs = new Map<string, number>();
  readonly #marked = new Set<string>();
  #lastSequence = 0;

  /** The largest sequence number so far; 0 for an empty register. */
  get lastSequence(): number {
    return this.#lastSequence;
  }

  clear(): void {
    this.#byName.clear();
    this.#byFingerprint.clear();
    this.#bySerial.clear();
    this.#tokenIDs.clear();
    this.#marked.clear();
    this.#lastSequence = 0;
  }

  /** The number of certificates that are in the index. */
  get size(): number {
    return this.#byFingerprint.size;
  }

  /** The number of records that are marked as revoked. */
  get markedCount(): number {
    return this.#marked.size;
  }

  /** Adds a record, or updates the mark of a known one. */
  put(record: IssuedCertificate): void {
    const name = getName(record);
    if (record.status.revocation === undefined) this.#marked.delete(name);
    else this.#marked.add(name);
    const { sequence, fingerprint = "", serialNumber = "", isCA = false, source, removed } = record.spec;
    this.#lastSequence = Math.max(this.#lastSequence, sequence);
    if (fingerprint === "" || removed !== undefined || this.#byName.has(name)) return;
    const renewed = this.#findRenewed(record);
    const recorded: RecordedCertificate = {
      sequence,
      serialNumber,
      origin: isCA || source === "ca" ? "ca" : source === "serving" ? "serving" : "other",
      tokenID: findRequestingToken(record) ?? renewed?.tokenID,
      firstSequence: renewed?.firstSequence ?? sequence,
    };
    this.#byName.set(name, { fingerprint, recorded });
    this.#byFingerprint.set(fingerprint, recorded);
    if (serialNumber !== "") this.#bySerial.set(serialNumber, recorded);
    this.#countToken(recorded, 1);
  }

  /** Removes a record after its retention. */
  remove(name: string): void {
    this.#marked.delete(name);
    const known = this.#byName.get(name);
    if (known === undefined) return;
    const { fingerprint, recorded } = known;
    this.#byName.delete(name);
    this.#byFingerprint.delete(fingerprint);
    if (this.#bySerial.get(recorded.serialNumber) === recorded) this.#bySerial.delete(recorded.serialNumber);
    this.#countToken(recorded, -1);
  }

  readonly findByFingerprint: FindRecorded = (fingerprint) => this.#byFingerprint.get(fingerprint);

  findBySerialNumber(serialNumber: string): RecordedCertificate | undefined {
    return this.#bySerial.get(serialNumber);
  }

  /** Reports whether a certificate in the register was requested with a token. */
  hasToken(tokenID: string): boolean {
    return this.#tokenIDs.has(tokenID);
  }

  #countToken({ tokenID }: RecordedCertificate, change: number): void {
    if (tokenID === undefined) return;
    const count = (this.#tokenIDs.get(tokenID) ?? 0) + change;
    if (count > 0) this.#tokenIDs.set(tokenID, count);
    else this.#tokenIDs.delete(tokenID);
  }

  /**
   * Finds the certificate that a record renews: that of the requester, if it is for the same user. A certificate of an
   * unknown user counts as a renewal, so it is revoked with the earlier one.
   */
  #findRenewed(record: IssuedCertificate): RecordedCertificate | undefined {
    const { requester = {}, replaces = "" } = record.spec;
    if (requester.certificateFingerprint === undefined && replaces === "") return undefined;
    const identity = readIdentity(record);
    if (requester.username === undefined || (identity !== undefined && requester.username !== identity.username)) {
      return undefined;
    }
    return this.#byFingerprint.get(requester.certificateFingerprint ?? "") ?? this.#byName.get(replaces)?.recorded;
  }
}

function findRequestingToken({ spec: { requester = {} } }: IssuedCertificate): string | undefined {
  return requester.tokenID ?? findTokenId(requester.username ?? "");
}
