/**
 * A certificate request on a stick, for a CA without a network: `NAME.request.pem`. Its PEM block is a plain PKCS#10
 * request, which any program reads; the lines before it say the same in words, and what a CSR object holds beside it.
 */
import { Buffer } from "node:buffer";
import { hash } from "node:crypto";
import { formatTime } from "../kube/meta.ts";
import { decodeBase64 } from "../lib/base64.ts";
import { formatDuration, parseSettingDuration } from "../lib/duration.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { encodeCertificates } from "../pki/authority_chain.ts";
import { parseCaBundle } from "../pki/ca_bundle.ts";
import type { CertificateFacts } from "../pki/certificate.ts";
import { verifyChain } from "../pki/chain.ts";
import { chooseAlgorithm } from "../pki/issue.ts";
import type { PrivateKey } from "../pki/keys.ts";
import { formatName } from "../pki/names.ts";
import { encodePem, parsePemBlocks } from "../pki/pem.ts";
import { parseCertificationRequest, type RequestFacts } from "../pki/pkcs10.ts";
import { parsePublicKeyPin, type PublicKeyPin, publicKeyPin } from "../pki/public_key_pin.ts";
import { isSignatureGood } from "../pki/signature.ts";
import { listAlternativeNames } from "../pki/subject_alternative_names.ts";
import { encodeDocument, parseDocument } from "./document.ts";

/** A request for a CA without a network. */
export interface OfflineRequest {
  /** The name of its file, and of that of the answer. */
  readonly name: string;
  readonly facts: RequestFacts;
  readonly signerName: string;
  /** In the order of the request. */
  readonly usages: readonly string[];
  /** The requested lifetime; the signer chooses when it is absent. */
  readonly expirationSeconds?: number;
  /** The CAs of the machine's site, by their keys; empty when the machine does not know any yet. */
  readonly site: readonly PublicKeyPin[];
  readonly requester?: RequesterProof;
}

/** The certificate that the requester already has, and the proof that it has the key too. */
export interface RequesterProof {
  /** The certificates of the chain, leaf first. */
  readonly chain: readonly CertificateFacts[];
  /** The signature of the certificate's key over the id of the request. */
  readonly signature: Uint8Array<ArrayBuffer>;
}

const TITLE = "tlsboot certificate request";
const REQUEST = "certificate request";
const REQUESTER = "certificate that the requester has";
const ANY_LIFETIME = "chosen by the signer";
const NOT_KNOWN = "not known yet";
/** A DNS subdomain, as machines and CSRs are called; an underscore can be in neither. */
const NAME = /^[a-z0-9]([-_a-z0-9.]*[a-z0-9])?$/;
const MAX_NAME = 240;

/** Returns the name of the file of a request. */
export function toRequestFileName(name: string): string {
  return `${name}.request.pem`;
}

/** Finds the name of a request by that of its file; undefined for any other file. */
export function findRequestName(fileName: string): string | undefined {
  const [, name = ""] = /^(.+)\.request\.pem$/.exec(fileName) ?? [];
  return isName(name) ? name : undefined;
}

function isName(name: string): boolean {
  return name.length <= MAX_NAME && NAME.test(name);
}

/**
 * Computes the id of a request: SHA-256 (hex) of all that is requested. The signature of the request does not count, so that
 * a machine that makes its request again with the same key has the same id.
 */
export function computeRequestId(
  request: Pick<OfflineRequest, "facts" | "signerName" | "usages" | "expirationSeconds">,
): string {
  const { facts, signerName, usages, expirationSeconds } = request;
  const signed = Buffer.from(facts.signedDer).toString("base64");
  return hash("sha256", JSON.stringify([signed, signerName, usages, expirationSeconds ?? null]));
}

/** Signs the id of a request with the key of a certificate that the requester already has. */
export function proveRequester(id: string, key: PrivateKey): Uint8Array<ArrayBuffer> {
  return key.sign(encodeProof(id));
}

/** The bytes are text, so they cannot be taken for a certificate or a request, which begin with 0x30. */
function encodeProof(id: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`tlsboot requester of a certificate\n${id}\n`);
}

/**
 * Finds out why a request does not prove that its requester has a valid certificate of the same subject; undefined when it
 * does. `cas` are those whose client certificates count.
 */
