/** Counts from the reports that the test runners write (JUnit XML). */
import { readFile } from "node:fs/promises";

/** How a suite ended. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
}

/** Reads a report. A missing or empty one is a failure: a suite that ran no test has not passed. */
export async function readCounts(path: string): Promise<Counts> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch {
    return { passed: 0, failed: 1 };
  }
  // Attribute values may hold a bare ">": names of tests do.
  const cases = [...text.matchAll(/<testcase\b(?:[^>"]|"[^"]*")*?(?:\/>|>([\s\S]*?)<\/testcase>)/g)];
  const failed = cases.filter(([, body]) => body !== undefined && /<(failure|error|skipped)\b/.test(body)).length;
  if (cases.length === 0) return { passed: 0, failed: 1 };
  return { passed: cases.length - failed, failed };
}
