/**
 * `deno task docs`: writes `docs/reference/cli.md` from the command table, the parts of README and SECURITY that
 * `pages.ts` decides, and the guides, the mixin and the service into the program. Tests fail when they have parted.
 */
import { mkdir, writeFile } from "node:fs/promises";
import process from "node:process";
import { COMMAND_TABLE } from "../../cli/commands/mod.ts";
import { mustRun } from "../processes.ts";
import { renderManual } from "./manual.ts";
import { writePages } from "./pages.ts";
import { readGuides, readMixin, readService, renderTexts } from "./texts.ts";

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

main();
