/** The header of the files that are rendered from the Helm chart. */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { ROOT } from "./child.ts";

const CHART = "packaging/helm/tlsboot";

/** Formats the first line of a rendered file. Its digest of the chart shows whether the file is up to date. */
export async function formatChartHeader(): Promise<string> {
  const hash = createHash("sha256");
  const entries = await readdir(join(ROOT, CHART), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  for (const file of files.sort()) hash.update(await readFile(file));
  return `# Rendered from ${CHART} (${hash.digest("hex").slice(0, 16)}); do not edit.`;
}
