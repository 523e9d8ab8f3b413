/**
 * `deno task demo-svg`: records a run of `tlsboot demo` as a picture of a terminal, `docs/demo.svg`. Each line appears
 * at its recorded time. Viewers without animation show all lines.
 */
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";
import { escapeHtml } from "../../cli/output/escape.ts";
import { CHAPTERS } from "../../ui/story/chapters.ts";
import { runScript } from "../processes.ts";

const PAGE = join("docs", "demo.svg");
/** The chapters of which the picture shows only the titles. */
const REST = CHAPTERS.slice(2).map(({ title }) => title);

/** Runs the demo in an empty folder and records when each line appears. */
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
    // The first run compiles the program; the second one is recorded.
    await record(folder);
    await writeFile(PAGE, formatRecording("tlsboot demo", takeFirstChapters(await record(folder))));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A line of output, and the time after the start at which it appeared, in milliseconds. */
interface RecordedLine {
  readonly text: string;
  readonly atMs: number;
}

/** The largest number of characters of a line that are shown; longer lines end with "…". */
const COLUMNS = 80;
const [CHARACTER_WIDTH, LINE_HEIGHT, MARGIN, TITLE_HEIGHT] = [7.25, 17, 16, 34];

/** Formats the command and its output. Random names are kept, because no test compares the picture. */
export function formatRecording(command: string, lines: readonly RecordedLine[]): string {
  const shown = [{ text: `$ ${command}`, atMs: 0 }, ...lines];
  const width = Math.ceil(COLUMNS * CHARACTER_WIDTH + 2 * MARGIN);
  const height = TITLE_HEIGHT + shown.length * LINE_HEIGHT + MARGIN;
  const rows = shown.map(({ text, atMs }, index) => {
    if (text === "") return undefined;
    const y = TITLE_HEIGHT + (index + 1) * LINE_HEIGHT;
    const delay = atMs === 0 ? "" : ` style="animation-delay:${(atMs / 1000).toFixed(2)}s"`;
    // A command that continues on the next line ends with a backslash.
    const isContinued = shown[index - 1]?.text.endsWith(" \\") === true;
    return `<text class="${isContinued ? "command" : toClass(text)}" x="${MARGIN}" y="${y}"${delay}>${
      escapeHtml(shorten(text))
    }</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" viewBox="0 0 ${width} ${height}" role="img">
<title>${escapeHtml(command)}, as a terminal shows it</title>
<style>
text { font: 12px ui-monospace, "SFMono-Regular", Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre; fill: #c9d1d9; animation: appear 1ms backwards }
.step { fill: #ffffff; font-weight: bold }
.chapter { fill: #79c0ff; font-weight: bold }
.command { fill: #7ee787 }
@keyframes appear { from { opacity: 0 } }
</style>
<rect width="${width}" height="${height}" rx="8" fill="#0d1117"/>
<g fill="#6e7681"><circle cx="20" cy="18" r="5"/><circle cx="38" cy="18" r="5"/><circle cx="56" cy="18" r="5"/></g>
${rows.filter((row) => row !== undefined).join("\n")}
</svg>
`;
}

function toClass(line: string): "command" | "step" | "chapter" | "output" {
  if (/^\s*\$ /.test(line)) return "command";
  if (/^[A-Z…]/.test(line)) return "chapter";
  return /^\d+\. /.test(line) ? "step" : "output";
}

function shorten(line: string): string {
  return line.length > COLUMNS ? `${line.slice(0, COLUMNS - 1)}…` : line;
}

runScript(import.meta, main);
