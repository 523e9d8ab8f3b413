/**
 * Moves the issued certificates that earlier builds kept in the file `issued-certificates.jsonl` of a data directory into the
 * register. The file is removed when all its certificates are recorded; lines that cannot be read are kept in another file.
 */
import { setImmediate } from "node:timers/promises";
import { findLeafCertificate } from "../../core/request/issued_certificate.ts";
import { getErrorMessage } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { formatTime } from "../../core/kube/meta.ts";
import type { IssuedCertificate, IssuedCertificateSpec } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { toSubjectLabel } from "../../core/register/certificate_user.ts";
import { type CertificateDescription, describeIssued } from "../../core/register/record.ts";
import { type Register, REGISTER_PREFIX } from "../../server/register/register.ts";
import type { Storage } from "../../server/mod.ts";
import { SECRET_MODE } from "../data_dir.ts";
import type { InstanceDeps } from "../deps.ts";

/** The file, and the register that gets its certificates. */
export interface IssuedMigration {
  readonly path: string;
  readonly storage: Storage;
  readonly register: Register;
}

const FORMAT = 1;
const REQUESTS_PREFIX = "/registry/certificatesigningrequests/";
/** How many lines are parsed, and certificates recorded, before other work may run. */
const LINES_PER_TURN = 1_000;
const decoder = new TextDecoder();

/** Records the certificates of the file that have no record and no request, and removes the file. */
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
    // A migration that was interrupted may have written them.
    const lines = new Set([...before, ...rejected]);
    await files.writeAtomic(kept, `${[...lines].join("\n")}\n`, SECRET_MODE);
    logger.warn("lines of the earlier list of issued certificates cannot be read; they are kept in another file", {
      ...{ path, kept, lines: rejected.length, first: faults[0] },
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

/** Lists the certificates that have a record, or will get one because their request is there. */
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

/** Identifies a certificate by what the file has of it. */
function identify(spec: Pick<IssuedCertificateSpec, "signerName" | "notBefore" | "notAfter">): string {
  return JSON.stringify([spec.signerName, toSubjectLabel(spec), spec.notBefore, spec.notAfter]);
}
