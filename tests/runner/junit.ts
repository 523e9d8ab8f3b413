/** Reads the reports that the test runners write (JUnit XML). */
import { readFile } from "node:fs/promises";

export interface Outcome {
  readonly passed: number;
  readonly failed: number;
  /** The failed tests with their messages. */
  readonly failures: readonly Failure[];
}

/** A test that did not pass, or a runner that did not run any. */
export interface Failure {
  /** The test's name as its report has it, after the names of the tests that it is a step of. */
  readonly name: string;
  /** The message of the runner. */
  readonly text: string;
}

/** Attribute values may hold a bare ">": names of tests do. */
const CASE = /<testcase\b((?:[^>"]|"[^"]*")*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g;
const FAULT = /<(?:failure|error|skipped)\b(?:[^>"]|"[^"]*")*?(?:\/>|>([\s\S]*?)<\/)/;

/**
 * Reads the report of a runner that ended with a code. A missing or empty one is a failure, as a suite that ran no test has
 * not passed; so is a code of failure without one: of a file that cannot be loaded, Deno's reports know nothing.
 */
export async function readOutcome(path: string, code: number): Promise<Outcome> {
  let report: string;
  try {
    report = await readFile(path, "utf8");
  } catch (error) {
    return noTests(`its report cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  const cases = [...report.matchAll(CASE)];
  if (cases.length === 0) return noTests("its report has no test");
  const failures = cases.flatMap(([, attributes = "", body = ""]): Failure[] => {
    const fault = FAULT.exec(body);
    return fault === null ? [] : [{ name: parseName(attributes), text: plain(fault[1] ?? fault[0]).trim() }];
  });
  const passed = cases.length - failures.length;
  if (code !== 0 && failures.length === 0) {
    failures.push({ name: "the runner", text: `it ended with ${code} although no test in its report has failed` });
  }
  return { passed, failed: failures.length, failures };
}

/** Adds up outcomes to a single one. */
export function sumOutcomes(outcomes: readonly Outcome[]): Outcome {
  return {
    passed: outcomes.reduce((sum, { passed }) => sum + passed, 0),
    failed: outcomes.reduce((sum, { failed }) => sum + failed, 0),
    failures: outcomes.flatMap(({ failures }) => failures),
  };
}

/** The outcome of a suite that ran no test. */
function noTests(why: string): Outcome {
  return { passed: 0, failed: 1, failures: [{ name: "no test ran", text: why }] };
}

/** The failures for a person: each with a word, its name and the beginning of what was said of it. */
export function formatFailures(failures: readonly Failure[], lines: number, word = "FAILED"): string {
  return failures.map(({ name, text }) => {
    const said = text.split("\n");
    const shown = said.slice(0, lines).map((line) => `    ${line}\n`).join("");
    return `${word}: ${name}\n${shown}${said.length > lines ? "    …\n" : ""}`;
  }).join("");
}

function parseName(attributes: string): string {
  const name = /\bname="([^"]*)"/.exec(attributes)?.[1] ?? "";
  // Node names the test that a step belongs to here, "test" where there is none, and Deno the file.
  const parent = /\bclassname="([^"]*)"/.exec(attributes)?.[1] ?? "test";
  return plain(parent === "test" ? name : `${parent} > ${name}`);
}

const ENTITIES: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

/** The text that is written in XML. */
function plain(xml: string): string {
  return xml.replace(/&(?:(lt|gt|amp|quot|apos)|#(\d+)|#x([0-9a-f]+));/gi, (_, name, decimal, hexadecimal) => {
    if (name !== undefined) return ENTITIES[name] ?? "";
    return String.fromCodePoint(decimal === undefined ? parseInt(hexadecimal, 16) : Number(decimal));
  });
}
