/** Records a run of `tlsboot demo` as a picture of a terminal, `docs/demo.svg`. */
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";
import { CHAPTERS } from "../../ui/story/chapters.ts";
import { formatRecording, type RecordedLine } from "./terminal_svg.ts";

const PAGE = join("docs", "demo.svg");
/** The chapters that the picture only names. */
const REST = CHAPTERS.slice(2).map(({ title }) => title);

/** Runs the demo in an empty folder and notes when each line appeared. */
async function record(folder: string): Promise<readonly RecordedLine[]> {
  const start = Date.now();
  const child = spawn(process.execPath, ["run", "-A", "--no-check", "--quiet", resolve("cli/main.ts"), "demo"], {
    cwd: folder,
    env: { ...process.env, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines: RecordedLine[] = [];
  let rest = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts) lines.push({ text: part, atMs: Date.now() - start });
  });
  const code = await new Promise((done) => child.on("close", done));
  if (code !== 0) throw new Error(`tlsboot demo ended with ${code}`);
  return lines;
}

/** Returns the first chapters, because a picture of all of them would be longer than the page around it. */
function takeFirstChapters(lines: readonly RecordedLine[]): readonly RecordedLine[] {
  const end = lines.findIndex(({ text }) => text === REST[0]);
  if (end < 0) throw new Error(`tlsboot demo has no chapter "${REST[0]}"`);
  const atMs = lines[end]?.atMs ?? 0;
  return [...lines.slice(0, end), ...REST.map((title) => ({ text: `… ${title}`, atMs }))];
}

async function main(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "tlsboot-"));
  try {
    // The first run compiles; the second is what a reader sees.
    await record(folder);
    await writeFile(PAGE, formatRecording("tlsboot demo", takeFirstChapters(await record(folder))));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

await main();
