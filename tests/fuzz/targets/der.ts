/**
 * DER: requests, certificates and names. Our readers agree with @peculiar/x509 and node:crypto if these accept the
 * input.
 */
import { Buffer } from "node:buffer";
import { X509Certificate } from "node:crypto";
import "reflect-metadata";
import { Pkcs10CertificateRequest } from "@peculiar/x509";
import { parseCertificate, parseCertificates } from "../../../core/pki/x509/certificate.ts";
import { encodePem } from "../../../core/pki/asn1/pem.ts";
import { parseCertificationRequest, verifyRequestSignature } from "../../../core/pki/x509/pkcs10.ts";
import { ML_DSA_VECTORS } from "../../support/ml_dsa_vectors.ts";
import { FULL_REQUEST, REQUEST_VECTORS, SECP256K1_REQUEST } from "../../support/request_vectors.ts";
import { toResult } from "../../../core/pki/asn1/der.ts";
import { parsePublicKey } from "../../../core/pki/keys/public_key.ts";
import { encodeName, formatName, parseName } from "../../../core/pki/x509/names.ts";
import { isAppError } from "../../../core/errors.ts";
import {
  type AlternativeNames,
  encodeAlternativeNames,
  parseAlternativeNames,
} from "../../../core/pki/x509/subject_alternative_names.ts";
import { assertSame, resultOutcome } from "../oracle.ts";
import { DER } from "../structure/der.ts";
import { type Bytes, type Target } from "../target.ts";
import { makeCertificates } from "../inputs/certificates.ts";
import { fromBase64 } from "../inputs/seeds.ts";

const REQUESTS = [
  ...[FULL_REQUEST, SECP256K1_REQUEST],
  ...REQUEST_VECTORS.map(({ base64 }) => base64),
  ...ML_DSA_VECTORS.map(({ request }) => request),
].map(fromBase64);
const WORDS = [
  "0\u0000",
  "1\u0000",
  "\u0005\u0000",
  "\u0002\u0001\u0000",
  "0\u0001",
  "\u0006\u0003U\u001d\u0011",
  "\u0006\u0003U\u0004\u0003",
  "a.b",
  "\u0007\u0004aaaa",
];
const MAX_BYTES = 2 ** 21;

export const request: Target = {
  seeds: REQUESTS,
  words: WORDS,
  maxBytes: MAX_BYTES,
  ...DER,
  run(input) {
    const parsed = parseCertificationRequest(input);
    if (!parsed.ok) return resultOutcome(parsed);
    const verified = verifyRequestSignature(parsed.value, { allowMlDsa: true });
    formatName(parsed.value.subject);
    if (input.length < 65_536) compareRequest(input, parsed.value);
    return resultOutcome(verified);
  },
};

export async function certificate(): Promise<Target> {
  return {
    seeds: await makeCertificates(),
    words: WORDS,
    maxBytes: MAX_BYTES,
    ...DER,
    run(input) {
      const parsed = parseCertificate(input);
      const several = parseCertificates(input);
      if (!parsed.ok) return `${resultOutcome(parsed)} ${several.ok}`;
      if (input.length < 65_536) compareCertificate(input, parsed.value);
      return "ok";
    },
  };
}

/** `names`: only subjects, alternative names and public keys. */
export const names: Target = {
  seeds: namesOfSeeds(),
  words: [...WORDS, "http://", "[::1]", ":80", "xn--", "\u0086\u0003a:b", "\u0082\u0001a"],
  maxBytes: MAX_BYTES,
  ...DER,
  run(input) {
    const alternative = toResult(() => parseAlternativeNames(input));
    if (alternative.ok) assertSameNames(alternative.value);
    const subject = toResult(() => parseName(input, "certificate"));
    if (subject.ok) {
      formatName(subject.value);
      refusable(() => encodeName(subject.value));
    }
    toResult(() => parsePublicKey(input));
    return `${resultOutcome(alternative)} ${resultOutcome(subject)}`;
  },
};

/** Calls a function; returns undefined if it throws a typed error, as for names that DER cannot hold. */
function refusable<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (isAppError(error, "invalid", "key_invalid", "pki_invalid")) return undefined;
    throw error;
  }
}

function assertSameNames(names: AlternativeNames): void {
  const encoded = refusable(() => encodeAlternativeNames(names));
  if (encoded === undefined) return;
  const { otherNames: _, ...again } = parseAlternativeNames(encoded);
  const { dnsNames, emailAddresses, ipAddresses, uris } = names;
  assertSame(again, { dnsNames, emailAddresses, ipAddresses, uris }, "alternative names again");
}

function namesOfSeeds(): readonly Bytes[] {
  const alternative = encodeAlternativeNames({
    dnsNames: ["a.example", "*.b"],
    emailAddresses: ["a@b.c"],
    ipAddresses: ["127.0.0.1", "::1"],
    uris: ["spiffe://a/b?c#d", "urn:x"],
  });
  const found = REQUESTS.map((der) => parseCertificationRequest(der)).flatMap((parsed) =>
    parsed.ok ? [new Uint8Array(parsed.value.subject.raw), parsed.value.publicKeyDer] : []
  );
  return [...(alternative === undefined ? [] : [alternative]), ...found];
}

function compareRequest(input: Bytes, ours: { readonly publicKeyDer: Bytes; readonly signature: Bytes }): void {
  let theirs: Pkcs10CertificateRequest;
  try {
    theirs = new Pkcs10CertificateRequest(input);
  } catch {
    return;
  }
  // The package re-encodes keys, and omits unknown parts of their algorithm.
  const written = hex(new Uint8Array(theirs.publicKey.rawData));
  if (written.length === ours.publicKeyDer.length * 2) assertSame(hex(ours.publicKeyDer), written, "public key");
  assertSame(hex(ours.signature), hex(new Uint8Array(theirs.signature)), "signature of the request");
}

function compareCertificate(
  input: Bytes,
  ours: { readonly sha256Fingerprint: string; readonly serialNumber: string; readonly notAfter: Date },
): void {
  let theirs: X509Certificate;
  try {
    // Compare texts, because Deno reads only its own DER.
    theirs = new X509Certificate(encodePem("CERTIFICATE", input));
  } catch {
    return;
  }
  const fingerprint = theirs.fingerprint256.replaceAll(":", "").toLowerCase();
  assertSame(ours.sha256Fingerprint, fingerprint, "fingerprint");
  assertSame(
    ours.serialNumber.replace(/^0+/, ""),
    theirs.serialNumber.toLowerCase().replace(/^0+/, ""),
    "serial number",
  );
  const until = Date.parse(theirs.validTo);
  if (!Number.isNaN(until)) assertSame(ours.notAfter.getTime(), until, "end");
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
