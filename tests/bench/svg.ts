/** Line plots as SVG: a few series over one axis, readable on light and dark ground, without a script or a font. */

export interface Series {
  readonly name: string;
  readonly points: readonly Point[];
}

export interface Point {
  readonly x: number;
  /** NaN where nothing was measured, which interrupts the line. */
  readonly y: number;
}

/** Lines over one axis, without a title. */
export interface Chart {
  /** Logarithmic when counts grow by factors; the marks are then the measured counts. */
  readonly xScale: "linear" | "logarithmic";
  readonly series: readonly Series[];
}

export interface Plot extends Chart {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
}

/** The edges of the area in which lines are drawn; the marks are to the left of it and below. */
export interface Frame {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

const WIDTH = 640;
const HEIGHT = 360;
const FRAME: Frame = { left: 72, right: WIDTH - 24, top: 48, bottom: HEIGHT - 84 };
/** Colours that readers with colour blindness can distinguish; each line also has its name beside its mark. */
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"] as const;
/** The patterns of lines: each is used with all colours before the next one. */
const DASHES = ["", ` stroke-dasharray="6 3"`, ` stroke-dasharray="2 3"`] as const;
const GREY = "#808080";
const MARKS = 5;
const MARK_FORMAT = new Intl.NumberFormat("en-US", { maximumFractionDigits: 6 });
/** The longest line on which each measurement has a dot; dots would hide a line of a thousand samples. */
const MAX_DOTS = 20;

/** Draws one. The y axis starts at 0, so that a line that bends is seen to bend. Throws when there is nothing to draw. */
export function drawPlot(plot: Plot): string {
  const { left, right, top, bottom } = FRAME;
  const middle = (top + bottom) / 2;
  return drawPage({ width: WIDTH, height: HEIGHT, fontSize: 12, title: plot.title }, [
    drawText(WIDTH / 2, 24, plot.title, `font-size="15" text-anchor="middle"`),
    ...drawChart(plot, FRAME),
    drawText((left + right) / 2, bottom + 40, plot.xLabel, `text-anchor="middle"`),
    drawText(16, middle, plot.yLabel, `text-anchor="middle" transform="rotate(-90 16 ${at(middle)})"`),
    ...plot.series.flatMap(({ name }, index) =>
      drawLegendEntry(left + (index * (right - left)) / plot.series.length, HEIGHT - 16, name, index)
    ),
  ]);
}

/** Draws a whole picture; its title is for readers who do not see it. */
export function drawPage(
  { width, height, fontSize, title }: Readonly<Record<"width" | "height" | "fontSize", number>> & { title: string },
  parts: readonly string[],
): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" ` +
    `font-family="sans-serif" font-size="${fontSize}" fill="${GREY}">\n<title>${escapeXml(title)}</title>\n` +
    `${parts.join("\n")}\n</svg>\n`;
}

/** Draws marks and lines. Throws when there is nothing to draw. */
export function drawChart(chart: Chart, frame: Frame): readonly string[] {
  const points = chart.series.flatMap((series) => series.points);
  const heights = points.map(({ y }) => y).filter(Number.isFinite);
  if (heights.length === 0) throw new Error(`nothing to draw: ${chart.series.map(({ name }) => name).join(", ")}`);
  const toX = createXScale(chart, points, frame);
  const top = niceCeiling(Math.max(...heights));
  const toY = (y: number): number => frame.bottom - (y / top) * (frame.bottom - frame.top);
  return [
    ...yMarks(top, toY, frame),
    ...xMarks(chart, points, toX, frame),
    ...chart.series.flatMap((series, index) => drawSeries(series, index, toX, toY)),
  ];
}

/** Draws a piece of the line of a series, and its name. */
export function drawLegendEntry(x: number, y: number, name: string, index: number): readonly string[] {
  return [
    `<line x1="${at(x)}" x2="${at(x + 20)}" y1="${at(y - 4)}" y2="${at(y - 4)}" ${getStroke(index)} stroke-width="3"/>`,
    drawText(x + 26, y, name, ""),
  ];
}

