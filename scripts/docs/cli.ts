/**
 * `deno task docs`: writes `docs/reference/cli.md` from the command table, the parts of README and SECURITY that
 * `pages.ts` decides, and the guides, the mixin and the service into modules of the program, so that the single file has
 * them. Tests fail when they differ.
 */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { COMMAND_TABLE } from "../../cli/commands/mod.ts";
import { mustRun, runScript } from "../processes.ts";
import { renderManual } from "./manual.ts";
import { writePages } from "./pages.ts";

const MODULES = "cli/commands/docs";

async function main(): Promise<void> {
  await mkdir("docs/reference", { recursive: true });
  await writeFile("docs/reference/cli.md", renderManual(COMMAND_TABLE));
  const root = process.cwd();
  await writePages(root);
  const modules = {
    [`${MODULES}/guide_texts.ts`]: renderTexts("GUIDES", "docs/guides", await readGuides(root)),
    ["cli/commands/up/service_texts.ts"]: renderTexts("SERVICE", "packaging/systemd", await readService(root)),
    [`${MODULES}/mixin_texts.ts`]: renderTexts("MIXIN", "packaging/mixin", await readMixin(root)),
  };
  for (const [path, text] of Object.entries(modules)) await writeFile(path, text);
  await mustRun(process.execPath, ["fmt", "--quiet", ...Object.keys(modules)]);
}

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
function renderTexts(constant: string, folder: string, texts: Readonly<Record<string, string>>): string {
  return `/** The texts of ${folder}; made by scripts/docs/cli.ts, do not edit. */

/** Each text by its name. */
export const ${constant}: Readonly<Record<string, string>> = ${JSON.stringify(texts)};
`;
}

runScript(import.meta, main);
