/** Finds the requests that an approver holds for a person, by the approver's own rules. */
import {
  collectNodeClientSettings,
  decideHold,
  findClaimedNode,
  listRecordedClaims,
  listRequestClaims,
} from "../../core/approval/evidence/claims.ts";
import { isSettled } from "../../core/approval/recognizers.ts";
import { parseRequest } from "../../core/request/parse_request.ts";
import { AppError } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER } from "../../core/kube/kinds/constants.ts";
import { getName } from "../../core/kube/meta.ts";
import type { IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import type { Clock } from "../../core/ports.ts";
import { readApproverSettings } from "./published_settings.ts";
import { RECORD_COLLECTION } from "./records.ts";
import { createNodeCertificateIndex } from "../../core/approval/evidence/node_certificate_index.ts";
import type { EvidenceSources } from "../../core/approval/decide_from_sources.ts";
import { type ApiClient, listAll } from "../objects/api.ts";

/** Finds the held requests, and returns the fault of each by name. */
export async function findHolds(
  api: ApiClient,
  requests: readonly CertificateSigningRequest[],
  clock: Clock,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const holds = new Map<string, string>();
  const pending = requests.filter((csr) => !isSettled(csr));
  if (pending.length === 0) return holds;
  const { policies, inventory } = await readApproverSettings(api, signal);
  const settings = collectNodeClientSettings(policies);
  const lookUp = createCertificateLookup(api, requests, clock, signal);
  for (const csr of pending) {
    const request = parseRequest(csr.spec.request);
    if (!request.ok) continue;
    const claimed = findClaimedNode(csr, request.value);
    const certificates = claimed === undefined ? { kind: "none" as const } : await lookUp(claimed, getName(csr));
    const input = { csr, request: request.value, now: clock.now(), evidence: { inventory, certificates } };
    const hold = decideHold(settings, input);
    if (hold.kind === "found") holds.set(getName(csr), hold.value.fault);
  }
  return holds;
}

/**
 * Creates a lookup of the client certificates of nodes: in the register, if the API has one that the user may read, and
 * in the requests that still exist. `readRecords` is called once, at the first lookup.
 */
export function createCertificateLookup(
  api: ApiClient,
  requests: readonly CertificateSigningRequest[],
  clock: Clock,
  signal: AbortSignal,
  readRecords: () => Promise<readonly IssuedCertificate[]> = () =>
    listRecordsOfSigner(api, KUBE_APISERVER_CLIENT_KUBELET_SIGNER, signal),
): EvidenceSources["certificates"] {
  const certificates = createNodeCertificateIndex(clock);
  for (const csr of requests) certificates.put(csr);
  /** Reads the register, and returns the reason if that fails. */
  const readRegister = async (): Promise<string | undefined> => {
    try {
      for (const record of await readRecords()) certificates.putRecord(record);
      return undefined;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof AppError)) throw error;
      return ["not_found", "access_denied"].includes(error.code) ? undefined : error.message;
    }
  };
  let reading: ReturnType<typeof readRegister> | undefined;
  return async (node, exceptRequest) => {
    const message = await (reading ??= readRegister());
    return message === undefined
      ? { kind: "found", value: certificates.find(node, exceptRequest) }
      : { kind: "failed", message };
  };
}

/** Lists the records of one signer's certificates. Throws AppError when the API has no register. */
export async function listRecordsOfSigner(
  api: ApiClient,
  signerName: string,
  signal: AbortSignal,
): Promise<readonly IssuedCertificate[]> {
  const fieldSelector = `spec.signerName=${signerName}`;
  return (await listAll<IssuedCertificate>(api, RECORD_COLLECTION, { fieldSelector }, signal)).items;
}

/**
 * Creates a lookup of the holders of names: in the register, if the API has one that the user may read, and in the
 * requests that still exist.
 */
export function createClaimLookup(
  api: ApiClient,
  requests: readonly CertificateSigningRequest[],
  signal: AbortSignal,
): NonNullable<EvidenceSources["claims"]> {
  return async (names) => {
    try {
      const { items } = await listAll<IssuedCertificate>(api, RECORD_COLLECTION, {}, signal);
      const claims = [...items.flatMap(listRecordedClaims), ...requests.flatMap(listRequestClaims)];
      return { kind: "found", value: claims.filter(({ name }) => names.includes(name)) };
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof AppError)) throw error;
      return { kind: "failed", message: `the register cannot be read: ${error.message}` };
    }
  };
}
