/** The panels of a dashboard as a picture: each in its place, with its title and unit, drawn like the other plots. */
import { drawChart, drawLegendEntry, drawPage, drawText, formatMark, type Series } from "../../tests/bench/svg.ts";

/** The fields of a Grafana dashboard that are drawn. */
export interface Dashboard {
  readonly title: string;
  readonly panels: readonly Panel[];
}

export interface Panel {
  readonly type: "stat" | "timeseries";
  readonly title: string;
  readonly description: string;
  readonly gridPos: GridPosition;
  readonly fieldConfig: { readonly defaults: { readonly unit: string; readonly thresholds?: Thresholds } };
  readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[];
}

/** A place in a grid of 24 columns. */
interface GridPosition {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

/** Colours by the least value that has them, in rising order; null is less than each number. */
interface Thresholds {
  readonly steps: readonly { readonly color: string; readonly value: number | null }[];
}

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

const COLUMNS = 24;
/** A picture of this width is shown at about its own size in the column of a page, so that its text can be read there. */
const WIDTH = 900;
const ROW_HEIGHT = 32;
const GAP = 8;
const HEAD = 30;
const PADDING = 8;
const FONT_SIZE = 11;
/** The widths of an average character, in parts of the font size; those of wide fonts, because the reader has any font. */
const [CHARACTER, BOLD_CHARACTER] = [0.6, 0.68];
const LEGEND_LINES = 3;
const LEGEND_LINE_HEIGHT = 14;
const LEGEND_MARK = 26;
const LEGEND_SPACE = 10;

/** The colours of thresholds, dark enough for a light ground and light enough for a dark one. */
const THRESHOLD_COLOURS: Readonly<Record<string, string>> = { green: "#009e73", orange: "#d55e00", red: "#d1242f" };

/** Grafana's units: from which value on a number is divided by it, and what it is then called. */
const SCALES: Readonly<Record<string, readonly (readonly [divisor: number, label: string])[]>> = {
  none: [[1, ""]],
  reqps: [[1, "a second"]],
  s: [[0.001, "ms"], [1, "s"], [60, "min"], [3600, "h"], [86_400, "days"]],
  bytes: [[1, "B"], [2 ** 10, "KiB"], [2 ** 20, "MiB"], [2 ** 30, "GiB"], [2 ** 40, "TiB"]],
};

/**
 * Draws a dashboard with the series of each panel, in the order of the panels. The note is about all of them. Throws an
 * Error for a panel without data.
 */
export function drawDashboard(
  { title, panels }: Dashboard,
  data: readonly (readonly Series[])[],
  note: string,
): string {
  const boxes = panels.map(({ gridPos }) => toBox(gridPos));
  const height = Math.max(...boxes.map((box) => box.y + box.height)) + GAP / 2;
  return drawPage({ width: WIDTH, height, fontSize: FONT_SIZE, title: `${title}: ${note}` }, [
    drawText(GAP, 20, title, `font-size="14" font-weight="bold"`),
    drawText(WIDTH - GAP, 20, note, `text-anchor="end"`),
    ...panels.flatMap((panel, index) => drawPanel(panel, boxes[index]!, data[index] ?? [])),
  ]);
}

/** Returns where a place in the grid is in the picture. */
export function toBox({ x, y, w, h }: GridPosition): Box {
  const column = WIDTH / COLUMNS;
  return {
    x: x * column + GAP / 2,
    y: HEAD + y * ROW_HEIGHT + GAP / 2,
    width: w * column - GAP,
    height: h * ROW_HEIGHT - GAP,
  };
}

function drawPanel(panel: Panel, box: Box, series: readonly Series[]): readonly string[] {
  const measured = series.filter((one) => Number.isFinite(findLargest(one)));
  if (measured.length === 0) throw new Error(`the panel "${panel.title}" has no data`);
  const { x, y, width, height } = box;
  return [
    `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="4" fill="none" stroke="#808080" stroke-opacity="0.5"/>`,
    ...(panel.type === "stat" ? drawNumber(panel, box, measured) : drawLines(panel, box, measured)),
  ];
}

/** Draws the last value, in the colour of its threshold. */
function drawNumber(
  { title, description, fieldConfig: { defaults: { unit, thresholds } } }: Panel,
  { x, y, width, height }: Box,
  series: readonly Series[],
): readonly string[] {
  const value = series[0]?.points.map((point) => point.y).filter(Number.isFinite).at(-1) ?? NaN;
  const [divisor, label] = findScale(unit, value);
  const name = thresholds?.steps.findLast((step) => step.value === null || step.value <= value)?.color;
  const colour = name === undefined ? "" : ` fill="${THRESHOLD_COLOURS[name] ?? name}"`;
  const room = width - 2 * PADDING;
  const titleLines = wrap(title, room / (BOLD_CHARACTER * FONT_SIZE));
  const lines = wrap(description, room / (CHARACTER * FONT_SIZE));
  return [
    ...titleLines.map((line, index) => drawText(x + PADDING, y + 16 + index * 13, line, `font-weight="bold"`)),
    drawText(
      x + width / 2,
      y + 74,
      `${formatMark(value / divisor)} ${label}`.trim(),
      `font-size="24" text-anchor="middle"${colour}`,
    ),
    ...lines.map((line, index) =>
      drawText(x + PADDING, y + height - PADDING - (lines.length - 1 - index) * 12, line, "")
    ),
  ];
}

/** Draws a line for each series, those with large values first. */
function drawLines(
  { title, description, fieldConfig: { defaults: { unit } } }: Panel,
  { x, y, width, height }: Box,
  series: readonly Series[],
): readonly string[] {
  const sorted = series.toSorted((one, other) =>
    findLargest(other) - findLargest(one) || (one.name < other.name ? -1 : 1)
  );
  const [divisor, label] = findScale(unit, findLargest(sorted[0]!));
  const scaled = sorted.map(({ name, points }) => ({
    name,
    points: points.map((point) => ({ x: point.x, y: point.y / divisor })),
  }));
  const legendTop = y + height - PADDING - (LEGEND_LINES - 1) * LEGEND_LINE_HEIGHT;
  const legend = placeLegend(scaled.map(({ name }) => name), width - 2 * PADDING);
  const place = (entry: { readonly x: number; readonly line: number }) =>
    [x + PADDING + entry.x, legendTop + entry.line * LEGEND_LINE_HEIGHT] as const;
  return [
    drawText(x + PADDING, y + 17, title, `font-size="12" font-weight="bold"`),
    drawText(x + width - PADDING, y + 17, label, `text-anchor="end"`),
    drawText(x + PADDING, y + 31, description, ""),
    ...drawChart({ xScale: "linear", series: scaled }, {
      left: x + 42,
      right: x + width - 14,
      top: y + 44,
      bottom: legendTop - 40,
    }),
    ...legend.shown.flatMap((entry, index) => drawLegendEntry(...place(entry), entry.text, index)),
    ...(legend.rest === undefined ? [] : [drawText(...place(legend.rest), legend.rest.text, "")]),
  ];
}

interface LegendEntry {
  readonly text: string;
  readonly x: number;
  readonly line: number;
}

/** Fills the lines of a legend with names, from the left. When not all have room, the rest is counted. */
export function placeLegend(
  names: readonly string[],
  width: number,
): { readonly shown: readonly LegendEntry[]; readonly rest?: LegendEntry } {
  for (let count = names.length; count >= 0; count--) {
    const rest = count === names.length ? [] : [`and ${names.length - count} more`];
    const entries: LegendEntry[] = [];
    let [x, line] = [0, 0];
    for (const text of [...names.slice(0, count), ...rest]) {
      const mark = entries.length === count ? 0 : LEGEND_MARK;
      const needed = mark + text.length * CHARACTER * FONT_SIZE;
      if (x > 0 && x + needed > width) [x, line] = [0, line + 1];
      entries.push({ text, x, line });
      x += needed + LEGEND_SPACE;
    }
    const [last] = entries.slice(count);
    if (line < LEGEND_LINES) return { shown: entries.slice(0, count), ...(last === undefined ? {} : { rest: last }) };
  }
  return { shown: [] };
}

/** Breaks a text between words into lines of at most so many characters; a longer word has a line of its own. */
export function wrap(text: string, characters: number): readonly string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= characters) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** Finds the divisor and the name of a unit for values up to the largest. Throws an Error for an unknown unit. */
export function findScale(unit: string, largest: number): readonly [divisor: number, label: string] {
  const scales = SCALES[unit];
  if (scales === undefined) throw new Error(`the unit "${unit}" has no scale`);
  return scales.findLast(([divisor]) => divisor <= largest) ?? scales[0]!;
}

/** Fills labels into Grafana's name of a series, such as `{{verb}}`. */
export function formatLegend(format: string, labels: Readonly<Record<string, string>>): string {
  return format.replaceAll(/\{\{\s*(\w+)\s*\}\}/g, (_, label: string) => labels[label] ?? "");
}

/** Returns the largest value of a series; -Infinity when it has none. */
function findLargest({ points }: Series): number {
  return Math.max(...points.map(({ y }) => y).filter(Number.isFinite));
}
