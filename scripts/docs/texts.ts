/** Texts of the repository as modules, so that the single file carries them. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** Reads the texts of a folder by their names, in the order of the names. */
async function readTexts(folder: string): Promise<readonly (readonly [name: string, text: string])[]> {
  const files = (await readdir(folder)).sort();
  return await Promise.all(files.map(async (file) => [file, await readFile(join(folder, file), "utf8")] as const));
}

/** Reads every guide, by its name without `.md`. */
export async function readGuides(root: string): Promise<Readonly<Record<string, string>>> {
  const files = await readTexts(join(root, "docs", "guides"));
  return Object.fromEntries(files.map(([name, text]) => [name.replace(/\.md$/, ""), text]));
}

/** Reads the files of the mixin, sources and what is rendered of them. */
export async function readMixin(root: string): Promise<Readonly<Record<string, string>>> {
  return Object.fromEntries(await readTexts(join(root, "packaging", "mixin")));
}

/** Reads the files of the service of `tlsboot up`, which are those of the packages. */
export async function readService(root: string): Promise<Readonly<Record<string, string>>> {
  const texts = await readTexts(join(root, "packaging", "systemd"));
  return Object.fromEntries(texts.filter(([name]) => ["sysusers.conf", "tlsboot.service", "up.yaml"].includes(name)));
}

/** Renders the module that holds the texts of a folder. */
export function renderTexts(constant: string, folder: string, texts: Readonly<Record<string, string>>): string {
  return `/** The texts of ${folder}; made by scripts/docs/cli.ts, do not edit. */

/** Each text by its name. */
export const ${constant}: Readonly<Record<string, string>> = ${JSON.stringify(texts)};
`;
}
