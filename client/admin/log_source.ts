/** Reads the log of a signer without a server: a record in JSON on each line. */
import { open } from "node:fs/promises";
import { AppError, findErrorCode, getErrorMessage } from "../../core/errors.ts";
import { issuedCertificateKind } from "../../core/kube/kinds/mod.ts";
import { formatApiVersion } from "../../core/kube/schema.ts";
import type { IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { isRecord } from "../../core/lib/record.ts";
import { shellWord } from "../../core/lib/shell_word.ts";
import { findRecordSpec, formatRecordName } from "../../core/register/record.ts";
import type { RecordSource } from "./record_source.ts";

/** The number of records that are handed out together. */
const PAGE_SIZE = 500;

/** Creates the source that reads a log from its beginning each time. Throws AppError `io` or `invalid` while it is read. */
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

/** A record with the number of its line. */
export interface LoggedRecord {
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
