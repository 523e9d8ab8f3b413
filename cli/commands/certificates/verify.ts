/** Verifies the hash chain and the seals of the register, and reports the first record with a fault. */
import { AppError } from "../../../core/errors.ts";
import { getName } from "../../../core/kube/meta.ts";
import type { IssuedCertificate } from "../../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { listBundled } from "../../../core/pki/x509/ca_bundle.ts";
import type { CertificateFacts } from "../../../core/pki/x509/certificate.ts";
import { type RegisterFault, type RegisterReport, verifyRecords } from "../../../core/register/verify.ts";
import type { verifyCertificatesCommand } from "./flags.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Tools } from "../../io.ts";
import { line } from "../../../core/lib/printable.ts";
import { type OpenRecords, openRecords } from "./open_records.ts";
import { formatFingerprint } from "../../../core/report/words.ts";
import type { RecordSource } from "../../../client/admin/record_source.ts";
import { flattenPages } from "../../../client/admin/records.ts";
import { readCa } from "../../../client/transport/connect.ts";
import { readCaFile } from "../../../instance/named_files.ts";

export async function run(input: Input<typeof verifyCertificatesCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { args: [file], settings } = input;
  await using records = await openRecords({ ...settings, issuedLog: file }, tools);
  const cas = await readCas(records, settings.caFile, tools);
  const recent = new RecentRecords();
  const now = file === undefined ? tools.clock.now() : undefined;
  const report = await verifyRecords(recent.read(records.source, tools.signal), {
    cas,
    now,
    expected: settings.expect,
  });
  if (report.fault !== undefined) throw describeFault(report, report.fault, recent.find(report.fault.name));
  if (report.overdueSeal !== undefined) throw describeOverdueSeal(report, report.overdueSeal);
  for (const text of summarize(report, cas.length > 0)) tools.stdout.write(`${text}\n`);
  return EXIT.done;
}

/** Reads the CAs of the flag, else those that the kubeconfig trusts. Throws AppError `io` and `ca_invalid`. */
async function readCas(
  { connection }: OpenRecords,
  paths: readonly string[],
  tools: Tools,
): Promise<readonly CertificateFacts[]> {
  if (paths.length > 0) {
    return (await Promise.all(paths.map((path) => readCaFile(path, "CA file", tools)))).flat();
  }
  const ca = connection?.cluster.ca;
  return ca === undefined ? [] : listBundled(await readCa(ca, tools.files));
}

/** The number of recent records to keep. */
const RECENT = 3;

/** Keeps the most recent records, because a fault may only be found at a later record. */
class RecentRecords {
  #records: readonly IssuedCertificate[] = [];

  async *read(source: RecordSource, signal: AbortSignal): AsyncGenerator<IssuedCertificate> {
    for await (const record of flattenPages(source.pages(signal))) {
      this.#records = [...this.#records.slice(1 - RECENT), record];
      yield record;
    }
  }

  find(name: string): IssuedCertificate | undefined {
    return this.#records.findLast((record) => getName(record) === name);
  }
}

function describeFault(
  { sealedUpTo }: RegisterReport,
  { name, problem }: RegisterFault,
  record: IssuedCertificate | undefined,
): AppError {
  const { serialNumber, subject } = record?.spec ?? {};
  const details = serialNumber === undefined ? "" : ` (serial number ${serialNumber}, ${subject ?? "no subject"})`;
  const sealed = sealedUpTo === undefined
    ? "no seal was checked before it"
    : `the records up to ${sealedUpTo.name} are as they were sealed at ${sealedUpTo.time}`;
  return new AppError("invalid", `the register is not intact at record ${name}${details}: the record ${problem}`, {
    hint: `${sealed}, and those after ${name} were not checked. Someone edited the register, or the storage is ` +
      "damaged: compare the record with a backup",
  });
}

function describeOverdueSeal({ records, head, uncheckedSeals }: RegisterReport, overdueSeal: string): AppError {
  const hint = uncheckedSeals > 0
    ? `seals of other CAs were not checked: ${uncheckedSeals}; name the certificates of these CAs with --ca-file`
    : "a server that has just started seals within a minute: run the command again. Then look for " +
      '"cannot seal the register" in its log, and compare the register with the seals in its log: --expect';
  return new AppError(
    "invalid",
    `records may be missing at the end of the register: it ${overdueSeal}, but a server seals it every day`,
    { hint: `${countRecords(records)}, up to ${head?.name}; ${hint}` },
  );
}

function summarize({ records, head, sealedUpTo, uncheckedSeals }: RegisterReport, hasCas: boolean): string[] {
  if (head === undefined) return ["the register is empty"];
  const unsealed = hasCas ? "and there is no seal of the CA yet" : "and no CA was given to check seals (--ca-file)";
  const sealed = sealedUpTo === undefined
    ? unsealed
    : line`sealed up to ${sealedUpTo.name} at ${sealedUpTo.time} by the CA ${
      formatFingerprint(sealedUpTo.issuerFingerprint)
    }`;
  return [
    line`${countRecords(records)}, ${sealed}`,
    ...(uncheckedSeals === 0 || !hasCas
      ? []
      : [line`not checked: ${uncheckedSeals} seals of other CAs; name their certificates with --ca-file`]),
    line`the last record is ${head.name}, its hash ${head.hash}`,
  ];
}

function countRecords(records: number): string {
  return records === 1 ? "1 record is intact" : `${records} records are intact`;
}
