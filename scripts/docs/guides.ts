/** The guides of `docs/guides` as a module, so that the single file carries them. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

const FOLDER = join("docs", "guides");

/** Reads every guide, by its name without `.md`, in the order of the names. */
export async function readGuides(root: string): Promise<Readonly<Record<string, string>>> {
  const files = (await readdir(join(root, FOLDER))).filter((file) => file.endsWith(".md")).sort();
  const pages = files.map(async (file) =>
    [file.slice(0, -3), await readFile(join(root, FOLDER, file), "utf8")] as const
  );
  return Object.fromEntries(await Promise.all(pages));
}

/** Renders the module that holds the guides. */
export function renderGuides(guides: Readonly<Record<string, string>>): string {
  return `/** The guides of docs/guides; made by scripts/docs/cli.ts, do not edit. */

/** The text of each guide by its name. */
export const GUIDES: Readonly<Record<string, string>> = ${JSON.stringify(guides)};
`;
}
