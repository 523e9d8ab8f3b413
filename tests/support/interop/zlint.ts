/** Checks certificates with zlint's rules for RFC 5280. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { peerPath } from "../peers/go.ts";
import { succeedProgram } from "../child.ts";
import type { TempFolder } from "../temp.ts";

/** The results of zlint for one certificate, by lint. */
type LintResults = Readonly<Record<string, { readonly result: string; readonly details?: string }>>;

/** Returns, for each certificate in PEM, the names of the lints that fail. */
export async function zlintErrors(
  folder: TempFolder,
  pems: readonly string[],
): Promise<readonly (readonly string[])[]> {
  const paths = pems.map((_, index) => folder.join(`linted-${index}.crt`));
  for (const [index, pem] of pems.entries()) await writeFile(paths[index] ?? "", pem);
  const { stdout } = await succeedProgram(peerPath("zlint"), ["-includeSources", "RFC5280", ...paths]);
  const results = stdout.trim().split("\n").map((line): LintResults => JSON.parse(line));
  assert.equal(results.length, pems.length, stdout);
  return results.map((result) => {
    const lints = Object.entries(result);
    // A run without any checks would find nothing either.
    assert.ok(lints.filter(([, { result }]) => result === "pass").length > 20, JSON.stringify(result));
    return lints.filter(([, { result }]) => result === "error" || result === "fatal").map(([name]) => name).sort();
  });
}

/** Returns every certificate of a PEM text, one block each. */
export function certificateBlocks(text: string): readonly string[] {
  return text.match(/-----BEGIN CERTIFICATE-----\n[^-]+-----END CERTIFICATE-----\n/g) ?? [];
}

/** Asserts that no certificate has an error. */
export async function assertLints(folder: TempFolder, certificates: ReadonlyMap<string, string>): Promise<void> {
  const errors = await zlintErrors(folder, [...certificates.values()]);
  const findings = [...certificates.keys()].map((name, index) => `${name}: ${errors[index]?.join(", ")}`);
  assert.deepEqual(findings.filter((_, index) => errors[index]?.length !== 0), []);
}
