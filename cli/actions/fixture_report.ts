/** Results of policy tests: for people, as TAP 14, and as JUnit XML. */
import type { PolicyVerdict } from "../../core/approval/evaluate_policies.ts";
import { alignTabs, DESCRIBE_TABS } from "../output/tab_writer.ts";
import type { CaseResult } from "./fixture_run.ts";
import { traceLines } from "./trace_text.ts";

/** Words for people: a line for each case, everything about those that failed, a sum. */
export function formatForPeople(results: readonly CaseResult[]): string {
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

/** The Test Anything Protocol, version 14, with a YAML block for each failure. */
export function formatTap(results: readonly CaseResult[]): string {
  const lines = results.flatMap((result, index) => {
    const title = `${index + 1} - ${result.file}: ${result.name}`.replaceAll("#", "\\#");
    if (result.failure === undefined) return [`ok ${title}`];
    const block = describeResult(result).map((line) => `    ${line}`);
    return [`not ok ${title}`, "  ---", "  message: |", ...block, "  ..."];
  });
  return ["TAP version 14", `1..${results.length}`, ...lines, ""].join("\n");
}

/** JUnit XML, a suite for each file. */
export function formatJunit(results: readonly CaseResult[]): string {
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
    `was\t${wasText(verdict)}`,
    ...traceLines(verdict.trace),
  ];
  return alignTabs(lines.join("\n"), DESCRIBE_TABS).split("\n");
}

function wasText({ kind, rule, message }: PolicyVerdict): string {
  return `${kind}${rule === undefined ? "" : ` by rule ${rule}`}: ${message}`;
}

function xml(text: string): string {
  const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return [...text].map((char) => entities[char] ?? (isWritable(char) ? char : "?")).join("");
}

/** XML 1.0 has no way to write most control characters. */
function isWritable(char: string): boolean {
  return char >= " " || char === "\t" || char === "\n" || char === "\r";
}
