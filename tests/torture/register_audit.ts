/** Compares the register of issued certificates with the certificates of requests. */
import { findLeafCertificate } from "../../core/request/issued_certificate.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import type { IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import type { CertificateFacts } from "../../core/pki/x509/certificate.ts";
import { hashRecord } from "../../core/register/record.ts";
import { verifyRecords } from "../../core/register/verify.ts";
import type { Shown } from "./ledger.ts";

/** A certificate that was issued for a request. */
export interface IssuedFor {
  /** The uid of the request. */
  readonly uid: string;
  /** The name of the request in messages. */
  readonly what: string;
  /** SHA-256 (hex) of the certificate in DER. */
  readonly fingerprint: string;
}

/** Lists the certificates of requests. */
export function listIssued(requests: readonly Shown[]): readonly IssuedFor[] {
  return requests.flatMap((request) => {
    const issued = findIssued(
      `request ${request.metadata.name}`,
      request.metadata.uid ?? "",
      request.status?.certificate,
    );
    return issued === undefined ? [] : [issued];
  });
}

/** Reads the certificate of a request; returns undefined if it has none. */
export function findIssued(what: string, uid: string, certificate: string | undefined): IssuedFor | undefined {
  if (certificate === undefined || certificate === "") return undefined;
  return { uid, what, fingerprint: findLeafCertificate(certificate)?.sha256Fingerprint ?? "unreadable" };
}

/**
 * Finds certificates without a record, serial numbers and requests with two records, and records whose request has
 * another certificate or none. `requests` must be read after the records.
 */
export function findRegisterFaults(
  records: readonly IssuedCertificate[],
  { issued, requests }: { readonly issued: readonly IssuedFor[]; readonly requests: readonly Shown[] },
): readonly string[] {
  const faults: string[] = [];
  const recorded = new Set(records.map(({ spec }) => spec.fingerprint));
  for (const { what, fingerprint } of issued) {
    if (!recorded.has(fingerprint)) faults.push(`${what}: its certificate has no record`);
  }
  const byUid = new Map<string, IssuedCertificate>();
  const bySerial = new Map<string, IssuedCertificate>();
  for (const record of records) {
    const { request, serialNumber, issuerFingerprint } = record.spec;
    if (serialNumber !== undefined) {
      const serial = `${issuerFingerprint} ${serialNumber}`;
      const other = bySerial.get(serial);
      if (other !== undefined) {
        faults.push(`serial number ${serialNumber} has the records ${other.metadata.name} and ${record.metadata.name}`);
      }
      bySerial.set(serial, record);
    }
    if (request?.uid === undefined) continue;
    const earlier = byUid.get(request.uid);
    if (earlier !== undefined) {
      faults.push(`request ${request.name}: has the records ${earlier.metadata.name} and ${record.metadata.name}`);
    }
    byUid.set(request.uid, record);
  }
  const shown = new Map(listIssued(requests).map(({ uid, fingerprint }) => [uid, fingerprint]));
  for (const { metadata: { uid = "", name } } of requests) {
    const record = byUid.get(uid);
    if (record !== undefined && shown.get(uid) !== record.spec.fingerprint) {
      faults.push(`request ${name}: record ${record.metadata.name} is of a certificate that the request does not have`);
    }
  }
  return faults;
}

/** Compares successive lists of the register. */
export class RegisterAudit {
  readonly #hashes = new Map<string, string>();

  /** The number of records that were listed so far. */
  get records(): number {
    return this.#hashes.size;
  }

  /** Checks that the chain of a complete list is intact, and that it contains the earlier records unchanged. */
  async compare(records: readonly IssuedCertificate[], cas: readonly CertificateFacts[]): Promise<readonly string[]> {
    const { fault } = await verifyRecords(records, { cas });
    const faults = fault === undefined ? [] : [`record ${fault.name} ${fault.problem}`];
    const hashes = new Map(records.map((record) => [record.metadata.name ?? "", hashRecord(record.spec)]));
    for (const [name, hash] of this.#hashes) {
      const now = hashes.get(name);
      if (now === undefined) faults.push(`record ${name} was shown, and is lost`);
      else if (now !== hash) faults.push(`record ${name} was shown with another content`);
    }
    for (const [name, hash] of hashes) this.#hashes.set(name, hash);
    return faults;
  }
}

/** The prefixes of the keys of requests and records. */
export const REQUESTS_PREFIX = "/registry/certificatesigningrequests/";
export const RECORDS_PREFIX = "/registry/tlsboot/issuedcertificates/";

/** Finds the faults in the register, given all stored objects by key. */
export function findStoredFaults(objects: ReadonlyMap<string, KubeObject>): readonly string[] {
  const requests = listBelow<Shown>(objects, REQUESTS_PREFIX);
  return findRegisterFaults(listRecords(objects), { issued: listIssued(requests), requests });
}

/** Lists the records of the register among all stored objects. */
export function listRecords(objects: ReadonlyMap<string, KubeObject>): readonly IssuedCertificate[] {
  return listBelow<IssuedCertificate>(objects, RECORDS_PREFIX);
}

/** Lists the objects below a prefix, which all have one kind. */
function listBelow<T extends KubeObject>(objects: ReadonlyMap<string, KubeObject>, prefix: string): readonly T[] {
  return [...objects].flatMap(([key, object]) => key.startsWith(prefix) ? [object as T] : []);
}
