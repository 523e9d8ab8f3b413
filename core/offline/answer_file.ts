/**
 * The answer of a CA to a request on a stick: `NAME.answer.pem`. It holds the certificate with its chain, the CA, and what a
 * kubeconfig needs; the CA that issued the certificate signs all of it.
 */
import { Buffer } from "node:buffer";
import { formatTime } from "../kube/meta.ts";
import { decodeBase64 } from "../lib/base64.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { Authority } from "../pki/authority.ts";
import { encodeCertificates } from "../pki/authority_chain.ts";
import { parseCaBundle } from "../pki/ca_bundle.ts";
import type { CertificateFacts } from "../pki/certificate.ts";
import { chooseAlgorithm } from "../pki/issue.ts";
import { formatName } from "../pki/names.ts";
import { parsePublicKeyPin, type PublicKeyPin, publicKeyPin } from "../pki/public_key_pin.ts";
import { isSignatureGood } from "../pki/signature.ts";
import { encodeDocument, encodeSignedPart, type OfflineDocument, parseDocument, SIGNATURE_HEADER } from "./document.ts";
import { computeRequestId, type OfflineRequest } from "./request_file.ts";

/** The verdict of a CA on a request. */
export type OfflineVerdict =
  /** The certificates of the chain, leaf first. */
  | { readonly kind: "signed"; readonly chain: readonly CertificateFacts[] }
  | { readonly kind: "refused"; readonly reason: string };

/** An answer with its parts. */
export interface OfflineAnswer {
  readonly name: string;
  /** The id of the answered request (`computeRequestId`), and its subject and key. */
  readonly requestId: string;
  readonly subject: string;
  readonly key: PublicKeyPin;
  readonly verdict: OfflineVerdict;
  /** The CA that answers, and its issuers. */
  readonly issuer: readonly CertificateFacts[];
  /** The CAs that a client of the API server trusts; two of them while one replaces the other. */
  readonly serverCas: readonly CertificateFacts[];
  /** The CA that answers, signed by the one that it replaces. */
  readonly crossSigned: CertificateFacts | undefined;
  /** The URL of the API server; undefined when it is not known beside the CA. */
  readonly server: string | undefined;
  readonly answeredAt: string;
  /** Whether the key of the CA that answers signed the answer. */
  readonly isSignatureGood: boolean;
}

/** What the CA knows about the site of its machines. */
export interface OfflineSite {
  readonly serverCas: readonly CertificateFacts[];
  readonly crossSigned?: CertificateFacts | undefined;
  readonly server: string | undefined;
}

const TITLE = "tlsboot certificate answer";
const CERTIFICATE = "certificate, and the intermediates behind it";
const ISSUER = "CA that answers";
const SERVER_CA = "CA of the API server";
const CROSS_SIGNED = "CA that answers, signed by the one that it replaces";

/** Returns the name of the file of the answer to a request. */
export function toAnswerFileName(name: string): string {
  return `${name}.answer.pem`;
}

/** Encodes an answer and signs it with the key of the CA. Rejects as the key does. */
export async function encodeOfflineAnswer(
  request: OfflineRequest,
  verdict: OfflineVerdict,
  site: OfflineSite,
  { certificate, issuers, key }: Pick<Authority, "certificate" | "issuers" | "key">,
  now: Date,
): Promise<string> {
  const [leaf] = verdict.kind === "signed" ? verdict.chain : [];
  const headers = new Map([
    ["Name", request.name],
    ["Verdict", verdict.kind],
    ...(verdict.kind === "refused" ? [["Reason", verdict.reason] as const] : []),
    ["Subject", formatName(request.facts.subject) || "none"],
    ["Key", publicKeyPin(request.facts)],
    ["Request", computeRequestId(request)],
    ...(leaf === undefined ? [] : [
      ["Serial number", leaf.serialNumber] as const,
      ["Valid", `from ${formatTime(leaf.notBefore)} to ${formatTime(leaf.notAfter)}`] as const,
    ]),
    ["CA", publicKeyPin(certificate)],
    ...(site.server === undefined ? [] : [["Server", site.server] as const]),
    ["Answered", formatTime(now)],
  ]);
  const document: OfflineDocument = {
    title: TITLE,
    headers,
    sections: new Map([
      ...(verdict.kind === "signed" ? [[CERTIFICATE, encodeCertificates(verdict.chain)] as const] : []),
      [ISSUER, encodeCertificates([certificate, ...issuers])],
      [SERVER_CA, encodeCertificates(site.serverCas)],
      ...(site.crossSigned === undefined ? [] : [[CROSS_SIGNED, encodeCertificates([site.crossSigned])] as const]),
    ]),
  };
  const signature = await key.sign(encodeSignedPart(document), chooseAlgorithm(certificate.publicKey));
  headers.set(SIGNATURE_HEADER, Buffer.from(signature).toString("base64"));
  return encodeDocument(document);
}

/** Parses the content of an answer's file. The error is a sentence about the file. */
export function parseOfflineAnswer(text: string): Result<OfflineAnswer, string> {
  const read = parseDocument(text, TITLE);
  if (!read.ok) return read;
  const { headers, sections } = read.value;
  const key = parsePublicKeyPin(headers.get("Key") ?? "");
  if (!key.ok) return err("its line Key cannot be read");
  const issuer = parseCaBundle(sections.get(ISSUER) ?? "");
  if (!issuer.ok) return err(`the CA in it cannot be read: ${issuer.error}`);
  const serverCas = parseCaBundle(sections.get(SERVER_CA) ?? "");
  if (!serverCas.ok) return err(`the CA of the API server in it cannot be read: ${serverCas.error}`);
  const pem = sections.get(CROSS_SIGNED);
  const crossSigned = pem === undefined ? undefined : parseCaBundle(pem);
  if (crossSigned?.ok === false) return err(`the cross-signed CA in it cannot be read: ${crossSigned.error}`);
  const verdict = parseVerdict(headers, sections.get(CERTIFICATE) ?? "");
  if (!verdict.ok) return verdict;
  return ok({
    name: headers.get("Name") ?? "",
    requestId: headers.get("Request") ?? "",
    subject: headers.get("Subject") ?? "",
    key: key.value,
    verdict: verdict.value,
    issuer: issuer.value,
    serverCas: serverCas.value,
    crossSigned: crossSigned?.value[0],
    server: headers.get("Server"),
    answeredAt: headers.get("Answered") ?? "",
    isSignatureGood: isSigned(read.value, issuer.value[0]),
  });
}

function parseVerdict(headers: ReadonlyMap<string, string>, pem: string): Result<OfflineVerdict, string> {
  if (headers.get("Verdict") === "refused") return ok({ kind: "refused", reason: headers.get("Reason") ?? "" });
  const chain = parseCaBundle(pem);
  return chain.ok
    ? ok({ kind: "signed", chain: chain.value })
    : err(`the certificate in it cannot be read: ${chain.error}`);
}

function isSigned(document: OfflineDocument, ca: CertificateFacts | undefined): boolean {
  const signature = decodeBase64(document.headers.get(SIGNATURE_HEADER) ?? "");
  if (ca === undefined || signature === undefined || !ca.isCa) return false;
  const algorithm = chooseAlgorithm(ca.publicKey);
  return isSignatureGood(algorithm, ca.publicKey, encodeSignedPart(document), new Uint8Array(signature));
}
