/** Tests policies with the fixtures below a folder, and prints the results as text or JUnit XML. */
import { readdir } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import type { Verdict } from "../../../core/approval/decide_request.ts";
import { POLICY_TEST_KIND } from "../../../core/approval/policy_fixture.ts";
import { AppError, getErrorMessage } from "../../../core/errors.ts";
import type { policyTestCommand } from "./flags.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Tools } from "../../io.ts";
import { alignTabs, DESCRIBE_TABS } from "../../output/tab_writer.ts";
import { type CaseResult, runFixture } from "./fixture_run.ts";
import { toRuleViews } from "../../../core/report/request_view.ts";
import { formatTrace } from "../../output/trace_text.ts";

const KIND_LINE = new RegExp(`^["']?kind["']?: *["']?${POLICY_TEST_KIND}\\b`, "m");

export async function run(input: Input<typeof policyTestCommand.flags>, tools: Tools): Promise<ExitCode> {
  const [folder = ""] = input.args;
  const results: CaseResult[] = [];
  const faults: string[] = [];
  for (const path of await findFixtures(folder, tools)) {
    tools.signal.throwIfAborted();
    const text = await tools.files.readText(resolve(tools.cwd, path)) ?? "";
    if (!KIND_LINE.test(text)) continue;
    try {
      results.push(...await runFixture(path, text, tools));
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      faults.push(...error.message.split("\n").map((fault) => fault.startsWith(path) ? fault : `${path}: ${fault}`));
    }
  }
  if (faults.length > 0) throw new AppError("config_invalid", faults.join("\n"), { hint: "correct the files" });
  if (results.length === 0) {
    throw new AppError("invalid", `cannot test "${folder}": no file of kind ${POLICY_TEST_KIND} is in it`, {
      hint: "see the examples in docs/reference/policies.md",
    });
  }
  tools.stdout.write(input.settings.output === "junit" ? formatJunit(results) : formatForPeople(results));
  return results.every(({ failure }) => failure === undefined) ? EXIT.done : EXIT.failed;
}

/** Finds the YAML and JSON files below a folder, sorted. For a file it returns that file. */
async function findFixtures(folder: string, { files, cwd }: Tools): Promise<readonly string[]> {
  const root = resolve(cwd, folder);
  const facts = await files.stat(root);
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
    throw new AppError("io", `cannot read "${folder}": ${getErrorMessage(cause)}`, { cause });
  }
}

/** Formats results for people: a line for each case, the details of those that failed, and the totals. */
function formatForPeople(results: readonly CaseResult[]): string {
  const lines: string[] = [];
  let file = "";
  for (const result of results) {
    if (result.file !== file) lines.push(result.file);
    file = result.file;
    lines.push(`  ${result.failure === undefined ? "ok  " : "FAIL"}  ${result.name}`);
    if (result.failure !== undefined) lines.push(...describeResult(result).map((line) => `        ${line}`));
  }
  const failed = results.filter(({ failure }) => failure !== undefined).length;
  return `${lines.join("\n")}\n\n${results.length - failed} passed, ${failed} failed\n`;
}

/** Formats results as JUnit XML, with a suite for each file. */
function formatJunit(results: readonly CaseResult[]): string {
  const files = [...new Set(results.map(({ file }) => file))];
  const suites = files.map((file) => {
    const own = results.filter((result) => result.file === file);
    const failures = own.filter(({ failure }) => failure !== undefined).length;
    const cases = own.map(junitCase).join("");
    return `  <testsuite name="${xml(file)}" tests="${own.length}" failures="${failures}">\n${cases}  </testsuite>\n`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n${suites.join("")}</testsuites>\n`;
}

function junitCase(result: CaseResult): string {
  const start = `    <testcase classname="${xml(result.file)}" name="${xml(result.name)}"`;
  if (result.failure === undefined) return `${start}/>\n`;
  const details = xml(describeResult(result).join("\n"));
  return `${start}>\n      <failure message="${xml(result.failure)}">${details}</failure>\n    </testcase>\n`;
}

function describeResult({ failure, wanted, verdict }: CaseResult): readonly string[] {
  const lines = [
    `why\t${failure ?? ""}`,
    `wanted\t${wanted.verdict}${wanted.rule === undefined ? "" : ` by rule ${wanted.rule}`}`,
    `was\t${formatOutcome(verdict)}`,
    ...formatTrace(toRuleViews(verdict.trace)),
  ];
  return alignTabs(lines.join("\n"), DESCRIBE_TABS).split("\n");
}

function formatOutcome({ kind, rule, message }: Verdict): string {
  return `${kind}${rule === undefined ? "" : ` by rule ${rule}`}: ${message}`;
}

function xml(text: string): string {
  const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return [...text].map((char) => entities[char] ?? (isWritable(char) ? char : "?")).join("");
}

/** True for characters that XML 1.0 can contain; it cannot contain most control characters. */
function isWritable(char: string): boolean {
  return char >= " " || char === "\t" || char === "\n" || char === "\r";
}
