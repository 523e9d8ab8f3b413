/** Reads records from a server's register or a signer's log, and finds the certificates that a user refers to. */
import { open } from "node:fs/promises";
import type { ApiClient } from "../objects/api.ts";
import { AppError, findErrorCode, getErrorMessage } from "../../core/errors.ts";
import type { IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { getName } from "../../core/kube/meta.ts";
import { readRetiredCas } from "./ca_rotations.ts";
import { findRecord, flattenPages, listRecordPages, type RecordPage } from "./records.ts";
import { line, shellWord } from "../../core/lib/printable.ts";
import { findRecordSpec, formatRecordName, NAME_DIGITS } from "../../core/register/record.ts";
import {
  addReplacement,
  isCertificateRecord,
  ReplacementFinder,
  type Replacements,
} from "../../core/report/record_rows.ts";
import { issuedCertificateKind } from "../../core/kube/kinds/mod.ts";
import { formatApiVersion } from "../../core/kube/schema.ts";
import { isRecord } from "../../core/lib/record.ts";

/** A place from which records are read. */
export interface RecordSource {
  /** Whether records name the certificate that they replace. Those of a signer's log do not. */
  readonly namesReplaced: boolean;
  /** Yields all records in the order of issuance. With `signerName`, the source may leave out other signers. */
  pages(signal: AbortSignal, signerName?: string): AsyncIterable<RecordPage>;
  /** Finds a record by its name. */
  findByName(name: string, signal: AbortSignal): Promise<IssuedCertificate | undefined>;
  /** Reads the SHA-256 (hex) of the CAs that were replaced and are no longer trusted; empty for a log. */
  readRetiredCas(signal: AbortSignal): Promise<ReadonlySet<string>>;
}

/** Creates the source that reads the register of a server. */
export function createApiSource(api: ApiClient): RecordSource {
  return {
    namesReplaced: true,
    pages: (signal, signerName) =>
      listRecordPages(api, { fieldSelector: signerName && `spec.signerName=${signerName}` }, signal),
    findByName: (name, signal) => findRecord(api, name, signal),
    readRetiredCas: (signal) => readRetiredCas(api, signal),
  };
}

/** Finds the replaced certificates in the whole register. */
export async function findReplacements(source: RecordSource, signal: AbortSignal): Promise<Replacements> {
  const replacements: Replacements = new Map();
  const finder = new ReplacementFinder();
  for await (const record of flattenPages(source.pages(signal))) {
    if (source.namesReplaced) addReplacement(replacements, record);
    else finder.add(record);
  }
  return source.namesReplaced ? replacements : finder.found;
}

/** A user's reference to a certificate. */
type RecordReference =
  /** The name of a record. */
  | { readonly kind: "name"; readonly name: string }
  /** A serial number or a fingerprint in lower-case hex, or the beginning of one. */
  | { readonly kind: "digits"; readonly digits: string };

/** The prefixes that commands accept before the number of a certificate. */
export const CERTIFICATE_WORDS = /^(certs?|certificates?|issuedcertificates?(\.tlsboot)?|serial)\//;
/** A number with fewer digits is a position in the register and not a serial number. */
const MIN_SERIAL_DIGITS = 6;

/**
 * Parses a serial number, a fingerprint or the beginning of one, as openssl, browsers and this program print them, or the
 * number of a record. Throws AppError `usage`.
 */
export function parseRecordReference(text: string): RecordReference {
  const word = text.replace(CERTIFICATE_WORDS, "");
  const digits = word.replace(/^(serial|sha256 fingerprint)=/i, "").replace(/^(0x|sha256:)/i, "").replaceAll(":", "");
  const isPosition = /^\d+$/.test(word) && (word.length < MIN_SERIAL_DIGITS || word.length === NAME_DIGITS);
  if (isPosition) return { kind: "name", name: formatRecordName(Number(word)) };
  if (!/^[0-9a-f]+$/i.test(digits)) {
    throw new AppError(
      "usage",
      `cannot use "${text}" to find a certificate: want a serial number or a fingerprint, or the beginning of one`,
      { hint: "list the certificates with: tlsboot get certificates" },
    );
  }
  if (digits.length < MIN_SERIAL_DIGITS) {
    throw new AppError(
      "usage",
      `cannot use "${text}" to find a certificate: want at least ${MIN_SERIAL_DIGITS} digits`,
    );
  }
  return { kind: "digits", digits: digits.toLowerCase() };
}

/**
 * Finds the certificates that users name, in one pass over the register. The result has AppError `not_found` in place
 * of a certificate that does not exist, and `invalid` with the candidates when several serial numbers begin with the
 * digits.
 */
export async function findReferences(
  source: RecordSource,
  texts: readonly string[],
  signal: AbortSignal,
): Promise<readonly (IssuedCertificate | AppError)[]> {
  const references = texts.map(parseRecordReference);
  const found = references.map((): Map<string, IssuedCertificate> => new Map());
  if (references.some(({ kind }) => kind === "digits")) {
    for await (const record of flattenPages(source.pages(signal))) {
      references.forEach((reference, index) => {
        if (reference.kind === "digits" && matchesDigits(record, reference.digits)) {
          found[index]?.set(getName(record), record);
        }
      });
    }
  }
  for (const [index, reference] of references.entries()) {
    if (reference.kind !== "name") continue;
    const record = await source.findByName(reference.name, signal);
    if (record !== undefined && isCertificateRecord(record)) found[index]?.set(reference.name, record);
  }
  return texts.map((text, index) => pickOne(text, references[index], [...found[index]?.values() ?? []]));
}

function matchesDigits({ spec }: IssuedCertificate, digits: string): boolean {
  const { serialNumber = "", fingerprint = "" } = spec;
  // openssl and Go print a serial number with and without a leading zero.
  return serialNumber.startsWith(digits) || fingerprint.startsWith(digits) ||
    withoutZeros(serialNumber) === withoutZeros(digits);
}

function withoutZeros(digits: string): string {
  return digits.replace(/^0+/, "");
}

const MAX_CANDIDATES = 10;

/** Formats a certificate in one line, so that a user can choose among several. */
function formatCandidate({ spec }: IssuedCertificate): string {
  return line`${spec.serialNumber ?? "<unknown>"}  ${spec.subject ?? "<none>"}  issued ${spec.issuedAt ?? "<unknown>"}`;
}

function pickOne(
  text: string,
  reference: RecordReference | undefined,
  found: readonly IssuedCertificate[],
): IssuedCertificate | AppError {
  const exact = found.filter(({ spec }) => reference?.kind === "digits" && spec.serialNumber === reference.digits);
  const [record, ...others] = exact.length === 1 ? exact : found;
  if (record !== undefined && others.length === 0) return record;
  if (record === undefined) {
    return new AppError("not_found", `cannot find certificate "${text}": the register has none with that number`, {
      hint: "list the certificates with: tlsboot get certificates",
    });
  }
  const shown = found.slice(0, MAX_CANDIDATES).map(formatCandidate);
  const more = found.length - shown.length;
  return new AppError(
    "invalid",
    [
      `cannot find certificate "${text}": ${found.length} certificates begin with these digits`,
      ...shown,
      ...(more === 0 ? [] : [`and ${more} more`]),
    ].join("\n"),
    { hint: "give more digits of the serial number" },
  );
}

/** The number of records in a page of a log. */
const PAGE_SIZE = 500;

/**
 * Creates a source that reads a signer's log from its beginning each time. Reading throws AppError `io` or `invalid`.
 */
export function createLogSource(path: string): RecordSource {
  return {
    namesReplaced: false,
    async *pages(signal) {
      let records: IssuedCertificate[] = [];
      for await (const { record } of readIssuedLog(path, signal)) {
        records.push(record);
        if (records.length < PAGE_SIZE) continue;
        yield { records, resourceVersion: "" };
        records = [];
      }
      yield { records, resourceVersion: "" };
    },
    async findByName(name, signal) {
      for await (const { record } of readIssuedLog(path, signal)) if (record.metadata.name === name) return record;
      return undefined;
    },
    readRetiredCas: () => Promise.resolve(new Set()),
  };
}

/** A record of a log with the number of its line. */
interface LoggedRecord {
  readonly line: number;
  readonly record: IssuedCertificate;
}

/** Yields the records of a log. Throws AppError `io`, or `invalid` with the number of a malformed line. */
export async function* readIssuedLog(path: string, signal: AbortSignal): AsyncGenerator<LoggedRecord> {
  const handle = await open(path).catch((cause: unknown) => {
    const why = findErrorCode(cause) === "ENOENT" ? "no such file" : getErrorMessage(cause);
    throw new AppError("io", `cannot read issued log "${path}": ${why}`, { cause });
  });
  try {
    let line = 0;
    for await (const text of handle.readLines({ encoding: "utf8" })) {
      signal.throwIfAborted();
      line += 1;
      yield { line, record: parseLine(text, { path, line }) };
    }
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof AppError) throw cause;
    throw new AppError("io", `cannot read issued log "${path}": ${getErrorMessage(cause)}`, { cause });
  } finally {
    await handle.close();
  }
}

function parseLine(text: string, { path, line }: { readonly path: string; readonly line: number }): IssuedCertificate {
  const fail = (why: string): AppError =>
    new AppError("invalid", `cannot read line ${line} of issued log "${path}": ${why}`, {
      hint: "compare the line with a backup of the file; to check the lines before it: " +
        `head -n ${line - 1} ${shellWord(path)} > part.log && tlsboot verify certificates part.log`,
    });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw fail(text === "" ? "it is empty" : `it is not JSON (${getErrorMessage(error)})`);
  }
  const spec = findRecordSpec(value);
  if (!isRecord(value) || spec === undefined) {
    throw fail("it is not a record, because it has no spec with a sequence number");
  }
  return {
    apiVersion: formatApiVersion(issuedCertificateKind),
    kind: issuedCertificateKind.kind,
    metadata: { name: formatRecordName(spec.sequence), ...(isRecord(value["metadata"]) ? value["metadata"] : {}) },
    // A field of another type is printed as it is; `verify certificates` shows that it was changed.
    spec,
    status: isRecord(value["status"]) ? value["status"] : {},
  };
}
