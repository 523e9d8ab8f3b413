/**
 * Takes the records of the issued log in a data directory into the register: those of certificates that `sign` and
 * `kubeconfig admin` signed without the server. The file stays as it is, because it is a chain of its own.
 */
import { Buffer } from "node:buffer";
import { type FileHandle, open } from "node:fs/promises";
import { findErrorCode, getErrorMessage } from "../../core/errors.ts";
import { decodeObject } from "../../core/kube/wire/decode.ts";
import { issuedCertificateKind } from "../../core/kube/kinds/mod.ts";
import type { IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { isRecord } from "../../core/lib/record.ts";
import type { Clock, Logger } from "../../core/ports.ts";
import type { Register } from "../../server/mod.ts";
import type { Part } from "./parts.ts";

/** The log, and the register that takes its records. */
export interface TakeoverOptions {
  readonly path: string;
  readonly register: Pick<Register, "record">;
  /** How long the register keeps a record after the end of the certificate; older ones are not taken. */
  readonly retentionMs: number;
}

/** The adapters of the takeover. */
export interface TakeoverDeps {
  readonly clock: Pick<Clock, "now">;
  readonly logger: Logger;
}

/** The size of the pieces in which the file is read, which is at least that of the longest line. */
const PIECE_BYTES = 4 * 1_048_576;
/** The number of records that are written together. */
const BATCH = 64;
const NEWLINE = 0x0a;

/** Takes the records over now and, as a part, each minute. A fault is logged, and the next minute tries again. */
export async function takeOverIssuedLog(options: TakeoverOptions, deps: TakeoverDeps): Promise<Part> {
  const takeover = new Takeover(options, deps);
  await takeover.renew();
  return takeover;
}

class Takeover implements Part {
  readonly #options: TakeoverOptions;
  readonly #deps: TakeoverDeps;
  /** The end of the lines that were taken over, and the number of these lines. */
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

  /** Takes some lines over. After a failure all of them are read again; those that were recorded are known then. */
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

/** Reads whole lines from a place on. The last line may be incomplete, because it is being written. */
async function readLines(handle: FileHandle, from: number): Promise<readonly string[]> {
  const piece = Buffer.alloc(PIECE_BYTES);
  const { bytesRead } = await handle.read(piece, 0, PIECE_BYTES, from);
  const end = piece.subarray(0, bytesRead).lastIndexOf(NEWLINE);
  if (end < 0 && bytesRead === PIECE_BYTES) throw new Error(`a line has more than ${PIECE_BYTES} bytes`);
  return end < 0 ? [] : piece.toString("utf8", 0, end).split("\n");
}

/** Parses the record in a line as the API would, of its status only the user; the text says what is wrong with it. */
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
