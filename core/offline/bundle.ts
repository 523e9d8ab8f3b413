/**
 * Requests for an offline CA and its answers, which travel as a file on a stick, in an e-mail or on paper. A bundle is
 * an armored text (`armor.ts`). Its first part describes the origin, and each other part is one request or answer. The
 * first part contains the hash of the others and is signed, so nothing can be changed, added, removed or moved
 * afterwards. A single machine sends a bundle with one request.
 */
import { createHash, hash } from "node:crypto";
import type {
  CertificateSigningRequestCondition,
  CertificateSigningRequestSpec,
} from "../kube/kinds/certificates_v1.ts";
import { formatTime } from "../kube/meta.ts";
import { decodeBase64, encodeBase64 } from "../lib/encodings.ts";
import { formatDuration, parseSettingDuration } from "../lib/duration.ts";
import { isRecord, tryParseJson } from "../lib/record.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { type Authority, signText, verifyText } from "../pki/authority/authority.ts";
import { findAuthorityFault } from "../pki/x509/ca_bundle.ts";
import { type CertificateFacts, parseCertificate } from "../pki/x509/certificate.ts";
import { toResult } from "../pki/asn1/der.ts";
import { formatName } from "../pki/x509/names.ts";
import { parseCertificationRequest, type RequestFacts } from "../pki/x509/pkcs10.ts";
import { parsePublicKey, type PublicKeyFacts } from "../pki/keys/public_key.ts";
import { parsePublicKeyPin, type PublicKeyPin, publicKeyPin } from "../pki/keys/key_names.ts";
import { listAlternativeNames } from "../pki/x509/subject_alternative_names.ts";
import type { CaKey } from "../ports.ts";
import {
  type ArmorBlock,
  type ArmorPart,
  type ArmorReading,
  encodeArmor,
  findArmorKind,
  formatArmorPart,
  readArmor,
} from "./armor.ts";

/** Whether a bundle contains requests for a CA or the answers of one. */
export type BundleKind = "requests" | "answers";

/** A request for a CA. */
export interface OfflineRequest {
  /** The name of the request, which is also part of the file names of the request and the answer. */
  readonly name: string;
  readonly facts: RequestFacts;
  readonly signerName: string;
  /** In the order of the request. */
  readonly usages: readonly string[];
  /** The requested lifetime; the signer chooses when it is absent. */
  readonly expirationSeconds?: number | undefined;
  /** The approval at the API server; undefined for the request of a machine. */
  readonly approved?: ApprovedRequest | undefined;
}

/** The approval of a request that an API server exports, and its requester. */
interface ApprovedRequest {
  readonly uid: string;
  readonly requester: OfflineRequester;
  readonly approval: CertificateSigningRequestCondition;
}

/** The user that a request comes from. */
export type OfflineRequester = Pick<CertificateSigningRequestSpec, "username" | "uid" | "groups" | "extra">;

/** A machine that requests its own certificate. */
export interface MachineOrigin {
  readonly kind: "machine";
  /** The pins of the CAs of the machine's site; empty when the machine does not know any yet. */
  readonly site: readonly PublicKeyPin[];
  /** The chain, leaf first, of the machine's current certificate, whose key signed the bundle; empty without one. */
  readonly requester: readonly CertificateFacts[];
}

/** An API server that exports approved requests. */
export interface ExportOrigin {
  readonly kind: "export";
  /** A unique random number in hexadecimal digits. */
  readonly id: string;
  /** The time of the export in RFC 3339. */
  readonly createdAt: string;
  /** The URL of the API server. */
  readonly server: string;
  /** The pin of the key that signed the export. */
  readonly exporter: PublicKeyPin;
}

/** Requests that the key in their origin has signed. The caller decides whether it trusts that key. */
export interface RequestBundle {
  readonly origin: MachineOrigin | ExportOrigin;
  readonly requests: readonly OfflineRequest[];
  /** The signed first part, by which an installation recognizes the answers to its own exports. */
  readonly front: ArmorPart;
}

export type AnswerOutcome =
  /** The certificates of the chain, leaf first. */
  | { readonly kind: "issued"; readonly chain: readonly CertificateFacts[] }
  /** The rules of the CA refuse the request, so sending it again is useless. */
  | { readonly kind: "refused"; readonly message: string }
  /** The request was not decided, and may be sent again. */
  | { readonly kind: "skipped"; readonly message: string };