export function findRequesterFault(
  request: OfflineRequest,
  cas: readonly CertificateFacts[],
  now: Date,
): string | undefined {
  const [leaf, ...intermediates] = request.requester?.chain ?? [];
  if (request.requester === undefined || leaf === undefined) return "it names no certificate";
  const path = verifyChain(leaf, intermediates, cas, { at: now });
  if (!path.ok) return `its certificate is not valid here: ${path.error}`;
  if (formatName(leaf.subject) !== formatName(request.facts.subject)) return "its certificate is of another subject";
  const { publicKey } = leaf;
  const proof = encodeProof(computeRequestId(request));
  return isSignatureGood(chooseAlgorithm(publicKey), publicKey, proof, request.requester.signature)
    ? undefined
    : "the key of its certificate did not sign it";
}

/** Encodes a request as the content of its file. */
export function encodeOfflineRequest(request: OfflineRequest): string {
  const { facts, expirationSeconds, requester } = request;
  const [leaf] = requester?.chain ?? [];
  return encodeDocument({
    title: TITLE,
    headers: new Map([
      ["Name", request.name],
      ["Subject", formatName(facts.subject) || "none"],
      ["Names", listAlternativeNames(facts).join(", ") || "none"],
      ["Signer", request.signerName],
      ["Usages", request.usages.join(", ")],
      ["Lifetime", expirationSeconds === undefined ? ANY_LIFETIME : formatDuration(expirationSeconds * 1_000)],
      ["Key", publicKeyPin(facts)],
      ["CA", request.site.join(" ") || NOT_KNOWN],
      ...(requester === undefined || leaf === undefined ? [] : [
        ["Requester", `has certificate ${leaf.serialNumber}, valid until ${formatTime(leaf.notAfter)}`] as const,
        ["Proof", Buffer.from(requester.signature).toString("base64")] as const,
      ]),
    ]),
    sections: new Map([
      [REQUEST, encodePem("CERTIFICATE REQUEST", facts.der)],
      ...(requester === undefined ? [] : [[REQUESTER, encodeCertificates(requester.chain)] as const]),
    ]),
  });
}

/** Parses the content of a request's file. The error is a sentence about the file. */
export function parseOfflineRequest(text: string): Result<OfflineRequest, string> {
  const read = parseDocument(text, TITLE);
  if (!read.ok) return read;
  const { headers, sections } = read.value;
  const [block, ...more] = parsePemBlocks(sections.get(REQUEST) ?? "");
  if (block?.label !== "CERTIFICATE REQUEST" || more.length > 0) return err("it does not hold one certificate request");
  const facts = parseCertificationRequest(block.bytes);
  if (!facts.ok) return err(`its request cannot be read: ${facts.error}`);
  const name = headers.get("Name") ?? "";
  if (!isName(name)) return err("its line Name is not the name of a file");
  const signerName = headers.get("Signer") ?? "";
  if (signerName === "") return err("it has no line Signer");
  const lifetime = parseLifetime(headers.get("Lifetime"));
  if (!lifetime.ok) return lifetime;
  const site = parseSite(headers.get("CA"));
  if (!site.ok) return site;
  const requester = parseRequester(headers.get("Proof"), sections.get(REQUESTER));
  if (!requester.ok) return requester;
  return ok({
    name,
    facts: facts.value,
    signerName,
    usages: splitList(headers.get("Usages"), ","),
    ...(lifetime.value === undefined ? {} : { expirationSeconds: lifetime.value }),
    site: site.value,
    ...(requester.value === undefined ? {} : { requester: requester.value }),
  });
}

function parseLifetime(text: string | undefined): Result<number | undefined, string> {
  if (text === undefined || text === ANY_LIFETIME) return ok(undefined);
  const duration = parseSettingDuration(text);
  if (!duration.ok || duration.value < 1_000) return err(`its line Lifetime cannot be read: "${text}"`);
  return ok(Math.floor(duration.value / 1_000));
}

function parseSite(text: string | undefined): Result<readonly PublicKeyPin[], string> {
  const pins: PublicKeyPin[] = [];
  for (const word of text === undefined || text === NOT_KNOWN ? [] : splitList(text, " ")) {
    const pin = parsePublicKeyPin(word);
    if (!pin.ok) return err(`its line CA cannot be read: ${pin.error}`);
    pins.push(pin.value);
  }
  return ok(pins);
}

function parseRequester(
  proof: string | undefined,
  pem: string | undefined,
): Result<RequesterProof | undefined, string> {
  if (proof === undefined && pem === undefined) return ok(undefined);
  const signature = decodeBase64(proof ?? "");
  const chain = parseCaBundle(pem ?? "");
  if (signature === undefined || !chain.ok) {
    return err("the certificate of its requester, or the proof, cannot be read");
  }
  return ok({ chain: chain.value, signature: new Uint8Array(signature) });
}

function splitList(text: string | undefined, separator: string): readonly string[] {
  return (text ?? "").split(separator).map((word) => word.trim()).filter((word) => word !== "");
}
