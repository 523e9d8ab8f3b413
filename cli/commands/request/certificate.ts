/**
 * Delivers a requested certificate: prints the answer, writes a PKCS#12 file (RFC 7292, encrypted as OpenSSL 3 does by
 * default), and runs the user's command. Later runs repeat the last two until they have succeeded once.
 */
import { join, resolve } from "node:path";
import type { PairPaths } from "../../../client/certificate/pair_folder.ts";
import type { SubmittedRequest } from "../../../client/certificate/submit_request.ts";
import { type FilePort, SECRET_MODE } from "../../../client/files.ts";
import type { RequestOutcome } from "../../../client/request_certificate.ts";
import { type CredentialPair, parseCredentialPair } from "../../../core/machine/credential_pair.ts";
import { AppError } from "../../../core/errors.ts";
import { formatTime } from "../../../core/kube/meta.ts";
import { listBundled } from "../../../core/pki/x509/ca_bundle.ts";
import type { CertificateFacts } from "../../../core/pki/x509/certificate.ts";
import { formatName } from "../../../core/pki/x509/names.ts";
import { toExpirationSeconds } from "../../flags/request.ts";
import type { Settings } from "../../framework/flags.ts";
import { createHookError, runHooks } from "../../hooks.ts";
import type { Tools } from "../../io.ts";
import { displayPath } from "../../output/files.ts";
import { escapeText } from "../../../core/lib/printable.ts";
import { startProgress } from "../../output/progress.ts";
import { writeStructured } from "../../output/structured.ts";
import { describeCertificate } from "../../output/pki_facts.ts";
import type { CERTIFICATE_FLAGS } from "./flags.ts";
import { createPassphrases } from "../../passphrases/passphrase.ts";
import { reportPending, type WantedCertificate } from "../../output/request_certificate.ts";
import { Buffer } from "node:buffer";
import { createHash, createHmac, hash } from "node:crypto";
import type { Random } from "../../../core/ports.ts";
import { type Bytes, contextTag, TAG } from "../../../core/pki/asn1/der.ts";
import {
  encodeNull,
  encodeOctetString,
  encodeOid,
  encodeSequence,
  encodeSetOf,
  encodeSmallInteger,
  encodeValue,
} from "../../../core/pki/asn1/der_writer.ts";
import { encodePkcs8, encryptPbes2 } from "../../../core/pki/keys/encrypted_key.ts";
import type { PrivateKey } from "../../../core/pki/keys/keys.ts";
import { UsageError } from "../../exit_code.ts";

/** The settings and the files of the certificate, and the tools. */
export interface Delivery extends Tools {
  readonly settings: Settings<typeof CERTIFICATE_FLAGS>;
  readonly signerName: string;
  /** The name for hooks and in the PKCS#12 file. */
  readonly name: string;
  /** The name in messages; the subject of the certificate by default. */
  readonly title?: string;
  /** The absolute path of the folder. */
  readonly folder: string;
  readonly paths: PairPaths & { readonly ca?: string };
}

/** A request that waits, or a certificate. */
type DeliveredOutcome =
  | RequestOutcome & { readonly kind: "pending" }
  | { readonly kind: "kept" | "issued"; readonly leaf: CertificateFacts; readonly submitted?: SubmittedRequest };

/** Throws UsageError for settings that contradict each other. */
export function checkCertificateSettings(settings: Delivery["settings"]): void {
  const { duration, renewBefore } = settings;
  if (duration !== undefined && renewBefore !== undefined && renewBefore >= duration) {
    throw new UsageError("--renew-before must be shorter than --duration: the certificate would be replaced each time");
  }
}

/** Converts the settings of the certificate and of the wait for it. */
export function toWantedCertificate({ timeout, duration, renewBefore }: Delivery["settings"]): WantedCertificate {
  return {
    timeoutSeconds: timeout / 1000,
    expirationSeconds: toExpirationSeconds(duration),
    renewBeforeMs: renewBefore,
  };
}

/** Prints the answer, writes the PKCS#12 file and runs the command. Throws AppError `hook_failed`. */
export async function deliver(outcome: DeliveredOutcome, delivery: Delivery): Promise<void> {
  const { settings: { output } } = delivery;
  if (output === undefined) delivery.stdout.write(escapeText(describeDelivery(outcome, delivery)));
  else writeStructured(toFacts(outcome, delivery), output, delivery);
  if (outcome.kind === "pending") return reportPending(outcome, delivery);
  const faults = await followUp(delivery);
  if (faults.length > 0) throw createHookError("the certificate", faults);
}