export interface RequestAnswer {
  readonly name: string;
  /** The id of the answered request (`computeRequestId`), and its subject and key. */
  readonly id: string;
  readonly subject: string;
  readonly key: PublicKeyPin;
  readonly outcome: AnswerOutcome;
}

/** The site of the machines, as far as the CA knows it. */
export interface OfflineSite {
  /** The CAs that clients of the API server trust; there are two while one replaces the other. */
  readonly serverCas: readonly CertificateFacts[];
  /** The CA that answers, signed by the one that it replaces. */
  readonly crossSigned?: CertificateFacts | undefined;
  /** The URL of the API server; undefined when the CA does not know it. */
  readonly server?: string | undefined;
}

/** Answers that each of the CAs in them has signed. The caller decides whether it trusts these CAs. */
export interface AnswerBundle extends OfflineSite {
  /** The answered export, which its exporter has signed; undefined for the answer to a machine. */
  readonly export: ExportOrigin | undefined;
  readonly answeredAt: string;
  /** The CAs that signed the answers, each followed by its issuers. */
  readonly authorities: readonly (readonly CertificateFacts[])[];
  readonly answers: readonly RequestAnswer[];
}

/** The largest number of requests or answers of a bundle. */
export const MAX_BUNDLE_ITEMS = 10_000;

const ANY_LIFETIME = "chosen by the signer";
const NOT_KNOWN = "not known yet";
const REQUEST = "certificate request";
const REQUESTER = "certificate that the requester has";
const EXPORTER = "key of the exporter";
const CERTIFICATE = "certificate, and the intermediates behind it";
const SERVER_CA = "CA of the API server";
const CROSS_SIGNED = "CA that answers, signed by the one that it replaces";
const EXPORT = "export that is answered";
const EXPORT_LABEL = "TLSBOOT EXPORT";
/** Each CA of a split installation adds one signature; this is more than any installation has. */
const MAX_SIGNATURES = 16;
/** A DNS subdomain, like the names of machines and CSRs, with underscores, which those names cannot contain. */
const NAME = /^[a-z0-9]([-_a-z0-9.]*[a-z0-9])?$/;
const MAX_NAME = 240;

/** Returns the file name of a machine's request or of its answer. */
export function toStickFileName(name: string, kind: "request" | "answer"): string {
  return `${name}.${kind}.pem`;
}

/** Finds the name of a request in the name of its file; undefined for any other file. */
export function findRequestName(fileName: string): string | undefined {
  const [, name = ""] = /^(.+)\.request\.pem$/.exec(fileName) ?? [];
  return isFileName(name) ? name : undefined;
}

function isFileName(name: string): boolean {
  return name.length <= MAX_NAME && NAME.test(name);
}

/** Finds the kind of bundle in a text; undefined when there is none. */
export function findBundleKind(text: string): BundleKind | undefined {
  const kind = findArmorKind(text);
  return kind === "requests" || kind === "answers" ? kind : undefined;
}

/**
 * Computes the id of a request: its uid at the API server, or SHA-256 (hex) of its contents. These exclude the
 * signature, so a request that a machine creates again with the same key has the same id.
 */
export function computeRequestId({ facts, signerName, usages, expirationSeconds, approved }: OfflineRequest): string {
  const signed = encodeBase64(facts.signedDer);
  return approved?.uid ?? hash("sha256", JSON.stringify([signed, signerName, usages, expirationSeconds ?? null]));
}

/** Computes the unique id of a bundle. */
export function computeBundleId({ front }: Pick<RequestBundle, "front">): string {
  return hash("sha256", formatSigned(front));
}

/** Encodes the request of a machine, signed by the key of its current certificate. Rejects when the key does. */
export async function encodeMachineRequest(
  request: OfflineRequest,
  { site, requester }: {
    readonly site: readonly PublicKeyPin[];
    readonly requester: { readonly chain: readonly CertificateFacts[]; readonly key: CaKey } | undefined;
  },
): Promise<string> {
  const [leaf] = requester?.chain ?? [];
  const front: ArmorPart = {
    headers: {
      CA: site.join(" ") || NOT_KNOWN,
      ...(leaf === undefined
        ? {}
        : { Requester: `has certificate ${leaf.serialNumber}, valid until ${formatTime(leaf.notAfter)}` }),
    },
    sections: requester === undefined ? {} : { [REQUESTER]: toBlocks(requester.chain) },
  };
  return await sealBundle("requests", front, [encodeRequest(request)], requester === undefined ? [] : [requester.key]);
}

