/** A recorded terminal as SVG: every line appears when it did, and readers that know no animation see all of them. */

/** One line of output and when it appeared after the start, in milliseconds. */
export interface RecordedLine {
  readonly text: string;
  readonly atMs: number;
}

/** The largest number of characters of a line that are shown; longer lines end with "…". */
const COLUMNS = 80;
const [CHARACTER_WIDTH, LINE_HEIGHT, MARGIN, TITLE_HEIGHT] = [7.25, 17, 16, 34];

/** Formats the command and what it printed. Random names stay as they were; the picture is made again by hand. */
export function formatRecording(command: string, lines: readonly RecordedLine[]): string {
  const shown = [{ text: `$ ${command}`, atMs: 0 }, ...lines];
  const width = Math.ceil(COLUMNS * CHARACTER_WIDTH + 2 * MARGIN);
  const height = TITLE_HEIGHT + shown.length * LINE_HEIGHT + MARGIN;
  const rows = shown.map(({ text, atMs }, index) => {
    if (text === "") return undefined;
    const y = TITLE_HEIGHT + (index + 1) * LINE_HEIGHT;
    const delay = atMs === 0 ? "" : ` style="animation-delay:${(atMs / 1000).toFixed(2)}s"`;
    // A command that goes on in the next line ends with a backslash.
    const isContinued = shown[index - 1]?.text.endsWith(" \\") === true;
    return `<text class="${isContinued ? "command" : toClass(text)}" x="${MARGIN}" y="${y}"${delay}>${
      escapeXml(shorten(text))
    }</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" viewBox="0 0 ${width} ${height}" role="img">
<title>${escapeXml(command)}, as a terminal shows it</title>
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

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
