/**
 * Stores the issued certificates that an instance knows, for its next run. The file is written each half hour and at
 * the end. Certificates that were issued since then are still known from their requests, which are not deleted within
 * an hour.
 */
import { setImmediate } from "node:timers/promises";
import { getErrorMessage } from "../../core/errors.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER, KUBELET_SERVING_SIGNER } from "../../core/kube/certificates_v1.ts";
import type { Clock, Logger } from "../../core/ports.ts";
import { escapeUnseen } from "../../core/lib/printable.ts";
import type { FilePort } from "../../client/files.ts";
import type { IssuedCertificates, KnownCertificate } from "../../server/metrics/issued_certificates.ts";
import { SECRET_MODE } from "./data_dir.ts";

/** The file of a running instance. Disposing it writes new entries. */
export interface IssuedFile extends AsyncDisposable {
  /** Called each minute. Each half hour it writes new entries and logs the certificates that were not renewed. */
  update(): Promise<void>;
}

/** The adapters for reading and writing the file. */
export interface IssuedFileDeps {
  readonly files: Pick<FilePort, "readText" | "writeAtomic">;
  readonly clock: Pick<Clock, "now" | "elapsedMs">;
  readonly logger: Logger;
}

const FORMAT = 1;
const HOUR_MS = 3_600_000;
const WRITE_INTERVAL_MS = HOUR_MS / 2;
/** The number of lines to process before other work may run. */
const LINES_PER_TURN = 1_000;
/** The signers whose certificates are renewed automatically; certificates of people often are not. */
const RENEWED_SIGNERS: ReadonlySet<string> = new Set([KUBE_APISERVER_CLIENT_KUBELET_SIGNER, KUBELET_SERVING_SIGNER]);
/** The number of certificates that one update logs by name. */
const MAX_REPORTED = 20;

/**
 * Reads the file into `issued`. A file that cannot be read is logged and replaced. When other servers share the store,
 * a file older than an hour is not used, because they may have issued certificates that this server does not know.
 */
export async function openIssuedFile(
  { path, issued, isShared }: {
    readonly path: string;
    readonly issued: IssuedCertificates;
    readonly isShared: boolean;
  },
  { files, clock, logger }: IssuedFileDeps,
): Promise<IssuedFile> {
  let written: number | undefined;
  try {
    const text = await files.readText(path);
    if (text !== undefined) await read(text, issued, isShared ? clock.now().getTime() - HOUR_MS : -Infinity);
    written = issued.version;
  } catch (error) {
    logger.warn("cannot read the earlier issued certificates", { path, error: getErrorMessage(error) });
  }
  let nextUpdateMs = 0;
  let reportedUntil = new Date(0);

  async function write(): Promise<void> {
    issued.summarize(clock.now());
    const { version } = issued;
    // With a shared store, the time of the file matters too: it shows until when this server knew all certificates.
    if (version === written && !isShared) return;
    try {
      await files.writeAtomic(path, await format(issued, clock.now()), SECRET_MODE);
      written = version;
    } catch (error) {
      logger.warn("cannot store the issued certificates", { path, error: getErrorMessage(error) });
    }
  }

  function report(): void {
    const now = clock.now();
    let more = 0;
    let reported = 0;
    for (const { signerName, subject, until } of issued.becameOverdue(reportedUntil, now)) {
      if (reported === MAX_REPORTED) more += 1;
      else {
        reported += 1;
        const log = RENEWED_SIGNERS.has(signerName) ? logger.warn : logger.info;
        log("a certificate is not renewed", { signerName, subject, notAfter: new Date(until * 1000) });
      }
    }
    if (more > 0) logger.warn("more certificates are not renewed", { more });
    reportedUntil = now;
  }

  return {
    async update() {
      if (clock.elapsedMs() < nextUpdateMs) return;
      nextUpdateMs = clock.elapsedMs() + WRITE_INTERVAL_MS;
      // A run that was killed has not written its last certificates.
      await issued.catchUp().catch(() => {});
      report();
      await write();
    },
    [Symbol.asyncDispose]: write,
  };
}

/** Formats the file: a line of JSON with its format, and one for each certificate. */
async function format(issued: IssuedCertificates, now: Date): Promise<string> {
  const lines = [JSON.stringify({ format: FORMAT, writtenAt: now.getTime() })];
  for (const { signerName, subject, since, until } of issued.entries()) {
    lines.push(escapeUnseen(JSON.stringify([signerName, subject, since, until])));
    if (lines.length % LINES_PER_TURN === 0) await setImmediate();
  }
  return `${lines.join("\n")}\n`;
}

/** Reads the lines and throws at the first fault; the lines before it are used. */
async function read(text: string, issued: IssuedCertificates, atEarliest: number): Promise<void> {
  const [head = "", ...lines] = text.trimEnd().split("\n");
  const { format: found, writtenAt } = JSON.parse(head) as Readonly<Record<string, unknown>>;
  if (found !== FORMAT || typeof writtenAt !== "number") throw new Error("another build wrote it");
  if (writtenAt < atEarliest) return;
  for (const [index, line] of lines.entries()) {
    issued.restore(decodeKnownCertificate(JSON.parse(line)));
    if (index % LINES_PER_TURN === 0) await setImmediate();
  }
}

function decodeKnownCertificate(line: unknown): KnownCertificate {
  const [signerName, subject, since, until] = Array.isArray(line) ? line as readonly unknown[] : [];
  if (typeof signerName !== "string" || typeof subject !== "string") throw new Error("a line names no certificate");
  if (typeof since !== "number" || typeof until !== "number") throw new Error("a line has no times");
  return { signerName, subject, since, until };
}
