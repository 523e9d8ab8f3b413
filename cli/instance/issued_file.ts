/**
 * Keeps what an instance knows of issued certificates from one run to the next. It is written each half hour and at the end:
 * what was issued since then is still there as a request, which nobody cleans away within an hour.
 */
import { setImmediate } from "node:timers/promises";
import { getErrorMessage } from "../../core/errors.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER, KUBELET_SERVING_SIGNER } from "../../core/kube/certificates_v1.ts";
import type { Clock, Logger } from "../../core/ports.ts";
import { escapeUnseen } from "../../core/lib/printable.ts";
import type { FilePort } from "../../client/files.ts";
import type { IssuedCertificate, IssuedCertificates } from "../../server/metrics/issued_certificates.ts";
import { SECRET_MODE } from "./data_dir.ts";

/** The file of a running instance. Disposing it writes what is new. */
export interface IssuedFile extends AsyncDisposable {
  /** Asked each minute: writes what is new, and tells of certificates that nobody has renewed, when it is time. */
  update(): Promise<void>;
}

/** What it needs. */
export interface IssuedFileDeps {
  readonly files: Pick<FilePort, "readText" | "writeAtomic">;
  readonly clock: Pick<Clock, "now" | "elapsedMs">;
  readonly logger: Logger;
}

const FORMAT = 1;
const HOUR_MS = 3_600_000;
const WRITE_EVERY_MS = HOUR_MS / 2;
/** Lines that are made or read without letting anything else run. */
const LINES_AT_ONCE = 1_000;
/** Signers whose certificates renew themselves; those of people often need not. */
const RENEWED: ReadonlySet<string> = new Set([KUBE_APISERVER_CLIENT_KUBELET_SIGNER, KUBELET_SERVING_SIGNER]);
/** Certificates that a look tells by name. */
const TOLD_AT_ONCE = 20;

/**
 * Reads the file into `issued`; one that cannot be read is warned of, and written anew. Where other servers share the
 * store, what is older than an hour is not used: they may have issued what this one does not know of.
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
    logger.warn("what was issued before is not known", { path, error: getErrorMessage(error) });
  }
  let lookAt = 0;
  let toldUntil = new Date(0);

  async function write(): Promise<void> {
    issued.summarize(clock.now());
    const { version } = issued;
    // Who shares the store says by when it wrote that it knew of nothing else until then.
    if (version === written && !isShared) return;
    try {
      await files.writeAtomic(path, await format(issued, clock.now()), SECRET_MODE);
      written = version;
    } catch (error) {
      logger.warn("what was issued cannot be written down", { path, error: getErrorMessage(error) });
    }
  }

  function tell(): void {
    const now = clock.now();
    let more = 0;
    let told = 0;
    for (const { signerName, subject, until } of issued.becameOverdue(toldUntil, now)) {
      if (told === TOLD_AT_ONCE) more += 1;
      else {
        told += 1;
        const log = RENEWED.has(signerName) ? logger.warn : logger.info;
        log("a certificate is not renewed", { signerName, subject, notAfter: new Date(until * 1000) });
      }
    }
    if (more > 0) logger.warn("more certificates are not renewed", { more });
    toldUntil = now;
  }

  return {
    async update() {
      if (clock.elapsedMs() < lookAt) return;
      lookAt = clock.elapsedMs() + WRITE_EVERY_MS;
      // A run that was killed has written nothing of what it issued last.
      await issued.catchUp().catch(() => {});
      tell();
      await write();
    },
    [Symbol.asyncDispose]: write,
  };
}

/** A line of JSON for what the file is, and one for each certificate. */
async function format(issued: IssuedCertificates, now: Date): Promise<string> {
  const lines = [JSON.stringify({ format: FORMAT, writtenAt: now.getTime() })];
  for (const { signerName, subject, since, until } of issued.entries()) {
    lines.push(escapeUnseen(JSON.stringify([signerName, subject, since, until])));
    if (lines.length % LINES_AT_ONCE === 0) await setImmediate();
  }
  return `${lines.join("\n")}\n`;
}

/** Throws what is wrong with it; what stands before that is used. */
async function read(text: string, issued: IssuedCertificates, atEarliest: number): Promise<void> {
  const [head = "", ...lines] = text.trimEnd().split("\n");
  const { format: found, writtenAt } = JSON.parse(head) as Readonly<Record<string, unknown>>;
  if (found !== FORMAT || typeof writtenAt !== "number") throw new Error("another build wrote it");
  if (writtenAt < atEarliest) return;
  for (const [index, line] of lines.entries()) {
    issued.restore(decodeIssuedCertificate(JSON.parse(line)));
    if (index % LINES_AT_ONCE === 0) await setImmediate();
  }
}

function decodeIssuedCertificate(line: unknown): IssuedCertificate {
  const [signerName, subject, since, until] = Array.isArray(line) ? line as readonly unknown[] : [];
  if (typeof signerName !== "string" || typeof subject !== "string") throw new Error("a line names no certificate");
  if (typeof since !== "number" || typeof until !== "number") throw new Error("a line has no times");
  return { signerName, subject, since, until };
}
