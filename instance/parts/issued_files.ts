/**
 * Adds to the register the certificates that only files of a data directory list: the issued log, for certificates that
 * `sign` and `kubeconfig admin` issued without the server, and the list of earlier builds.
 */
import { Buffer } from "node:buffer";
import { type FileHandle, open } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import { findErrorCode, getErrorMessage } from "../../core/errors.ts";
import { decodeObject } from "../../core/kube/wire/object_json.ts";
import { issuedCertificateKind } from "../../core/kube/kinds/mod.ts";
import type { IssuedCertificate, IssuedCertificateSpec } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { isRecord } from "../../core/lib/record.ts";
import type { Clock, Logger } from "../../core/ports.ts";
import type { Storage } from "../../server/mod.ts";
import type { Part } from "./parts.ts";
import { findLeafCertificate } from "../../core/request/issued_certificate.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { formatTime } from "../../core/kube/meta.ts";
import { toSubjectLabel } from "../../core/register/certificate_user.ts";
import { type CertificateDescription, describeIssued } from "../../core/register/record.ts";
import { type Register, REGISTER_PREFIX } from "../../server/register/register.ts";
import { SECRET_MODE } from "../../client/files.ts";
import type { InstanceDeps } from "../deps.ts";

/** The log, and the register that its records are added to. */
interface TakeoverOptions {
  readonly path: string;
  readonly register: Pick<Register, "record">;
  /** How long the register keeps the record of an expired certificate; older records are not added. */
  readonly retentionMs: number;
}

/** The adapters of the takeover. */
interface TakeoverDeps {
  readonly clock: Pick<Clock, "now">;
  readonly logger: Logger;
}

/** The log is read in pieces of this size, which no line may exceed. */
const PIECE_BYTES = 4 * 1_048_576;
/** The number of records that are written together. */
const BATCH = 64;
const NEWLINE = 0x0a;

/**
 * Adds the records of the issued log to the register now and, as a part, each minute. A failure is logged, and the next
 * minute tries again. The log is not changed, because its lines form a hash chain.
 */
export async function takeOverIssuedLog(options: TakeoverOptions, deps: TakeoverDeps): Promise<Part> {
  const takeover = new Takeover(options, deps);
  await takeover.renew();
  return takeover;
}

class Takeover implements Part {
  readonly #options: TakeoverOptions;
  readonly #deps: TakeoverDeps;
  /** The end and the number of the lines that were added. */
  #done = { bytes: 0, lines: 0 };
  #inode: number | undefined;

