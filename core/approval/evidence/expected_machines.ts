/**
 * Plans which requests to approve for the machines that an operator expects: one for each machine, and none for a name
 * that another machine may be claiming.
 */
import { findCondition } from "../../request/phase.ts";
import { parseRequest } from "../../request/parse_request.ts";
import type { CertificateSigningRequest } from "../../kube/kinds/certificates_v1.ts";
import { getCreationMs, getName } from "../../kube/meta.ts";
import { NODE_USER_PREFIX } from "../../kube/user.ts";
import type { RequestFacts } from "../../pki/x509/pkcs10.ts";
import { computeKeyFingerprint, decideHold, findClaimedNode, readNodeCertificate } from "./claims.ts";
import type { NodeCertificate } from "./ownership.ts";
import { isSettled } from "../recognizers.ts";

export type ExpectedMachine =
  /** The machine has not sent a request yet. */
  | { readonly kind: "missing" }
  /** The request that is to be approved now. */
  | { readonly kind: "approve"; readonly csr: CertificateSigningRequest }
  /**
   * The machine has an approved request or a valid certificate; `pending` lists other requests for its name, with other
   * keys.
   */
  | { readonly kind: "arrived"; readonly pending: readonly string[] }
  /** Requests with different keys claim the machine's name, so none of them is approved. */
  | { readonly kind: "contested"; readonly pending: readonly string[] };

/** Plans for one machine. `certificates` come from sources other than requests, such as the register. */
export function planExpectedMachine(
  node: string,
  csrs: readonly CertificateSigningRequest[],
  certificates: readonly NodeCertificate[],
  now: Date,
): ExpectedMachine {
  const pending = csrs.flatMap((csr) => {
    const request = readClaim(csr, node);
    return request === undefined ? [] : [{ csr, request }];
  });
  const approved = csrs.flatMap((csr) => {
    const certificate = readNodeCertificate(csr);
    return certificate?.node === node ? [certificate] : [];
  });
  const known = [...certificates, ...approved].filter(({ notAfter }) => notAfter === undefined || now < notAfter);
  const evidence = { inventory: undefined, certificates: { kind: "found" as const, value: known } };
  const approvable = pending.filter((claim) =>
    decideHold({ reissue: "never", machines: "any" }, { ...claim, now, evidence }).kind === "none"
  );
  const names = pending.map(({ csr }) => getName(csr));
  const [newest] = approvable.toSorted((a, b) => getCreationMs(b.csr) - getCreationMs(a.csr));
  if (known.length > 0) return newest === undefined ? { kind: "arrived", pending: names } : approve(newest.csr);
  if (newest === undefined) return { kind: "missing" };
  const keys = new Set(approvable.map(({ request }) => computeKeyFingerprint(request)));
  return keys.size > 1 ? { kind: "contested", pending: names } : approve(newest.csr);
}

function approve(csr: CertificateSigningRequest): ExpectedMachine {
  return { kind: "approve", csr };
}

/** Reads a pending request for a machine's first certificate; undefined for any other request. */
function readClaim(csr: CertificateSigningRequest, node: string): RequestFacts | undefined {
  if (isSettled(csr) || findCondition(csr, "Failed") !== undefined) return undefined;
  // A node may only renew its own certificate, so its request for another node's name is never expected.
  if (csr.spec.username?.startsWith(NODE_USER_PREFIX) === true) return undefined;
  const request = parseRequest(csr.spec.request);
  return request.ok && findClaimedNode(csr, request.value) === node ? request.value : undefined;
}