/** Encodes approved requests, signed by the key of the exporter. Rejects when the key does. */
export async function encodeExport(
  { id, createdAt, server }: Pick<ExportOrigin, "id" | "createdAt" | "server">,
  requests: readonly OfflineRequest[],
  key: CaKey,
): Promise<string> {
  const front: ArmorPart = {
    headers: { Export: id, Created: createdAt, Server: server },
    sections: { [EXPORTER]: [{ label: "PUBLIC KEY", bytes: await key.publicKey() }] },
  };
  return await sealBundle("requests", front, requests.map(encodeRequest), [key]);
}

/** Reads requests. Each error is a sentence without a period about a missing, altered or invalid part. */
export function readRequests(text: string): Result<RequestBundle, readonly string[]> {
  const opened = openBundle("requests", text);
  if (!opened.ok) return opened;
  const { front, items } = opened.value;
  const origin = EXPORTER in front.sections ? parseExport(front) : parseMachine(front);
  if (!origin.ok) return err([origin.error]);
  const isExport = origin.value.kind === "export";
  if (!isExport && items.length !== 1) {
    return err([`it holds ${items.length} requests, but a machine sends exactly one`]);
  }
  const requests: OfflineRequest[] = [];
  const ids = new Set<string>();
  for (const item of items) {
    const { Name: name = "" } = item.headers;
    const request = parseRequest(item, isExport);
    if (!request.ok) return err([`the request "${name}" cannot be read: ${request.error}`]);
    const id = computeRequestId(request.value);
    if (ids.has(id)) return err([`it contains the request "${name}" twice`]);
    ids.add(id);
    requests.push(request.value);
  }
  return ok({ origin: origin.value, requests, front });
}

/** Encodes answers, signed by the keys of the CAs that gave them. Rejects when a key does. */
export async function encodeAnswers(
  { origin, front: exported }: RequestBundle,
  answers: readonly { readonly request: OfflineRequest; readonly outcome: AnswerOutcome }[],
  { serverCas, crossSigned, server }: OfflineSite,
  authorities: readonly Pick<Authority, "certificate" | "issuers" | "key">[],
  now: Date,
): Promise<string> {
  const chains = authorities.map(({ certificate, issuers }) => [certificate, ...issuers]);
  const front: ArmorPart = {
    headers: {
      Answered: formatTime(now),
      CA: authorities.map(({ certificate }) => publicKeyPin(certificate)).join(" "),
      ...(server === undefined ? {} : { Server: server }),
    },
    sections: {
      ...Object.fromEntries(chains.map((chain, at) => [toHeading(at), toBlocks(chain)])),
      [SERVER_CA]: toBlocks(serverCas),
      ...(crossSigned === undefined ? {} : { [CROSS_SIGNED]: toBlocks([crossSigned]) }),
      ...(origin.kind === "machine" ? {} : {
        [EXPORT]: [{ label: EXPORT_LABEL, bytes: new TextEncoder().encode(encodeArmor("requests", [exported])) }],
      }),
    },
  };
  const items = answers.map(({ request, outcome }) => encodeAnswer(request, outcome));
  return await sealBundle("answers", front, items, authorities.map(({ key }) => key));
}

/** Reads answers, and verifies the signatures of every CA and of the exporter. The errors are those of `readRequests`. */
export function readAnswers(text: string): Result<AnswerBundle, readonly string[]> {
  const opened = openBundle("answers", text);
  if (!opened.ok) return opened;
  const { front, items } = opened.value;
  const { headers, sections } = front;
  const exported = parseAnswered(sections[EXPORT]);
  if (!exported.ok) return err([`the export that it answers was altered: ${exported.error}`]);
  const authorities: (readonly CertificateFacts[])[] = [];
  for (let at = 0; sections[toHeading(at)] !== undefined; at++) {
    const chain = parseChain(sections[toHeading(at)]);
    const fault = chain.ok ? chain.value.map(findAuthorityFault).find((found) => found !== undefined) : chain.error;
    if (!chain.ok || fault !== undefined) return err([`a CA in it cannot be used: ${fault}`]);
    authorities.push(chain.value);
  }
  if (authorities.length === 0) return err(["it contains no CA"]);
  const isSigned = authorities.every(([ca]) => ca !== undefined && isSignedBy("answers", front, ca.publicKey));
  if (!isSigned) return err(["the signature of its CA does not match"]);
  const serverCas = parseChain(sections[SERVER_CA] ?? [], true);
  if (!serverCas.ok) return err([`the CA of the API server in it cannot be read: ${serverCas.error}`]);
  const crossSigned = parseChain(sections[CROSS_SIGNED] ?? [], true);
  if (!crossSigned.ok) return err([`the cross-signed CA in it cannot be read: ${crossSigned.error}`]);
  const answers: RequestAnswer[] = [];
  for (const item of items) {
    const answer = parseAnswer(item);
    if (!answer.ok) return err([`the answer to "${item.headers["Name"] ?? ""}" cannot be read: ${answer.error}`]);
    answers.push(answer.value);
  }
  return ok({
    export: exported.value,
    answeredAt: headers["Answered"] ?? "",
    authorities,
    serverCas: serverCas.value,
    crossSigned: crossSigned.value[0],
    server: headers["Server"],
    answers,
  });
}