/** Describes the answer for people. */
export function describeDelivery(outcome: DeliveredOutcome, { title, paths, cwd }: Delivery): string {
  if (outcome.kind === "pending") return `request ${outcome.submitted.name} is pending\n`;
  const { kind, leaf } = outcome;
  const subject = title ??
    (formatName(leaf.subject) ||
      [...leaf.dnsNames, ...leaf.ipAddresses, ...leaf.uris, ...leaf.emailAddresses].join(","));
  const until = `valid until ${formatTime(leaf.notAfter)}`;
  if (kind === "kept") return `nothing to do: the certificate of ${subject} is ${until}\n`;
  const shown = (path: string) => displayPath(path, cwd);
  return `certificate of ${subject} issued, ${until}
certificate: ${shown(paths.certificate)}
key: ${shown(paths.key)}
both: ${shown(paths.combined)}
${paths.ca === undefined ? "" : `CA: ${shown(paths.ca)}\n`}`;
}

/** Returns the answer for programs. Keys may be added, but never removed or changed. */
function toFacts(outcome: DeliveredOutcome, { signerName, paths, clock }: Delivery): unknown {
  const { kind, submitted } = outcome;
  return {
    outcome: kind,
    signerName: outcome.kind === "pending" ? outcome.signerName : signerName,
    ...(submitted === undefined ? {} : {
      request: { name: submitted.name, uid: submitted.uid, adopted: submitted.adopted },
    }),
    ...(outcome.kind === "pending" ? { pendingKey: outcome.pendingKeyPath } : {
      files: paths,
      certificate: describeCertificate(outcome.leaf, clock.now()).facts,
    }),
  };
}

/**
 * Writes the PKCS#12 file and runs the command, unless an earlier run has done so for the same certificate. Returns the
 * failures of the command.
 */
export async function followUp(delivery: Delivery): Promise<readonly string[]> {
  const { settings: { exec, pkcs12 }, folder, paths, name, files, cwd } = delivery;
  if (exec === undefined && pkcs12 === undefined) return [];
  const pair = await readPair(paths, files);
  const marker = join(folder, ".followed");
  const fingerprint = `${pair.leaf.sha256Fingerprint}\n`;
  const isDone = await files.readText(marker) === fingerprint;
  const target = pkcs12 === undefined ? undefined : resolve(cwd, pkcs12);
  if (target !== undefined && (!isDone || await files.stat(target) === undefined)) {
    await writePkcs12(target, pair, delivery);
  }
  if (isDone) return [];
  const change = { purpose: "serving" as const, pair, certificatePath: paths.certificate };
  const faults = await runHooks({ exec, signals: [] }, change, { ...delivery, nodeName: name });
  if (faults.length === 0) await files.writeAtomic(marker, fingerprint, SECRET_MODE);
  return faults;
}

async function readPair({ certificate, key }: Delivery["paths"], files: FilePort): Promise<CredentialPair> {
  const pair = parseCredentialPair(await files.readText(certificate) ?? "", await files.readText(key) ?? "");
  if (pair.ok) return pair.value;
  throw new AppError("pki_invalid", `cannot use "${certificate}": ${pair.error}`);
}

async function writePkcs12(path: string, pair: CredentialPair, delivery: Delivery): Promise<void> {
  const { settings: { pkcs12PasswordFile }, paths, name, files } = delivery;
  const words = { what: "PKCS#12 file", flag: "--pkcs12-password-file" };
  const passwords = createPassphrases(pkcs12PasswordFile, delivery, words);
  const password = await passwords.getForCreating(displayPath(path, delivery.cwd));
  if (!/^[\x20-\x7e]*$/.test(password.reveal())) {
    throw new AppError("invalid", `cannot write "${path}": the password has characters outside of ASCII`, {
      hint: "Java cannot open such a file; choose letters, digits and punctuation of ASCII",
    });
  }
  const bundle = listBundled(paths.ca === undefined ? "" : await files.readText(paths.ca) ?? "");
  const [leaf, ...above] = pair.chain;
  const known = new Set(pair.chain.map(({ sha256Fingerprint }) => sha256Fingerprint));
  const roots = bundle.filter(({ sha256Fingerprint }) => !known.has(sha256Fingerprint));
  const issuers = [...above, ...roots].map(({ der }) => der);
  using _progress = startProgress(delivery, "encrypting the key");
  const contents = { key: pair.key, certificate: (leaf ?? pair.leaf).der, issuers, name };
  const bytes = await encodePkcs12(contents, password.reveal(), delivery.random);
  await files.writeAtomic(path, bytes, SECRET_MODE);
}

const OID = {
  data: "1.2.840.113549.1.7.1",
  encryptedData: "1.2.840.113549.1.7.6",
  keyBag: "1.2.840.113549.1.12.10.1.2",
  certificateBag: "1.2.840.113549.1.12.10.1.3",
  x509Certificate: "1.2.840.113549.1.9.22.1",
  friendlyName: "1.2.840.113549.1.9.20",
  localKeyId: "1.2.840.113549.1.9.21",
  sha256: "2.16.840.1.101.3.4.2.1",
} as const;

