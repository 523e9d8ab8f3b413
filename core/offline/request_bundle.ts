/** Bundles of approved requests, which a server without a signer exports for a CA elsewhere. */
import { findCondition } from "../csr/phase.ts";
import type {
  CertificateSigningRequest,
  CertificateSigningRequestCondition,
  CertificateSigningRequestSpec,
} from "../kube/kinds/certificates_v1.ts";
import { formatTime, getName } from "../kube/meta.ts";
import type { ArmorPart } from "../lib/armor.ts";
import { decodeBase64, encodeBase64 } from "../lib/base64.ts";
import { isRecord } from "../lib/record.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { toResult } from "../pki/der.ts";
import { encodePem } from "../pki/pem.ts";
import { parseCertificationRequest, type RequestFacts } from "../pki/pkcs10.ts";
import { parsePublicKey } from "../pki/public_key.ts";
import { type PublicKeyPin, publicKeyPin } from "../pki/public_key_pin.ts";
import type { CaKey } from "../ports.ts";
import { type BundleItem, isSignedBy, type OpenBundle, parseHeader, sealBundle, type SignedHeader } from "./bundle.ts";

/** What an export says of itself. */
export interface ExportHeader {
  /** A random number (hex) that no other export has. */
  readonly id: string;
  /** The time of the export in RFC 3339. */
  readonly createdAt: string;
  /** The URL of the API server. */
  readonly server: string;
  /** The pin of the key that signed the export. */
  readonly exporter: PublicKeyPin;
}

/** A request of an export. */
export interface ExportedRequest {
  readonly name: string;
  readonly uid: string;
  /** The object as far as a signer needs it: the spec, and the condition Approved. */
  readonly csr: CertificateSigningRequest;
  readonly facts: RequestFacts;
}

/** An export that its own key has signed. Whether that key is a known one is for the caller to decide. */
export interface RequestBundle {
  readonly signed: SignedHeader;
  readonly header: ExportHeader;
  readonly requests: readonly ExportedRequest[];
}

/** Exports requests, signed by the key of the exporter. Requests that cannot be parsed must not be given. */
export async function sealRequests(
  { id, createdAt, server }: { readonly id: string; readonly createdAt: Date; readonly server: string },
  requests: readonly { readonly csr: CertificateSigningRequest; readonly facts: RequestFacts }[],
  key: CaKey,
): Promise<readonly ArmorPart[]> {
  const header = { id, createdAt: formatTime(createdAt), server, key: encodeBase64(await key.publicKey()) };
  const items = requests.map(({ csr, facts }): BundleItem => {
    const { request: _, ...spec } = csr.spec;
    const approval = findCondition(csr, "Approved");
    // The DER alone is a third shorter than the base64 of its PEM.
    const value = { uid: csr.metadata.uid ?? "", request: encodeBase64(facts.der), spec, approval };
    return { name: getName(csr), value };
  });
  return await sealBundle("requests", header, items, [key]);
}

/** Interprets a bundle as an export, and verifies its signature. */
export function parseRequestBundle({ signed, items }: OpenBundle): Result<RequestBundle, string> {
  const header = parseExportHeader(signed);
  if (!header.ok) return header;
  const requests: ExportedRequest[] = [];
  const uids = new Set<string>();
  for (const { name, value } of items) {
    const request = parseItem(name, value);
    if (!request.ok) return err(`the request "${name}" cannot be read: ${request.error}`);
    if (uids.has(request.value.uid)) return err(`the request "${name}" is in it twice`);
    uids.add(request.value.uid);
    requests.push(request.value);
  }
  return ok({ signed, header: header.value, requests });
}

/** Reads the header of an export, and verifies that the key in it has signed it. */
export function parseExportHeader(signed: SignedHeader): Result<ExportHeader, string> {
  const { id, createdAt, server, key } = parseHeader(signed) ?? {};
  if (typeof id !== "string" || typeof createdAt !== "string" || typeof server !== "string") {
    return err("its header is incomplete");
  }
  if (!/^[0-9a-f]{32}$/.test(id)) return err("its number is malformed");
  const publicKeyDer = typeof key === "string" ? decodeBase64(key) : undefined;
  const facts = publicKeyDer === undefined ? undefined : toResult(() => parsePublicKey(publicKeyDer));
  if (publicKeyDer === undefined || facts?.ok !== true) return err("the key of its exporter cannot be read");
  if (facts.value.weakness !== undefined) return err(`the key of its exporter is weak: ${facts.value.weakness}`);
  if (!isSignedBy("requests", signed, facts.value)) return err("the signature of its exporter does not match");
  return ok({ id, createdAt, server, exporter: publicKeyPin({ publicKeyDer }) });
}

function parseItem(name: string, value: unknown): Result<ExportedRequest, string> {
  if (!isRecord(value)) return err("it is not an object");
  const { uid, request, spec, approval } = value;
  if (typeof uid !== "string" || uid === "") return err("it has no uid");
  const der = typeof request === "string" ? decodeBase64(request) : undefined;
  if (der === undefined) return err("it has no request");
  const facts = parseCertificationRequest(der);
  if (!facts.ok) return facts;
  if (!isRecord(spec) || !isSpec(spec)) return err("its spec is malformed");
  if (!isRecord(approval) || approval["type"] !== "Approved" || !isCondition(approval)) {
    return err("it is not approved");
  }
  const pem = encodePem("CERTIFICATE REQUEST", der);
  return ok({
    name,
    uid,
    facts: facts.value,
    csr: {
      apiVersion: "certificates.k8s.io/v1",
      kind: "CertificateSigningRequest",
      metadata: { name, uid },
      spec: { ...spec, request: encodeBase64(new TextEncoder().encode(pem)) },
      status: { conditions: [approval] },
    },
  });
}

type Spec = Omit<CertificateSigningRequestSpec, "request">;

function isSpec(spec: Readonly<Record<string, unknown>>): spec is Readonly<Record<string, unknown>> & Spec {
  const { signerName, expirationSeconds, usages, username, uid, groups, extra } = spec;
  return typeof signerName === "string" &&
    (expirationSeconds === undefined || (typeof expirationSeconds === "number" && expirationSeconds > 0)) &&
    [usages, groups].every((list) => list === undefined || isTextList(list)) &&
    [username, uid].every(isOptionalText) &&
    (extra === undefined || (isRecord(extra) && Object.values(extra).every(isTextList)));
}

function isCondition(
  value: Readonly<Record<string, unknown>>,
): value is Readonly<Record<string, unknown>> & CertificateSigningRequestCondition {
  const { type, status, reason, message, lastUpdateTime, lastTransitionTime } = value;
  return typeof type === "string" && typeof status === "string" && [reason, message].every(isOptionalText) &&
    [lastUpdateTime, lastTransitionTime].every((time) => time === null || isOptionalText(time));
}

function isOptionalText(value: unknown): boolean {
  return value === undefined || typeof value === "string";
}

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}