/** Adds the hash of the items, their names and the signatures to the first part. Rejects when a key does. */
async function sealBundle(
  kind: BundleKind,
  { headers, sections }: ArmorPart,
  items: readonly ArmorPart[],
  keys: readonly CaKey[],
): Promise<string> {
  const front = { headers: { ...headers, Contents: hashItems(items) }, sections };
  const signatures: string[] = [];
  for (const key of keys) {
    signatures.push(encodeBase64(await signText(`bundle of ${kind}`, key, formatSigned(front))));
  }
  const sealed = {
    ...front.headers,
    ...(signatures.length === 0 ? {} : { Signature: signatures.join(" ") }),
    Names: items.map((item) => item.headers["Name"]).join(" "),
  };
  return encodeArmor(kind, [{ headers: sealed, sections }, ...items]);
}

/** Reads the parts of a bundle, and checks the items against the hash in its first part. */
function openBundle(
  kind: BundleKind,
  text: string,
): Result<{ readonly front: ArmorPart; readonly items: readonly ArmorPart[] }, readonly string[]> {
  const reading = readArmor(text, kind);
  if (reading.faults.length > 0) return err(describeFaults(reading));
  const [front, ...items] = reading.parts.map(({ headers, sections }) => ({ headers, sections }));
  if (front?.headers["Contents"] === undefined) return err(["its first part is not that of a bundle"]);
  if (items.length > MAX_BUNDLE_ITEMS) return err([`it holds more than ${MAX_BUNDLE_ITEMS} ${kind}`]);
  return front.headers["Contents"] === hashItems(items)
    ? ok({ front, items })
    : err(["its contents were altered after they were signed"]);
}

/** Describes faults with the names of their items, from the list in the first part or from the part itself. */
function describeFaults({ parts: [first], faults }: ArmorReading): readonly string[] {
  const names = first?.number === 1 ? first.headers["Names"]?.split(" ") ?? [] : [];
  return faults.map(({ part, headers, message }) => {
    const name = (part === undefined ? undefined : names[part - 2]) ?? headers["Name"];
    return name === undefined ? message : `${message}: "${name}"`;
  });
}

function hashItems(items: readonly ArmorPart[]): string {
  const sum = createHash("sha256");
  for (const item of items) sum.update(`${formatArmorPart(item)}\n`);
  return sum.digest("base64");
}

/** Formats the signed text of a first part. `Names` is not signed, because it only serves the reports of faults. */
function formatSigned({ headers, sections }: ArmorPart): string {
  const { Signature: _, Names: __, ...signed } = headers;
  return formatArmorPart({ headers: signed, sections });
}

function isSignedBy(kind: BundleKind, front: ArmorPart, key: PublicKeyFacts): boolean {
  const signatures = front.headers["Signature"]?.split(" ") ?? [];
  return signatures.length <= MAX_SIGNATURES && signatures.some((signature) => {
    const bytes = decodeBase64(signature);
    return bytes !== undefined && verifyText(`bundle of ${kind}`, key, formatSigned(front), bytes);
  });
}

