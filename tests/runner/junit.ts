/** Reads the reports that the test runners write (JUnit XML). */
import { readFile } from "node:fs/promises";

/** The results of the tests in a process. */
export interface Outcome {
  readonly passed: number;
  readonly failures: readonly NamedText[];
  /** The tests that did not run, with their reasons. */
  readonly skipped: readonly NamedText[];
}

/** The name of a test, or of a runner that ran no test, with a message. */
export interface NamedText {
  /** The name, after those of the enclosing suites and tests. */
  readonly name: string;
  readonly text: string;
}

/** The text of a skipped test whose report has no reason, as Deno's never has. */
const NO_REASON = "no reason given";

/** Attribute values, such as names of tests, may contain a bare ">". */
const CASE = /<testcase\b((?:[^>"]|"[^"]*")*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g;
const FAULT = /<(?:failure|error)\b(?:[^>"]|"[^"]*")*?(?:\/>|>([\s\S]*?)<\/)/;
const SKIP = /<skipped\b((?:[^>"]|"[^"]*")*?)\/>/;

/**
 * Reads the report of a runner that ended with an exit code. A missing or empty report is a failure, because a suite
 * that ran no test has not passed. So is a failing exit code without a failed test: Deno's report omits a file that
 * cannot be loaded.
 */
export async function readOutcome(path: string, code: number): Promise<Outcome> {
  let report: string;
  try {
    report = await readFile(path, "utf8");
  } catch (error) {
    return createFailure("no test ran", `its report cannot be read: ${error instanceof Error ? error.message : error}`);
  }
  const isDeno = report.includes('<testsuites name="deno test"');
  const all = [...report.matchAll(CASE)].map(([, attributes = "", body = ""]) => {
    const name = readAttribute(attributes, "name") ?? "";
    // On Node this is the suite of the test, or "test" if it has none. On Deno the name has all suites.
    const suite = isDeno ? "test" : readAttribute(attributes, "classname") ?? "test";
    return { name: suite === "test" ? name : `${suite} > ${name}`, fault: FAULT.exec(body), skip: SKIP.exec(body) };
  });
  if (all.length === 0) return createFailure("no test ran", "its report has no test");
  // In Deno's report, a suite is also a case, which fails if one of its own fails.
  const isSuite = ({ name, fault }: typeof all[number]): boolean =>
    all.some((one) => one.name.startsWith(`${name} > `) && (fault === null || one.fault !== null));
  const cases = isDeno ? all.filter((one) => !isSuite(one)) : all;
  const failures = cases.flatMap(({ name, fault }) =>
    fault === null ? [] : [{ name, text: decodeEntities(fault[1] ?? fault[0]).trim() }]
  );
  const skipped = cases.flatMap(({ name, skip }) =>
    skip === null ? [] : [{ name, text: readAttribute(skip[1] ?? "", "message") ?? NO_REASON }]
  );
  const passed = cases.length - failures.length - skipped.length;
  if (code !== 0 && failures.length === 0) {
    failures.push({ name: "the runner", text: `it ended with ${code} although no test in its report has failed` });
  }
  return { passed, failures, skipped };
}

/** Gives each skipped test without a reason that of the same test on the other runtime. */
export function addReasons<T extends NamedText>(skipped: readonly T[]): readonly T[] {
  const findReason = (name: string): string | undefined =>
    skipped.find((one) => one.text !== NO_REASON && ` > ${name}`.endsWith(` > ${one.name}`))?.text;
  return skipped.map((one) => one.text === NO_REASON ? { ...one, text: findReason(one.name) ?? NO_REASON } : one);
}

/** Creates the outcome of a process that failed as a whole. */
export function createFailure(name: string, text: string): Outcome {
  return { passed: 0, failures: [{ name, text }], skipped: [] };
}

/** Formats each failure with its name and the first lines of its message. */
export function formatFailures(failures: readonly NamedText[], lines: number): string {
  return failures.map(({ name, text }) => {
    const all = text.split("\n");
    const shown = all.slice(0, lines).map((line) => `    ${line}\n`).join("");
    return `FAILED: ${name}\n${shown}${all.length > lines ? "    …\n" : ""}`;
  }).join("");
}

function readAttribute(attributes: string, name: string): string | undefined {
  const value = new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1];
  return value === undefined ? undefined : decodeEntities(value);
}

const ENTITIES: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

/** Decodes the entities of XML text. */
function decodeEntities(xml: string): string {
  return xml.replace(/&(?:(lt|gt|amp|quot|apos)|#(\d+)|#x([0-9a-f]+));/gi, (_, name, decimal, hexadecimal) => {
    if (name !== undefined) return ENTITIES[name] ?? "";
    return String.fromCodePoint(decimal === undefined ? parseInt(hexadecimal, 16) : Number(decimal));
  });
}
