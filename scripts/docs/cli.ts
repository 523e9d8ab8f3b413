/**
 * `deno task docs`: writes `docs/reference/cli.md` from the command table, and the guides into the program. Tests fail when
 * they have parted.
 */
import { mkdir, writeFile } from "node:fs/promises";
import process from "node:process";
import { COMMAND_TABLE } from "../../cli/commands/mod.ts";
import { mustRun } from "../processes.ts";
import { readGuides, renderGuides } from "./guides.ts";
import { renderManual } from "./manual.ts";

const GUIDES_MODULE = "cli/commands/docs/guide_texts.ts";

async function main(): Promise<void> {
  await mkdir("docs/reference", { recursive: true });
  await writeFile("docs/reference/cli.md", renderManual(COMMAND_TABLE));
  await writeFile(GUIDES_MODULE, renderGuides(await readGuides(process.cwd())));
  await mustRun(process.execPath, ["fmt", "--quiet", GUIDES_MODULE]);
}

main();
