/** Tests policies: every fixture below a folder. */
import { readdir } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { createFilePort } from "../../client/files.ts";
import { AppError, messageOf } from "../../core/errors.ts";
import { POLICY_TEST_KIND } from "../../core/approval/policy_fixture.ts";
import type { ApproverFixturesFlags } from "../commands/approver_fixtures.ts";
import { EXIT, type ExitCode } from "../exit_code.ts";
import type { Input } from "../framework/command.ts";
import type { Io } from "../io.ts";
import { formatForPeople, formatJunit, formatTap } from "./fixture_report.ts";
import { type CaseResult, runFixture } from "./fixture_run.ts";

const FORMATS = { tap: formatTap, junit: formatJunit } as const;
const KIND_LINE = new RegExp(`^["']?kind["']?: *["']?${POLICY_TEST_KIND}\\b`, "m");

/** Runs `tlsboot approver test`. */
export async function run(input: Input<ApproverFixturesFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const [folder = ""] = input.args;
  const files = createFilePort();
  const results: CaseResult[] = [];
  const faults: string[] = [];
  for (const path of await findFixtures(folder, io.cwd)) {
    signal.throwIfAborted();
    const text = await files.readText(resolve(io.cwd, path)) ?? "";
    if (!KIND_LINE.test(text)) continue;
    try {
      results.push(...await runFixture(path, text, { files, cwd: io.cwd }));
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      faults.push(...error.message.split("\n").map((fault) => fault.startsWith(path) ? fault : `${path}: ${fault}`));
    }
  }
  if (faults.length > 0) throw new AppError("config_invalid", faults.join("\n"), { hint: "correct the files" });
  if (results.length === 0) {
    throw new AppError("invalid", `cannot test "${folder}": no file of kind ${POLICY_TEST_KIND} is in it`, {
      hint: "see the examples in docs/policies.md",
    });
  }
  const format = input.settings.output === undefined ? formatForPeople : FORMATS[input.settings.output];
  io.stdout.write(format(results));
  return results.every(({ failure }) => failure === undefined) ? EXIT.done : EXIT.failed;
}

/** Files of YAML or JSON below a folder, in order. A file is itself. */
async function findFixtures(folder: string, cwd: string): Promise<readonly string[]> {
  const root = resolve(cwd, folder);
  const facts = await createFilePort().stat(root);
  if (facts === undefined) {
    throw new AppError("io", `cannot read "${folder}": no such file or folder`, {
      hint: "name a folder with fixtures",
    });
  }
  if (facts.kind === "file") return [folder];
  try {
    const entries = await readdir(root, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile() && /\.(ya?ml|json)$/.test(entry.name))
      .map((entry) => join(folder, relative(root, join(entry.parentPath, entry.name))))
      .sort();
  } catch (cause) {
    throw new AppError("io", `cannot read "${folder}": ${messageOf(cause)}`, { cause });
  }
}
