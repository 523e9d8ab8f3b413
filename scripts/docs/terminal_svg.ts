/** A recorded terminal as SVG: every line appears when it did, and readers that know no animation see all of them. */

/** One line of output and when it appeared after the start, in milliseconds. */
export interface RecordedLine {
  readonly text: string;
  readonly atMs: number;
}

/** The largest number of characters of a line that are shown; longer lines end with "…". */
const COLUMNS = 118;
/** The number of characters that a wide column of a table keeps. */
const KEPT_OF_COLUMN = 20;
const [CHARACTER_WIDTH, LINE_HEIGHT, MARGIN, TITLE_HEIGHT] = [7.25, 17, 16, 34];

/** Formats the command and what it printed. Random names stay as they were; the picture is made again by hand. */
export function formatRecording(command: string, lines: readonly RecordedLine[]): string {
  const shown = [{ text: `$ ${command}`, atMs: 0 }, ...shortenTables(lines)];
  const width = Math.ceil(COLUMNS * CHARACTER_WIDTH + 2 * MARGIN);
  const height = TITLE_HEIGHT + shown.length * LINE_HEIGHT + MARGIN;
  const rows = shown.map(({ text, atMs }, index) => {
    if (text === "") return undefined;
    const y = TITLE_HEIGHT + (index + 1) * LINE_HEIGHT;
    const delay = atMs === 0 ? "" : ` style="animation-delay:${(atMs / 1000).toFixed(2)}s"`;
    return `<text class="${toClass(text)}" x="${MARGIN}" y="${y}"${delay}>${escapeXml(shorten(text))}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" viewBox="0 0 ${width} ${height}" role="img">
<title>${escapeXml(command)}, as a terminal shows it</title>
<style>
text { font: 12px ui-monospace, "SFMono-Regular", Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre; fill: #c9d1d9; animation: appear 1ms backwards }
.step { fill: #ffffff; font-weight: bold }
.command { fill: #7ee787 }
@keyframes appear { from { opacity: 0 } }
</style>
<rect width="${width}" height="${height}" rx="8" fill="#0d1117"/>
<g fill="#6e7681"><circle cx="20" cy="18" r="5"/><circle cx="38" cy="18" r="5"/><circle cx="56" cy="18" r="5"/></g>
${rows.filter((row) => row !== undefined).join("\n")}
</svg>
`;
}

function toClass(line: string): "command" | "step" | "output" {
  if (/^\s*\$ /.test(line)) return "command";
  return /^\d+\. /.test(line) ? "step" : "output";
}

/** Shortens the two wide columns of `get csr`, so that the condition at the end of the line is seen. */
function shortenTables(lines: readonly RecordedLine[]): readonly RecordedLine[] {
  let cuts: readonly Cut[] = [];
  return lines.map((line) => {
    if (/^ *NAME +AGE +SIGNERNAME +REQUESTOR /.test(line.text)) {
      const at = (title: string) => line.text.indexOf(title);
      cuts = [
        { from: at("SIGNERNAME") + KEPT_OF_COLUMN, to: at("REQUESTOR") - 3 },
        { from: at("NAME") + KEPT_OF_COLUMN, to: at("AGE") - 3 },
      ];
    } else if (!/^ *node-csr-/.test(line.text)) cuts = [];
    const text = cuts.reduce((text, { from, to }) => {
      const mark = text.slice(from, to).trim() === "" ? " " : "…";
      return text.slice(0, from) + mark + text.slice(to);
    }, line.text);
    return { ...line, text };
  });
}

/** Characters of a line that are replaced by a mark. */
interface Cut {
  readonly from: number;
  readonly to: number;
}

function shorten(line: string): string {
  return line.length > COLUMNS ? `${line.slice(0, COLUMNS - 1)}…` : line;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
