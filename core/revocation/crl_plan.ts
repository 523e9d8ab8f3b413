/** Plans the CRL of a CA from the register: its certificates, its number and its times. */
import type { IssuedCertificate, Revocation } from "../kube/kinds/tlsboot_v1alpha1.ts";
import { CRL_REASON_CODES } from "../kube/kinds/constants.ts";
import { DAY_MS } from "../lib/duration.ts";
import { chooseCrlNumber, type CrlEntry, type CrlFacts, type CrlPlan, type CrlReason } from "../pki/authority/crl.ts";
import { BACKDATE_MS, wholeSeconds } from "../signing/profile.ts";
import { UNRECORDED_ANNOTATION } from "./revocation.ts";

/** A revoked certificate: one of the register, or one that the register does not know. */
export interface RevokedCertificate extends CrlEntry {
  /** SHA-256 (hex) of the certificate of the CA that issued it; undefined when it is not in the register. */
  readonly issuerFingerprint: string | undefined;
  readonly notAfter: Date;
}

/** The contents of the next CRL of a CA. */
interface NextCrl {
  /** The revoked certificates of the CA, including expired ones. */
  readonly revoked: readonly RevokedCertificate[];
  /** The current CRL of the CA; undefined when it has none. */
  readonly previous: Pick<CrlFacts, "number" | "thisUpdate"> | undefined;
  readonly now: Date;
  /** Two random bytes for the CRL number. */
  readonly random: Uint8Array;
}

/** The time until clients must have the next CRL: a week, so that an outage of some days does no harm. */
const VALID_MS = 7 * DAY_MS;
/** The age at which a CRL is replaced even if nothing was revoked. */
const RENEWAL_MS = DAY_MS;

/**
 * Reads the entry for a CRL from a record; undefined when its certificate is not revoked. The records of earlier builds
 * lack the serial number, so no CRL can list their certificates.
 */
export function findRevoked({ spec, status }: IssuedCertificate): RevokedCertificate | undefined {
  const { serialNumber, issuerFingerprint, notAfter } = spec;
  const { revocation } = status;
  if (revocation === undefined || serialNumber === undefined || issuerFingerprint === undefined) return undefined;
  const revokedAt = parseTime(revocation.time) ?? parseTime(spec.issuedAt) ?? parseTime(spec.notBefore);
  const reason = toReason(revocation.reason);
  return revokedAt === undefined
    ? undefined
    : { serialNumber, issuerFingerprint, reason, revokedAt, notAfter: parseTime(notAfter) ?? NEVER };
}

/**
 * Reads the entry for a CRL from a Revocation whose certificate is not in the register, such as one of an earlier
 * build; undefined for every other Revocation. The certificate's CA and end are unknown, so every CA lists it forever.
 */
export function findUnrecorded({ metadata, spec, status }: Revocation): RevokedCertificate | undefined {
  const { serialNumber = "" } = spec;
  if (serialNumber === "" || metadata.annotations?.[UNRECORDED_ANNOTATION] !== "true") return undefined;
  const revokedAt = parseTime(status.time) ?? parseTime(metadata.creationTimestamp);
  const reason = toReason(spec.reason);
  return revokedAt && { serialNumber, issuerFingerprint: undefined, reason, revokedAt, notAfter: NEVER };
}

/**
 * Selects the revoked certificates that a CA lists: those that it issued, and those that are not in the register. A
 * serial number is listed once.
 */
export function selectRevoked(
  revoked: readonly RevokedCertificate[],
  issuerFingerprint: string,
): readonly RevokedCertificate[] {
  const own: RevokedCertificate[] = [];
  const unrecorded: RevokedCertificate[] = [];
  for (const entry of revoked) {
    if (entry.issuerFingerprint === issuerFingerprint) own.push(entry);
    else if (entry.issuerFingerprint === undefined) unrecorded.push(entry);
  }
  // Collecting a hundred thousand serial numbers takes time, and most registers have every revoked certificate.
  if (unrecorded.length === 0) return own;
  const recorded = new Set(
    revoked.filter((entry) => entry.issuerFingerprint !== undefined).map((entry) => entry.serialNumber),
  );
  return [...own, ...unrecorded.filter((entry) => !recorded.has(entry.serialNumber))];
}

/**
 * Plans the next CRL of a CA. It is backdated as certificates are, because a client whose clock is behind would refuse
 * every certificate until the CRL becomes valid.
 */
export function planNextCrl({ revoked, previous, now, random }: NextCrl): CrlPlan {
  const thisUpdate = wholeSeconds(now.getTime() - BACKDATE_MS);
  return {
    entries: revoked.filter((certificate) => isStillListed(certificate, previous)),
    number: chooseCrlNumber(now, random, previous?.number),
    thisUpdate,
    nextUpdate: new Date(now.getTime() + VALID_MS),
  };
}

/** Reports whether a CRL is due for renewal: it is a day old, or the clock was set back. */
export function isCrlDue({ thisUpdate }: Pick<CrlFacts, "thisUpdate">, now: Date): boolean {
  const age = now.getTime() - thisUpdate.getTime();
  return age >= RENEWAL_MS + BACKDATE_MS || age < 0;
}

/**
 * Reports whether a revoked certificate is still listed. It stays listed until a CRL has been issued after its expiry
 * (RFC 5280 §3.3).
 */
export function isStillListed(
  certificate: Pick<RevokedCertificate, "notAfter" | "revokedAt">,
  previous: Pick<CrlFacts, "thisUpdate"> | undefined,
): boolean {
  if (previous === undefined) return true;
  return certificate.notAfter >= previous.thisUpdate || certificate.revokedAt > previous.thisUpdate;
}

/** X.509's date for "no expiry" (RFC 5280 §4.1.2.5), for a certificate whose end is unknown. */
const NEVER = new Date("9999-12-31T23:59:59Z");

function parseTime(text: string | null | undefined): Date | undefined {
  const time = new Date(text ?? NaN);
  return Number.isNaN(time.getTime()) ? undefined : time;
}

/** Converts a reason; one that this build does not know becomes `unspecified`. */
function toReason(reason: string): CrlReason {
  return Object.hasOwn(CRL_REASON_CODES, reason) ? reason as CrlReason : "unspecified";
}
