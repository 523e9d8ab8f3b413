/** Describes certificates of the register. */
import { AppError } from "../../../core/errors.ts";
import { getName } from "../../../core/kube/meta.ts";
import type { IssuedCertificate } from "../../../core/kube/kinds/tlsboot_v1alpha1.ts";
import type { describeCertificateCommand } from "./flags.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { reportError } from "../../framework/report.ts";
import type { Tools } from "../../io.ts";
import { describeCertificateRecord } from "./describe_text.ts";
import { openRecords } from "./open_records.ts";
import { toRow } from "../../../core/report/record_rows.ts";
import {
  findReferences,
  findReplacements,
  parseRecordReference,
  type RecordSource,
} from "../../../client/admin/record_source.ts";

export async function run(input: Input<typeof describeCertificateCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { signal } = tools;
  input.args.forEach(parseRecordReference);
  await using records = await openRecords(input.settings, tools);
  const { source } = records;
  const found = await findReferences(source, input.args, signal);
  const replacements = await findReplacements(source, signal);
  const retiredCas = await source.readRetiredCas(signal);
  let isFirst = true;
  for (const item of found) {
    if (item instanceof AppError) {
      reportError(item, tools, tools.isDebug);
      continue;
    }
    const row = toRow(item, replacements, tools.clock.now(), retiredCas);
    const name = getName(item);
    const replaced = item.spec.replaces ?? [...replacements].find(([, newer]) => newer === name)?.[0];
    const neighbours = {
      before: await findNeighbour(source, replaced, signal),
      after: await findNeighbour(source, row.replacedBy, signal),
    };
    const page = describeCertificateRecord(row, neighbours, tools.clock.now());
    tools.stdout.write(`${isFirst ? "" : "\n\n"}${page}`);
    isFirst = false;
  }
  return found.some((item) => item instanceof AppError) ? EXIT.failed : EXIT.done;
}

async function findNeighbour(
  source: RecordSource,
  name: string | undefined,
  signal: AbortSignal,
): Promise<IssuedCertificate | undefined> {
  return name === undefined ? undefined : await source.findByName(name, signal);
}
