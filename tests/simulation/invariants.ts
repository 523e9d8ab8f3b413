/**
 * Checks the promises of a cluster, given all commits in order and all answers to clients. A write is committed before
 * it is acknowledged, and is kept after every start. A certificate needs an approval that is never withdrawn, is issued
 * once per request, and has a unique serial number. The register has a record of each certificate, in one chain.
 */
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import type { IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { type CertificateFacts, parseCertificate } from "../../core/pki/x509/certificate.ts";
import { parsePemBlocks } from "../../core/pki/asn1/pem.ts";
import type { StoragePage, Stored } from "../../server/storage/storage.ts";
import { findWriteName, type RecordedCall, toRecordedState } from "../torture/history.ts";
import {
  findStoredFaults,
  listRecords,
  RECORDS_PREFIX,
  RegisterAudit,
  REQUESTS_PREFIX,
} from "../torture/register_audit.ts";

/** The longest time for signing an approved request without faults. */
const SIGNED_WITHIN_MS = 60_000;

interface Committed {
  readonly revision: number;
  readonly object: KubeObject;
  readonly atMs: number;
}

export class Invariants {
  readonly #onFault: (fault: string) => void;
  readonly #nowMs: () => number;
  readonly #objects = new Map<string, Committed>();
  /** The name of the write that created each revision. */
  readonly #writes = new Map<number, string>();
  readonly #audit = new RegisterAudit();
  /** The request and the record of each serial number. */
  readonly #requests = new Map<string, string>();
  readonly #records = new Map<string, string>();
  #revision = 0;

  /** Calls `onFault` for each broken promise; `nowMs` returns the simulated time. */
  constructor(onFault: (fault: string) => void, nowMs: () => number) {
    this.#onFault = onFault;
    this.#nowMs = nowMs;
  }

  /** The newest revision that was committed. */
  get revision(): number {
    return this.#revision;
  }

  /** Checks one committed change; `object` is undefined for a deletion. */
  committed(key: string, revision: number, object: KubeObject | undefined): void {
    if (revision < this.#revision) {
      this.#onFault(`revision ${revision} of ${key} was committed after ${this.#revision}`);
    }
    this.#revision = revision;
    const earlier = this.#objects.get(key)?.object;
    if (object === undefined) return void this.#objects.delete(key);
    this.#objects.set(key, { revision, object, atMs: this.#nowMs() });
    const write = findWriteName(object as { readonly data?: unknown });
    if (write !== undefined) this.#writes.set(revision, write);
    if (key.startsWith(REQUESTS_PREFIX)) this.#checkRequest(object as CertificateSigningRequest, earlier);
    if (key.startsWith(RECORDS_PREFIX)) this.#checkRecord(object as IssuedCertificate, earlier);
  }

  /** Checks that a store starts with all commits, except perhaps a last one that was not acknowledged. */
  started({ items, revision }: StoragePage): void {
    const unseen = revision - this.#revision;
    const newer = items.filter((item) => item.revision > this.#revision);
    const kept = new Set(items.map(({ key }) => key));
    const gone = [...this.#objects.keys()].filter((key) => !kept.has(key));
    if (unseen < newer.length + gone.length) {
      this.#onFault(
        `a store starts at revision ${revision} without ${gone.join(", ") || `revision ${this.#revision}`}`,
      );
    }
    for (const key of gone) this.#objects.delete(key);
    newer.sort((one, other) => one.revision - other.revision);
    for (const { key, revision, object } of newer) this.committed(key, revision, object);
    this.#revision = Math.max(this.#revision, revision);
  }

  /** Checks a call as its client saw it: an acknowledged write must have been committed. */
  answered({ client, verb, status, object, deleted }: RecordedCall): void {
    if (status === undefined || status >= 300 || verb === "get" || verb === "list") return;
    if (deleted !== undefined && [...this.#objects.values()].some((one) => one.object.metadata.uid === deleted)) {
      this.#onFault(`${client} was answered that an object was deleted, and it is there`);
    }
    if (object === undefined || verb === "delete") return;
    const { name, resourceVersion, write } = object;
    if (resourceVersion > this.#revision) {
      this.#onFault(`${client} was acknowledged ${name} at revision ${resourceVersion}, which was not committed`);
    } else if (write !== undefined && this.#writes.get(resourceVersion) !== write) {
      this.#onFault(
        `${client} was acknowledged ${write} at revision ${resourceVersion}, where another write was committed`,
      );
    }
  }

  /** Compares everything that a server shows at the end with what was committed. */
  shown(server: string, items: readonly Stored[]): void {
    const shown = new Map(items.map((item) => [item.key, item]));
    for (const [key, { revision, object }] of this.#objects) {
      const item = shown.get(key);
      if (item === undefined) this.#onFault(`${server} has lost ${key}`);
      else if (item.revision !== revision || !isSame(item.object, object)) {
        this.#onFault(`${server} shows ${key} of revision ${item.revision} instead of ${revision}`);
      }
    }
    for (const key of shown.keys()) {
      if (!this.#objects.has(key)) this.#onFault(`${server} shows ${key}, which was deleted`);
    }
  }

  /** Checks the complete state at the end. */
  async end(cas: readonly CertificateFacts[]): Promise<void> {
    for (const serial of this.#requests.keys()) {
      if (!this.#records.has(serial)) this.#onFault(`serial number ${serial}: its certificate has no record`);
    }
    const objects = new Map([...this.#objects].map(([key, { object }]) => [key, object]));
    for (const fault of findStoredFaults(objects)) this.#onFault(fault);
    const records = listRecords(objects).toSorted((one, other) => one.spec.sequence - other.spec.sequence);
    for (const fault of await this.#audit.compare(records, cas)) this.#onFault(fault);
    for (const [key, { object, atMs }] of this.#objects) {
      if (
        key.startsWith(REQUESTS_PREFIX) && this.#nowMs() - atMs > SIGNED_WITHIN_MS &&
        isWaiting(object as CertificateSigningRequest)
      ) {
        this.#onFault(`request ${object.metadata.name} was approved and gets no certificate`);
      }
    }
  }

  #checkRequest(request: CertificateSigningRequest, earlier: KubeObject | undefined): void {
    const { name, uid } = request.metadata;
    const before = earlier?.metadata.uid === uid ? earlier as CertificateSigningRequest : undefined;
    for (const type of ["Approved", "Denied"]) {
      if (has(before, type) && !has(request, type)) this.#onFault(`request ${name} was ${type}, and is not any more`);
    }
    const certificate = request.status?.certificate;
    const issued = before?.status?.certificate;
    if (issued !== undefined && issued !== certificate) this.#onFault(`request ${name} has another certificate`);
    if (certificate === undefined || certificate === "" || issued === certificate) return;
    if (!has(request, "Approved")) this.#onFault(`request ${name} has a certificate without an approval`);
    if (has(request, "Denied")) this.#onFault(`request ${name} has a certificate although it was denied`);
    if (before !== undefined && before.spec.request !== request.spec.request) {
      this.#onFault(`request ${name} was changed before its certificate was issued`);
    }
    const serial = readSerial(certificate);
    const other = this.#requests.get(serial);
    if (other !== undefined && other !== uid) this.#onFault(`serial number ${serial} was issued twice`);
    this.#requests.set(serial, `${uid}`);
  }

  #checkRecord({ metadata: { name }, spec }: IssuedCertificate, earlier: KubeObject | undefined): void {
    if (earlier !== undefined || spec.serialNumber === undefined) return;
    const other = this.#records.get(spec.serialNumber);
    if (other !== undefined) this.#onFault(`records ${other} and ${name} have the serial number ${spec.serialNumber}`);
    this.#records.set(spec.serialNumber, `${name}`);
  }
}

function has(request: CertificateSigningRequest | undefined, type: string): boolean {
  return request?.status?.conditions?.some((condition) => condition.type === type) === true;
}

/** Reports whether a request is approved, but not issued or failed yet. */
function isWaiting(request: CertificateSigningRequest): boolean {
  return has(request, "Approved") && !has(request, "Failed") && (request.status?.certificate ?? "") === "";
}

/** Reports whether two states are equal, apart from their resourceVersion. */
function isSame(one: KubeObject, other: KubeObject): boolean {
  return toRecordedState(one).digest === toRecordedState(other).digest;
}

/** Reads the serial number of the first certificate in a request's status, which is base64 of PEM. */
function readSerial(certificate: string): string {
  const [block] = parsePemBlocks(atob(certificate));
  const leaf = block === undefined ? undefined : parseCertificate(block.bytes);
  if (leaf?.ok !== true) throw new Error("cannot read an issued certificate");
  return leaf.value.serialNumber;
}