function parseExport(front: ArmorPart): Result<ExportOrigin, string> {
  const { Export: id = "", Created: createdAt, Server: server } = front.headers;
  if (createdAt === undefined || server === undefined) return err("its first part is incomplete");
  if (!/^[0-9a-f]{32}$/.test(id)) return err("its number is malformed");
  const [block] = front.sections[EXPORTER] ?? [];
  const key = block === undefined ? undefined : toResult(() => parsePublicKey(block.bytes));
  if (block === undefined || key?.ok !== true) return err("the key of its exporter cannot be read");
  if (key.value.weakness !== undefined) return err(`the key of its exporter is weak: ${key.value.weakness}`);
  if (!isSignedBy("requests", front, key.value)) return err("the signature of its exporter does not match");
  return ok({ kind: "export", id, createdAt, server, exporter: publicKeyPin({ publicKeyDer: block.bytes }) });
}

function parseMachine(front: ArmorPart): Result<MachineOrigin, string> {
  const requester = parseChain(front.sections[REQUESTER] ?? [], true);
  if (!requester.ok) return err(`the certificate of its requester cannot be read: ${requester.error}`);
  const [leaf] = requester.value;
  if (leaf !== undefined && !isSignedBy("requests", front, leaf.publicKey)) {
    return err("the key of its requester's certificate did not sign it");
  }
  const site: PublicKeyPin[] = [];
  const { CA: words = NOT_KNOWN } = front.headers;
  for (const word of words === NOT_KNOWN ? [] : splitList(words, " ")) {
    const pin = parsePublicKeyPin(word);
    if (!pin.ok) return err(`its line CA cannot be read: ${pin.error}`);
    site.push(pin.value);
  }
  return ok({ kind: "machine", site, requester: requester.value });
}

/** Parses the first part of the export that is answered; undefined without one. */
function parseAnswered(blocks: readonly ArmorBlock[] | undefined): Result<ExportOrigin | undefined, string> {
  if (blocks === undefined) return ok(undefined);
  const [block] = blocks;
  const { parts: [front] } = readArmor(new TextDecoder().decode(block?.bytes), "requests");
  return front === undefined ? err("it cannot be read") : parseExport(front);
}

/** Encodes a request. The header lines are for people, and for the fields of a CSR object that PKCS#10 lacks. */
function encodeRequest({ name, facts, signerName, usages, expirationSeconds, approved }: OfflineRequest): ArmorPart {
  return {
    headers: {
      Name: name,
      Subject: formatSubject(facts),
      "Subject-Names": listAlternativeNames(facts).join(", ") || "none",
      Signer: signerName,
      Usages: usages.join(", "),
      Lifetime: formatOfflineLifetime(expirationSeconds),
      Key: publicKeyPin(facts),
      ...(approved === undefined ? {} : {
        UID: approved.uid,
        Requester: JSON.stringify(approved.requester),
        Approval: JSON.stringify(approved.approval),
      }),
    },
    sections: { [REQUEST]: [{ label: "CERTIFICATE REQUEST", bytes: new Uint8Array(facts.der) }] },
  };
}

function parseRequest({ headers, sections }: ArmorPart, isExport: boolean): Result<OfflineRequest, string> {
  const [block, ...more] = sections[REQUEST] ?? [];
  if (block?.label !== "CERTIFICATE REQUEST" || more.length > 0) return err("it does not hold one certificate request");
  const facts = parseCertificationRequest(block.bytes);
  if (!facts.ok) return facts;
  const { Name: name = "", Signer: signerName = "", Usages: usages, Lifetime: lifetime = ANY_LIFETIME } = headers;
  if (!isExport && !isFileName(name)) return err("its line Name is not the name of a file");
  if (signerName === "") return err("it has no line Signer");
  const duration = lifetime === ANY_LIFETIME ? undefined : parseSettingDuration(lifetime);
  if (duration !== undefined && (!duration.ok || duration.value < 1_000)) {
    return err(`its line Lifetime cannot be read: "${lifetime}"`);
  }
  const approved = isExport ? parseApproved(headers) : undefined;
  if (approved?.ok === false) return approved;
  return ok({
    name,
    facts: facts.value,
    signerName,
    usages: splitList(usages ?? "", ","),
    ...(duration?.ok === true ? { expirationSeconds: Math.floor(duration.value / 1_000) } : {}),
    ...(approved === undefined ? {} : { approved: approved.value }),
  });
}