  constructor(options: TakeoverOptions, deps: TakeoverDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  async renew(): Promise<void> {
    const { path } = this.#options;
    try {
      await this.#readNew();
    } catch (error) {
      if (findErrorCode(error) === "ENOENT") this.#done = { bytes: 0, lines: 0 };
      else this.#deps.logger.error("cannot take the issued log into the register, trying again", { path, error });
    }
  }

  async #readNew(): Promise<void> {
    const handle = await open(this.#options.path);
    try {
      const { size, ino } = await handle.stat();
      // The file was moved away, and a new one was begun.
      if (ino !== this.#inode || size < this.#done.bytes) this.#done = { bytes: 0, lines: 0 };
      this.#inode = ino;
      while (this.#done.bytes < size) {
        const lines = await readLines(handle, this.#done.bytes);
        if (lines.length === 0) return;
        for (let start = 0; start < lines.length; start += BATCH) await this.#take(lines.slice(start, start + BATCH));
      }
    } finally {
      await handle.close();
    }
  }

  /**
   * Adds some lines. After a failure all of them are read again, and the register ignores those that it already has.
   */
  async #take(lines: readonly string[]): Promise<void> {
    const { register, retentionMs, path } = this.#options;
    const { clock, logger } = this.#deps;
    const oldest = clock.now().getTime() - retentionMs;
    await Promise.all(lines.map(async (line, index) => {
      const record = parseRecord(line);
      if (typeof record === "string") {
        logger.error("a line of the issued log is not a record", {
          path,
          line: this.#done.lines + index + 1,
          reason: record,
        });
        return;
      }
      const { sequence: _sequence, previousHash: _hash, replaces: _replaces, issuedAt, ...certificate } = record.spec;
      if (Date.parse(certificate.notAfter ?? "") < oldest) return;
      const { identifies } = record.status;
      await register.record(
        { ...certificate, ...(identifies === undefined ? {} : { identifies }) },
        [],
        issuedAt === null ? undefined : new Date(issuedAt),
      );
    }));
    const bytes = lines.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0);
    this.#done = { bytes: this.#done.bytes + bytes, lines: this.#done.lines + lines.length };
  }
}

/** Reads the complete lines after an offset. The last line may be incomplete, because it is being written. */
async function readLines(handle: FileHandle, from: number): Promise<readonly string[]> {
  const piece = Buffer.alloc(PIECE_BYTES);
  const { bytesRead } = await handle.read(piece, 0, PIECE_BYTES, from);
  const end = piece.subarray(0, bytesRead).lastIndexOf(NEWLINE);
  if (end < 0 && bytesRead === PIECE_BYTES) throw new Error(`a line has more than ${PIECE_BYTES} bytes`);
  return end < 0 ? [] : piece.toString("utf8", 0, end).split("\n");
}

/** Parses a line as the API would decode it, but only the user of its status. Returns the fault as text. */
function parseRecord(line: string): IssuedCertificate | string {
  try {
    const record: unknown = JSON.parse(line);
    const status: unknown = isRecord(record) ? record["status"] : undefined;
    const identifies = isRecord(status) ? status["identifies"] : undefined;
    const value = { ...Object(record), metadata: {}, status: { identifies } };
    // The object has the fields of the kind's schema, which are those of its type.
    const decoded = decodeObject(issuedCertificateKind.schema, value).object as unknown as IssuedCertificate;
    const { fingerprint = "", issuedAt } = decoded.spec;
    if (!/^[0-9a-f]{64}$/.test(fingerprint)) return "it has no fingerprint of a certificate";
    return issuedAt !== null && Number.isNaN(Date.parse(issuedAt)) ? "it has no time" : decoded;
  } catch (error) {
    return getErrorMessage(error);
  }
}

/** The file of earlier builds, and the register that its certificates are added to. */
interface IssuedMigration {
  readonly path: string;
  readonly storage: Storage;
  readonly register: Register;
}

const FORMAT = 1;
const REQUESTS_PREFIX = "/registry/certificatesigningrequests/";
/** The number of lines to parse, or certificates to record, before other work may run. */
const LINES_PER_TURN = 1_000;
const decoder = new TextDecoder();

/**
 * Moves the certificates in the file `issued-certificates.jsonl` that have neither a record nor a request into the
 * register. The file is removed when all are recorded; unreadable lines are kept in another file.
 */
export async function migrateIssuedFile(
  { path, storage, register }: IssuedMigration,
  { files, logger }: Pick<InstanceDeps, "files" | "logger">,
): Promise<void> {
  const text = await files.readText(path);
  if (text === undefined) return;
  const { certificates, rejected, faults } = await parseIssuedFile(text);
  const known = await listKnown(storage);
  const missing = certificates.filter((certificate) => !known.has(identify(certificate)));
  for (let start = 0; start < missing.length; start += LINES_PER_TURN) {
    await Promise.all(missing.slice(start, start + LINES_PER_TURN).map((one) => register.record(one, [])));
  }
  if (rejected.length > 0) {
    const kept = `${path}.rejected`;
    const before = (await files.readText(kept) ?? "").split("\n").filter((line) => line !== "");
    // An interrupted migration may have written them.
    const lines = new Set([...before, ...rejected]);
    await files.writeAtomic(kept, `${[...lines].join("\n")}\n`, SECRET_MODE);
    logger.warn("lines of the earlier list of issued certificates cannot be read; they are kept in another file", {
      path,
      kept,
      lines: rejected.length,
      first: faults[0],
    });
  }
  await files.unlink(path);
  logger.info("earlier issued certificates moved into the register", { path, certificates: missing.length });
}

interface ParsedIssuedFile {
  readonly certificates: readonly CertificateDescription[];
  /** The lines that cannot be read. */
  readonly rejected: readonly string[];
  readonly faults: readonly string[];
}

/** Parses the file: a line with its format, and one for each certificate with signer, subject and two times in seconds. */
async function parseIssuedFile(text: string): Promise<ParsedIssuedFile> {
  const [head = "", ...lines] = text.trimEnd().split("\n");
  const certificates: CertificateDescription[] = [];
  const rejected: string[] = [];
  const faults: string[] = [];
  const reject = (line: string, number: number, error: unknown): void => {
    rejected.push(line);
    faults.push(`line ${number}: ${getErrorMessage(error)}`);
  };
  try {
    assertFormat(head);
  } catch (error) {
    reject(head, 1, error);
  }
  for (const [index, line] of lines.entries()) {
    try {
      certificates.push(parseLine(line));
    } catch (error) {
      reject(line, index + 2, error);
    }
    if (index % LINES_PER_TURN === 0) await setImmediate();
  }
  return { certificates, rejected, faults };
}

function assertFormat(head: string): void {
  const { format } = JSON.parse(head) as Readonly<Record<string, unknown>>;
  if (format !== FORMAT) throw new Error(`its format is not ${FORMAT}`);
}

function parseLine(line: string): CertificateDescription {
  const value: unknown = JSON.parse(line);
  const [signerName, subject, since, until] = Array.isArray(value) ? value as readonly unknown[] : [];
  if (typeof signerName !== "string" || typeof subject !== "string") throw new Error("it names no certificate");
  if (typeof since !== "number" || typeof until !== "number") throw new Error("it has no times");
  const [notBefore, notAfter] = [since, until].map((seconds) => formatTime(new Date(seconds * 1000)));
  return { signerName, subject, notBefore: notBefore!, notAfter: notAfter!, source: "migration" };
}

/** Lists the certificates that have a record, or will get one because their request exists. */
async function listKnown(storage: Storage): Promise<ReadonlySet<string>> {
  const known = new Set<string>();
  let fromKey: string | undefined = REGISTER_PREFIX;
  while (fromKey !== undefined) {
    const page = await storage.list(REGISTER_PREFIX, { limit: LINES_PER_TURN, fromKey });
    for (const { bytes } of page.items) {
      known.add(identify((JSON.parse(decoder.decode(bytes)) as IssuedCertificate).spec));
    }
    fromKey = page.nextKey;
    await setImmediate();
  }
  for (const { bytes } of (await storage.list(REQUESTS_PREFIX)).items) {
    const { spec, status } = JSON.parse(decoder.decode(bytes)) as CertificateSigningRequest;
    const leaf = findLeafCertificate(status.certificate ?? "");
    if (leaf === undefined) continue;
    known.add(identify(describeIssued(leaf, { source: "CertificateSigningRequest", signerName: spec.signerName })));
  }
  return known;
}

/** Identifies a certificate by the fields that the file has. */
function identify(spec: Pick<IssuedCertificateSpec, "signerName" | "notBefore" | "notAfter">): string {
  return JSON.stringify([spec.signerName, toSubjectLabel(spec), spec.notBefore, spec.notAfter]);
}