/**
 * The count for each of the three derivations. It is far above the 2,048 of OpenSSL and the 10,000 of Java, and the sum
 * stays below the 300,000 that .NET accepts at most.
 */
const ITERATIONS = 50_000;
const SALT_BYTES = 16;
/** The block size of SHA-256, which is the unit of the derivation in RFC 7292 appendix B.2. */
const BLOCK = 64;
/** The purpose of a derived key: material for a MAC (RFC 7292 appendix B.3). */
const MAC_PURPOSE = 3;

/** The contents of a PKCS#12 file. */
interface Pkcs12Contents {
  readonly key: PrivateKey;
  /** The certificate of the key, in DER. */
  readonly certificate: Uint8Array;
  /** The certificates of the CAs above it, in DER. */
  readonly issuers: readonly Uint8Array[];
  /** The name of the entry, which programs show. */
  readonly name: string;
}

/** Encodes a PKCS#12 file that is protected by a password. */
async function encodePkcs12(
  { key, certificate, issuers, name }: Pkcs12Contents,
  password: string,
  random: Random,
): Promise<Bytes> {
  const keyId = Buffer.from(hash("sha1", certificate, "hex"), "hex");
  const attributes = encodeSetOf([
    encodeSequence(encodeOid(OID.friendlyName), encodeSetOf([encodeValue(TAG.bmpString, toBmp(name))])),
    encodeSequence(encodeOid(OID.localKeyId), encodeSetOf([encodeOctetString(keyId)])),
  ]);
  const certificates = encodeSequence(
    encodeBag(OID.certificateBag, encodeCertificate(certificate), attributes),
    ...issuers.map((der) => encodeBag(OID.certificateBag, encodeCertificate(der))),
  );
  const secret = await encryptPbes2(encodePkcs8(key), password, ITERATIONS, random);
  const shrouded = encodeSequence(secret.algorithm, encodeOctetString(secret.encrypted));
  const hidden = await encryptPbes2(certificates, password, ITERATIONS, random);
  const safe = encodeSequence(
    encodeSequence(
      encodeOid(OID.encryptedData),
      encodeExplicit(encodeSequence(
        encodeSmallInteger(0),
        encodeSequence(
          encodeOid(OID.data),
          hidden.algorithm,
          encodeValue(contextTag(0, false), hidden.encrypted),
        ),
      )),
    ),
    encodeData(encodeSequence(encodeBag(OID.keyBag, shrouded, attributes))),
  );
  return encodeSequence(encodeSmallInteger(3), encodeData(safe), encodeMac(safe, password, random));
}

/** Encodes a ContentInfo of the type data. */
function encodeData(content: Bytes): Bytes {
  return encodeSequence(encodeOid(OID.data), encodeExplicit(encodeOctetString(content)));
}

function encodeBag(oid: string, value: Bytes, attributes?: Bytes): Bytes {
  return encodeSequence(encodeOid(oid), encodeExplicit(value), ...(attributes === undefined ? [] : [attributes]));
}

function encodeCertificate(der: Uint8Array): Bytes {
  return encodeSequence(encodeOid(OID.x509Certificate), encodeExplicit(encodeOctetString(der)));
}

function encodeExplicit(value: Bytes): Bytes {
  return encodeValue(contextTag(0, true), value);
}

function encodeMac(safe: Bytes, password: string, random: Random): Bytes {
  const salt = random.bytes(SALT_BYTES);
  const mac = createHmac("sha256", deriveMacKey(password, salt)).update(safe).digest();
  const algorithm = encodeSequence(encodeOid(OID.sha256), encodeNull());
  return encodeSequence(
    encodeSequence(algorithm, encodeOctetString(mac)),
    encodeOctetString(salt),
    encodeSmallInteger(ITERATIONS),
  );
}

/** Derives the key of the MAC (RFC 7292 appendix B.2). One block of SHA-256 is as long as the key. */
function deriveMacKey(password: string, salt: Uint8Array): Uint8Array {
  const diversifier = Buffer.alloc(BLOCK, MAC_PURPOSE);
  const text = Buffer.concat([toBmp(password), Buffer.alloc(2)]);
  let digest = createHash("sha256").update(diversifier).update(fill(salt)).update(fill(text)).digest();
  for (let round = 1; round < ITERATIONS; round++) digest = createHash("sha256").update(digest).digest();
  return digest;
}

/** Repeats bytes up to a multiple of the block size. */
function fill(bytes: Uint8Array): Uint8Array {
  return Buffer.alloc(Math.ceil(bytes.length / BLOCK) * BLOCK, bytes);
}

/** Encodes text as big-endian UTF-16, as in a BMPString and a password. */
function toBmp(text: string): Uint8Array {
  return Buffer.from(text, "utf16le").swap16();
}