function parseApproved(headers: ArmorPart["headers"]): Result<ApprovedRequest, string> {
  const { UID: uid = "" } = headers;
  if (uid === "") return err("it has no uid");
  const requester = tryParseJson(headers["Requester"] ?? "");
  if (!isRecord(requester) || !isRequester(requester)) return err("its requester is malformed");
  const approval = tryParseJson(headers["Approval"] ?? "");
  if (!isRecord(approval) || approval["type"] !== "Approved" || !isCondition(approval)) {
    return err("it is not approved");
  }
  return ok({ uid, requester, approval });
}

function isRequester(
  value: Readonly<Record<string, unknown>>,
): value is Readonly<Record<string, unknown>> & OfflineRequester {
  // The requester becomes part of the spec of a CSR, where an unknown key could set any field.
  const { username, uid, groups, extra, ...others } = value;
  return Object.keys(others).length === 0 && [username, uid].every(isOptionalText) &&
    (groups === undefined || isTextList(groups)) &&
    (extra === undefined || (isRecord(extra) && Object.values(extra).every(isTextList)));
}

function isCondition(
  value: Readonly<Record<string, unknown>>,
): value is Readonly<Record<string, unknown>> & CertificateSigningRequestCondition {
  const { type, status, reason, message, lastUpdateTime, lastTransitionTime } = value;
  return typeof type === "string" && typeof status === "string" && [reason, message].every(isOptionalText) &&
    [lastUpdateTime, lastTransitionTime].every((time) => time === null || isOptionalText(time));
}

function encodeAnswer(request: OfflineRequest, outcome: AnswerOutcome): ArmorPart {
  const [leaf] = outcome.kind === "issued" ? outcome.chain : [];
  return {
    headers: {
      Name: request.name,
      Verdict: outcome.kind,
      ...(outcome.kind === "issued" ? {} : { Reason: outcome.message }),
      Subject: formatSubject(request.facts),
      Key: publicKeyPin(request.facts),
      Request: computeRequestId(request),
      ...(leaf === undefined ? {} : {
        "Serial-Number": leaf.serialNumber,
        Valid: `from ${formatTime(leaf.notBefore)} to ${formatTime(leaf.notAfter)}`,
      }),
    },
    sections: outcome.kind === "issued" ? { [CERTIFICATE]: toBlocks(outcome.chain) } : {},
  };
}

function parseAnswer({ headers, sections }: ArmorPart): Result<RequestAnswer, string> {
  const { Name: name = "", Request: id = "", Subject: subject = "", Verdict: kind, Reason: message = "" } = headers;
  const key = parsePublicKeyPin(headers["Key"] ?? "");
  if (!key.ok) return err("its line Key cannot be read");
  const answer = { name, id, subject, key: key.value };
  if (kind === "refused" || kind === "skipped") return ok({ ...answer, outcome: { kind, message } });
  if (kind !== "issued") return err("its line Verdict cannot be read");
  const chain = parseChain(sections[CERTIFICATE]);
  return chain.ok ? ok({ ...answer, outcome: { kind, chain: chain.value } }) : chain;
}

/** Formats the subject of a request, by which a machine recognizes its answer. */
export function formatSubject({ subject }: Pick<RequestFacts, "subject">): string {
  return formatName(subject) || "none";
}

/** Formats a requested lifetime. Without one, the signer chooses. */
export function formatOfflineLifetime(expirationSeconds: number | undefined): string {
  return expirationSeconds === undefined ? ANY_LIFETIME : formatDuration(expirationSeconds * 1_000);
}

function toHeading(at: number): string {
  return `CA ${at + 1} that answers`;
}

function toBlocks(certificates: readonly CertificateFacts[]): readonly ArmorBlock[] {
  return certificates.map(({ der }) => ({ label: "CERTIFICATE", bytes: der }));
}

function parseChain(
  blocks: readonly ArmorBlock[] | undefined,
  mayBeEmpty = false,
): Result<readonly CertificateFacts[], string> {
  const certificates: CertificateFacts[] = [];
  for (const { label, bytes } of blocks ?? []) {
    const parsed = label === "CERTIFICATE" ? parseCertificate(bytes) : err(`it holds a ${label}`);
    if (!parsed.ok) return parsed;
    certificates.push(parsed.value);
  }
  return certificates.length > 0 || mayBeEmpty ? ok(certificates) : err("it holds no certificate");
}

function splitList(text: string, separator: string): readonly string[] {
  return text.split(separator).map((word) => word.trim()).filter((word) => word !== "");
}

function isOptionalText(value: unknown): boolean {
  return value === undefined || typeof value === "string";
}

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
