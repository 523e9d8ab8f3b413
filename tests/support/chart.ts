/** The chart, as what is rendered of it knows it. */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { ROOT } from "./child.ts";

const CHART = "packaging/helm/tlsboot";

/** The first line of what is rendered of the chart, with a digest of the chart: Helm is not at hand in every run of the tests. */
export async function formatChartHeader(): Promise<string> {
  const hash = createHash("sha256");
  const entries = await readdir(join(ROOT, CHART), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  for (const file of files.sort()) hash.update(await readFile(file));
  return `# Rendered from ${CHART} (${hash.digest("hex").slice(0, 16)}); do not edit.`;
}
