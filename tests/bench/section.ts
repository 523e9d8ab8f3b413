/** The section of one benchmark command, and the page with the latest section of each command. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { formatMachine, type Machine } from "./machine.ts";
import { formatTable } from "./table.ts";

/** The commands, in the order of the page. */
export const COMMANDS = ["table", "growth", "steady", "capacity", "ladder", "profile"] as const;

export type Command = typeof COMMANDS[number];

export interface Section {
  readonly command: Command;
  readonly title: string;
  readonly machine: Machine;
  /** The settings of the measurement: rounds and durations. */
  readonly settings: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly pictures: readonly Picture[];
  /** The numbers behind the rows. */
  readonly data: unknown;
}

export interface Picture {
  /** The name of the file without its extension. */
  readonly name: string;
  readonly title: string;
  readonly svg: string;
}

/** A section as it is stored, without its pictures, which are separate files. */
type KeptSection = Omit<Section, "pictures"> & { readonly pictures: readonly Omit<Picture, "svg">[] };

/** Formats the section as text for the terminal. */
export function formatSection({ head, rows, settings, machine }: Section): string {
  return `\n${formatTable(head, rows)}\n${settings}\n${formatMachine(machine)}\n`;
}

function keep(section: Section): KeptSection {
  return { ...section, pictures: section.pictures.map(({ name, title }) => ({ name, title })) };
}

function formatPage(sections: readonly KeptSection[]): string {
  const parts = sections.map(({ title, machine, settings, head, rows, pictures }) =>
    [
      `## ${title}\n`,
      `${settings}\n`,
      `${formatMachine(machine)}\n`,
      formatTable(head, rows),
      ...pictures.map((picture) => `![${picture.title}](bench/${picture.name}.svg)\n`),
    ].join("\n")
  );
  return `${INTRODUCTION}\n${parts.join("\n")}`;
}

const INTRODUCTION = `# Benchmarks, last results

<!-- Written by \`deno task bench --write\`. Do not edit. -->

The numbers are from one machine on one day; the ratios matter more. [measurements.md](measurements.md) explains what each line measures
and how to measure it yourself. In a cell with two numbers, the first is ours. The aims are those of the design.
`;

/** Writes a section below `docs` of a checkout, and the page with all kept sections. */
export async function writeSection(root: string, section: Section): Promise<void> {
  const folder = join(root, "docs", "engineering", "bench");
  await mkdir(folder, { recursive: true });
  for (const { name, svg } of section.pictures) await writeFile(join(folder, `${name}.svg`), svg);
  await writeFile(join(folder, `${section.command}.json`), `${JSON.stringify(keep(section), null, 2)}\n`);
  const kept = await Promise.all(COMMANDS.map((command) => findKept(join(folder, `${command}.json`))));
  await writeFile(
    join(root, "docs", "engineering", "benchmarks.md"),
    formatPage(kept.filter((one) => one !== undefined)),
  );
}

async function findKept(path: string): Promise<KeptSection | undefined> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as KeptSection;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
