/**
 * The issued log: a register in a file, for certificates that are signed without a server. Each line is a record like
 * those of the server (`{"spec": …, "status": …}`) with the hash of the previous line. It is on disk before the
 * certificate is given out.
 */
import { Buffer } from "node:buffer";
import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { findLineStart, SECRET_MODE, syncDirectory } from "../../client/files.ts";
import { findTokenId } from "../../core/token/token_secret.ts";
import { AppError, findErrorCode, getErrorMessage } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import type { IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import type { Authority } from "../../core/pki/authority/authority.ts";
import { type CertificateFacts, parseCertificate } from "../../core/pki/x509/certificate.ts";
import { tryParseJson } from "../../core/lib/record.ts";
import type { Clock } from "../../core/ports.ts";
import {
  type CertificateOrigin,
  createRecord,
  createRecordStatus,
  createSeal,
  describeIssued,
  describeRequestOrigin,
  findRecordSpec,
  getChainHash,
} from "../../core/register/record.ts";
import { findCertificateFingerprint } from "../../core/revocation/revocation_index.ts";

/** A log to which records are appended; any number of programs may have it open. */
export interface IssuedLog extends Disposable {
  /** Checks that records can be appended, before anything is signed. Throws as `record`. */
  check(): Promise<void>;
  /**
   * Durably records a certificate (DER) that a CA issued. Throws AppError `io` when the file cannot be written and
   * `invalid` when its last line is not a record; then the certificate must not be given out.
   */
  record(
    certificate: Uint8Array<ArrayBuffer>,
    authority: Authority,
    origin: Omit<CertificateOrigin, "issuerFingerprint">,
  ): Promise<void>;
}

/** The adapters that a log uses. */
export interface IssuedLogDeps {
  readonly clock: Pick<Clock, "now" | "elapsedMs" | "sleep">;
  /** Shows a warning to the user, such as one about a truncated line. */
  readonly warn: (message: string) => void;
}

/** Describes the origin of a request's certificate from the request alone, without the API's records. */
export function describeLoggedOrigin(csr: CertificateSigningRequest): Omit<CertificateOrigin, "issuerFingerprint"> {
  const tokenID = findTokenId(csr.spec.username ?? "");
  const certificateFingerprint = findCertificateFingerprint(csr.spec.extra ?? {});
  return describeRequestOrigin(csr, {
    ...(tokenID === undefined ? {} : { tokenID }),
    ...(certificateFingerprint === undefined ? {} : { certificateFingerprint }),
  });
}

/** A certificate that waits for its record. */
interface Job {
  readonly certificate: CertificateFacts;
  readonly authority: Authority;
  readonly origin: Omit<CertificateOrigin, "issuerFingerprint">;
  resolve(): void;
  reject(error: unknown): void;
}

/** The end of a log: its size, and the values that the next line needs from the last one. */
interface LogHead {
  readonly size: number;
  readonly sequence: number;
  readonly hash: string | undefined;
}

const EMPTY: LogHead = { size: 0, sequence: 0, hash: undefined };
/** A longer last line is not a record: the largest CSR has less than a tenth of this size. */
const MAX_LINE_BYTES = 16 * 1_048_576;
/** How long another program may hold the lock, and the pause between two attempts to get it. */
const LOCK_TIMEOUT_MS = 10_000;
const LOCK_RETRY_MS = 10;

/** Opens a log. The file is created with its first record. Throws AppError `io` when its lock cannot be created. */
export function openIssuedLog(path: string, deps: IssuedLogDeps): IssuedLog {
  const lock = new FileLock(path, deps.clock);
  let waiting: Job[] = [];
  let isRunning = false;

  async function run(): Promise<void> {
    if (isRunning) return;
    isRunning = true;
    while (waiting.length > 0) {
      const jobs = waiting;
      waiting = [];
      try {
        await lock.runExclusive(() => append(path, jobs, deps));
        for (const job of jobs) job.resolve();
      } catch (error) {
        for (const job of jobs) job.reject(error);
      }
    }
    isRunning = false;
  }

  return {
    check: () => lock.runExclusive(() => append(path, [], deps)),
    async record(der, authority, origin) {
      const certificate = parseCertificate(der);
      if (!certificate.ok) throw new AppError("internal", `cannot read back a certificate: ${certificate.error}`);
      await new Promise<void>((resolve, reject) => {
        waiting.push({ certificate: certificate.value, authority, origin, resolve, reject });
        void run();
      });
    },
    [Symbol.dispose]: () => lock[Symbol.dispose](),
  };
}

/** Appends the records of some certificates; the last one is sealed by its CA, and with it all lines before it. */
async function append(path: string, jobs: readonly Job[], { clock, warn }: IssuedLogDeps): Promise<void> {
  const handle = await open(path, "a+", SECRET_MODE).catch((error: unknown) => {
    throw createRecordingError(path, error);
  });
  try {
    const head = await readHead(handle, path, warn);
    if (jobs.length === 0) return;
    const lines = Buffer.from(await formatLines(head, jobs, clock.now()));
    try {
      await handle.appendFile(lines);
      await handle.sync();
      if (head.size === 0) await syncDirectory(dirname(path));
    } catch (error) {
      // Remove lines that were written in part; their certificates are not given out.
      await handle.truncate(head.size).catch(() => {});
      throw createRecordingError(path, error);
    }
  } finally {
    await handle.close();
  }
}

async function formatLines(head: LogHead, jobs: readonly Job[], now: Date): Promise<string> {
  let { sequence, hash: previousHash } = head;
  let text = "";
  for (const [index, { certificate, authority, origin }] of jobs.entries()) {
    sequence += 1;
    const issuerFingerprint = authority.certificate.sha256Fingerprint;
    const description = describeIssued(certificate, { ...origin, issuerFingerprint });
    const spec = createRecord(description, {
      sequence,
      ...(previousHash === undefined ? {} : { previousHash }),
      issuedAt: now,
    });
    previousHash = getChainHash(spec);
    const isLast = index === jobs.length - 1;
    const seal = isLast ? { seal: await createSeal(spec, authority, now) } : {};
    const status: IssuedCertificate["status"] = { ...createRecordStatus(description), ...seal };
    text += `${JSON.stringify({ spec, status })}\n`;
  }
  return text;
}

/**
 * Reads the last whole line. An incomplete line after it is removed: it comes from a program that was killed before it
 * gave out the certificate. Throws AppError `invalid` when the last whole line is not a record.
 */
async function readHead(handle: FileHandle, path: string, warn: (message: string) => void): Promise<LogHead> {
  const { size } = await handle.stat();
  const end = findLineStart(handle.fd, size);
  if (end < size) {
    warn(`the last line of "${path}" was incomplete and is cut off: a program was killed while it wrote the line`);
    await handle.truncate(end);
  }
  if (end === 0) return EMPTY;
  const start = findLineStart(handle.fd, end - 1);
  const spec = end - start > MAX_LINE_BYTES
    ? undefined
    : findRecordSpec(tryParseJson(await readText(handle, start, end)));
  if (spec !== undefined) return { size: end, sequence: spec.sequence, hash: getChainHash(spec) };
  throw new AppError("invalid", `cannot append to issued log "${path}": its last line is not a record`, {
    hint: "find out what wrote it with: tlsboot verify certificates FILE; or move the file away to begin a new one",
  });
}

async function readText(handle: FileHandle, from: number, to: number): Promise<string> {
  const bytes = Buffer.alloc(to - from);
  await handle.read(bytes, 0, bytes.length, from);
  return bytes.toString("utf8");
}

function createRecordingError(path: string, cause: unknown): AppError {
  if (cause instanceof AppError) return cause;
  const code = findErrorCode(cause);
  const hint = code === "ENOSPC"
    ? "free some space: a certificate that cannot be recorded is not given out"
    : code === "ENOENT"
    ? "create its folder, or name another file with the setting issuedLog"
    : "check the file and its folder, or name another file with the setting issuedLog: without a record no certificate is given out";
  const message = `cannot record a certificate in issued log "${path}": ${getErrorMessage(cause)}`;
  return new AppError("io", message, { cause, hint, retryable: true });
}

/**
 * A lock that the operating system releases whenever the process ends: SQLite's lock on an empty database next to the
 * file. Node has no file locks.
 */
export class FileLock implements Disposable {
  readonly #path: string;
  readonly #clock: IssuedLogDeps["clock"];
  #database: DatabaseSync | undefined;

  constructor(path: string, clock: IssuedLogDeps["clock"]) {
    this.#path = path;
    this.#clock = clock;
  }

  /**
   * Runs an action while no other program holds the lock. Throws AppError `io` when another program holds it for too
   * long.
   */
  async runExclusive<T>(action: () => Promise<T>): Promise<T> {
    const database = this.#database ??= await this.#open();
    await this.#begin(database);
    try {
      return await action();
    } finally {
      database.exec("ROLLBACK");
    }
  }

  async #open(): Promise<DatabaseSync> {
    const path = `${this.#path}.lock`;
    try {
      await createPrivate(path);
      return new DatabaseSync(path);
    } catch (error) {
      throw createRecordingError(this.#path, error);
    }
  }

  async #begin(database: DatabaseSync): Promise<void> {
    const { signal } = new AbortController();
    const deadline = this.#clock.elapsedMs() + LOCK_TIMEOUT_MS;
    while (true) {
      try {
        database.exec("BEGIN EXCLUSIVE");
        return;
      } catch (error) {
        if (!/locked|busy/i.test(getErrorMessage(error))) throw createRecordingError(this.#path, error);
        if (this.#clock.elapsedMs() > deadline) {
          throw new AppError(
            "io",
            `cannot record a certificate in issued log "${this.#path}": another program holds it`,
            {
              hint: "a suspended program may hold its lock: find it with fuser, and resume or end it",
              retryable: true,
            },
          );
        }
      }
      await this.#clock.sleep(LOCK_RETRY_MS, signal);
    }
  }

  [Symbol.dispose](): void {
    this.#database?.close();
    this.#database = undefined;
  }
}

/**
 * Creates an empty file for its owner only, unless it exists. An existing file is not opened, because closing it would
 * release its locks.
 */
async function createPrivate(path: string): Promise<void> {
  try {
    await (await open(path, "wx", SECRET_MODE)).close();
  } catch (error) {
    if (findErrorCode(error) !== "EEXIST") throw error;
  }
}
