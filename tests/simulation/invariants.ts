/**
 * What must hold in every state that was committed, judged from outside: whatever a store commits is shown here, in order.
 * A certificate needs an approval that stays, is issued once for a request, and has a serial number of its own; the
 * register has a record of each, in one chain.
 */
import type { CertificateSigningRequest } from "../../core/kube/certificates_v1.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import type { IssuedCertificate } from "../../core/kube/tlsboot_v1alpha1.ts";
import { type CertificateFacts, parseCertificate } from "../../core/pki/certificate.ts";
import { parsePemBlocks } from "../../core/pki/pem.ts";
import { findStoredFaults, RegisterAudit } from "../torture/register_audit.ts";

const REQUESTS = "/registry/certificatesigningrequests/";
const RECORDS = "/registry/tlsboot/issuedcertificates/";

/** Follows what is committed, and collects the broken promises. */
export class Invariants {
  readonly #onFault: (fault: string) => void;
  readonly #objects = new Map<string, KubeObject>();
  readonly #audit = new RegisterAudit();
  /** The request that a serial number was issued for, and the record that has it. */
  readonly #requests = new Map<string, string>();
  readonly #records = new Map<string, string>();
  #revision = 0;

  constructor(onFault: (fault: string) => void) {
    this.#onFault = onFault;
  }

  /** Takes one committed change; `object` is undefined for a deletion. */
  committed(key: string, revision: number, object: KubeObject | undefined): void {
    if (revision < this.#revision) {
      this.#onFault(`revision ${revision} of ${key} was committed after ${this.#revision}`);
    }
    this.#revision = revision;
    const earlier = this.#objects.get(key);
    if (object === undefined) return void this.#objects.delete(key);
    this.#objects.set(key, object);
    if (key.startsWith(REQUESTS)) this.#judgeRequest(object as CertificateSigningRequest, earlier);
    if (key.startsWith(RECORDS)) this.#judgeRecord(object as IssuedCertificate, earlier);
  }

  /** Judges the whole state at the end. */
  async end(cas: readonly CertificateFacts[]): Promise<void> {
    for (const serial of this.#requests.keys()) {
      if (!this.#records.has(serial)) this.#onFault(`serial number ${serial}: its certificate has no record`);
    }
    for (const fault of findStoredFaults(this.#objects)) this.#onFault(fault);
    const records = [...this.#objects].flatMap(([key, object]) =>
      key.startsWith(RECORDS) ? [object as IssuedCertificate] : []
    ).sort((one, other) => one.spec.sequence - other.spec.sequence);
    for (const fault of await this.#audit.compare(records, cas)) this.#onFault(fault);
  }

  #judgeRequest(request: CertificateSigningRequest, earlier: KubeObject | undefined): void {
    const { name, uid } = request.metadata;
    const before = earlier?.metadata.uid === uid ? earlier as CertificateSigningRequest : undefined;
    const has = (of: CertificateSigningRequest | undefined, type: string): boolean =>
      of?.status?.conditions?.some((condition) => condition.type === type) === true;
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

  #judgeRecord({ metadata: { name }, spec }: IssuedCertificate, earlier: KubeObject | undefined): void {
    if (earlier !== undefined || spec.serialNumber === undefined) return;
    const other = this.#records.get(spec.serialNumber);
    if (other !== undefined) this.#onFault(`records ${other} and ${name} have the serial number ${spec.serialNumber}`);
    this.#records.set(spec.serialNumber, `${name}`);
  }
}

/** Reads the serial number of the first certificate of a request's status, which is base64 of PEM. */
function readSerial(certificate: string): string {
  const [block] = parsePemBlocks(atob(certificate));
  const leaf = block === undefined ? undefined : parseCertificate(block.bytes);
  if (leaf?.ok !== true) throw new Error("a certificate that was issued cannot be read");
  return leaf.value.serialNumber;
}