/** The smallest of 1, 2, 2.5, 5 and 10 times a power of ten that is not below a number. */
export function niceCeiling(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= value * (1 - 1e-9)) ?? 10;
  return step * power;
}

/** Multiples of a round number in a range, its ends included. */
export function roundMarks(least: number, most: number): readonly number[] {
  const step = niceCeiling((most - least) / MARKS);
  const first = Math.ceil(least / step);
  return Array.from({ length: Math.floor(most / step) - first + 1 }, (_, index) => (first + index) * step);
}

function createXScale({ xScale }: Chart, points: readonly Point[], { left, right }: Frame): (x: number) => number {
  const place = xScale === "logarithmic" ? Math.log10 : (x: number): number => x;
  const places = points.map(({ x }) => place(x));
  const [least, most] = [Math.min(...places), Math.max(...places)];
  const width = most - least || 1;
  return (x) => left + ((place(x) - least) / width) * (right - left);
}

function yMarks(top: number, toY: (y: number) => number, { left, right }: Frame): readonly string[] {
  return Array.from({ length: MARKS + 1 }, (_, index) => (top * index) / MARKS).flatMap((value) => [
    `<line x1="${at(left)}" x2="${at(right)}" y1="${at(toY(value))}" y2="${at(toY(value))}" ` +
    `stroke="${GREY}" stroke-opacity="0.3"/>`,
    drawText(left - 8, toY(value) + 4, formatMark(value), `text-anchor="end"`),
  ]);
}

function xMarks(
  { xScale }: Chart,
  points: readonly Point[],
  toX: (x: number) => number,
  { bottom }: Frame,
): readonly string[] {
  const measured = [...new Set(points.map(({ x }) => x))].sort((one, other) => one - other);
  const marks = xScale === "logarithmic" ? measured : roundMarks(measured[0] ?? 0, measured.at(-1) ?? 0);
  return marks.map((x) => drawText(toX(x), bottom + 20, formatMark(x), `text-anchor="middle"`));
}

function drawSeries(
  { points }: Series,
  index: number,
  toX: (x: number) => number,
  toY: (y: number) => number,
): readonly string[] {
  const runs = splitAtGaps(points);
  const dots = points.length > MAX_DOTS ? runs.filter((run) => run.length === 1) : runs;
  return [
    ...runs.map((run) =>
      `<polyline points="${run.map(({ x, y }) => `${at(toX(x))},${at(toY(y))}`).join(" ")}" fill="none" ` +
      `${getStroke(index)} stroke-width="2"/>`
    ),
    ...dots.flat().map(({ x, y }) =>
      `<circle cx="${at(toX(x))}" cy="${at(toY(y))}" r="3.5" fill="${getColour(index)}"/>`
    ),
  ];
}

/** Returns the stretches of a line in which each point was measured. */
function splitAtGaps(points: readonly Point[]): readonly (readonly Point[])[] {
  const runs: Point[][] = [[]];
  for (const point of points) {
    if (Number.isFinite(point.y)) runs.at(-1)?.push(point);
    else runs.push([]);
  }
  return runs.filter((run) => run.length > 0);
}

function getColour(index: number): string {
  return COLOURS[index % COLOURS.length] ?? GREY;
}

function getStroke(index: number): string {
  return `stroke="${getColour(index)}"${DASHES[Math.floor(index / COLOURS.length) % DASHES.length]}`;
}

/** Draws a line of text, escaped; the attributes are as they stand in the file. */
export function drawText(x: number, y: number, content: string, attributes: string): string {
  return `<text x="${at(x)}" y="${at(y)}"${attributes === "" ? "" : ` ${attributes}`}>${escapeXml(content)}</text>`;
}

function at(value: number): string {
  return String(Math.round(value * 10) / 10);
}

/** Formats a number with three digits that count. */
export function formatMark(value: number): string {
  return MARK_FORMAT.format(Number(value.toPrecision(3)));
}

function escapeXml(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
