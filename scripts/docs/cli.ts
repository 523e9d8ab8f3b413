/** Writes docs/reference/cli.md from the command table. A test fails when the two have parted. */
import { mkdir, writeFile } from "node:fs/promises";
import { COMMAND_TABLE } from "../../cli/commands/mod.ts";
import { renderManual } from "./manual.ts";

async function main(): Promise<void> {
  await mkdir("docs/reference", { recursive: true });
  await writeFile("docs/reference/cli.md", renderManual(COMMAND_TABLE));
}

main();
