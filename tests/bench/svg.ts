/** Line plots as SVG: a few series over one axis, readable on light and dark backgrounds, without scripts or fonts. */

export interface Series {
  readonly name: string;
  readonly points: readonly Point[];
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Plot {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  /** On a logarithmic axis, the marks are the measured counts. */
  readonly xScale: "linear" | "logarithmic";
  readonly series: readonly Series[];
}

const WIDTH = 640;
const HEIGHT = 360;
const LEFT = 72;
const RIGHT = 24;
const TOP = 48;
const BOTTOM = 84;
/** Colours that readers with colour blindness can distinguish. The legend has the name of each line. */
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"] as const;
const GREY = "#808080";
const MARKS = 5;

/**
 * Draws a plot. The y axis starts at 0, so that the shape of a line is not exaggerated. Throws an Error if there are no
 * points.
 */
export function drawPlot(plot: Plot): string {
  const points = plot.series.flatMap((series) => series.points);
  if (points.length === 0) throw new Error(`nothing to draw in "${plot.title}"`);
  const toX = createXScale(plot, points);
  const top = niceCeiling(Math.max(...points.map(({ y }) => y)));
  const toY = (y: number): number => HEIGHT - BOTTOM - (y / top) * (HEIGHT - TOP - BOTTOM);
  const parts = [
    text(WIDTH / 2, 24, plot.title, `font-size="15" text-anchor="middle"`),
    ...yMarks(top, toY),
    ...xMarks(plot, points, toX),
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - BOTTOM + 40, plot.xLabel, `text-anchor="middle"`),
    text(16, (TOP + HEIGHT - BOTTOM) / 2, plot.yLabel, rotated(16, (TOP + HEIGHT - BOTTOM) / 2)),
    ...plot.series.flatMap((series, index) => drawSeries(series, index, plot.series.length, toX, toY)),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" ` +
    `font-family="sans-serif" font-size="12" fill="${GREY}">\n<title>${escapeXml(plot.title)}</title>\n` +
    `${parts.join("\n")}\n</svg>\n`;
}

/** Returns the smallest number not below `value` that is 1, 2, 2.5 or 5 times a power of ten. */
export function niceCeiling(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= value * (1 - 1e-9)) ?? 10;
  return step * power;
}

/** Returns the multiples of a round number within a range, including its ends. */
export function roundMarks(least: number, most: number): readonly number[] {
  const step = niceCeiling((most - least) / MARKS);
  const first = Math.ceil(least / step);
  return Array.from({ length: Math.floor(most / step) - first + 1 }, (_, index) => (first + index) * step);
}

function createXScale({ xScale }: Plot, points: readonly Point[]): (x: number) => number {
  const place = xScale === "logarithmic" ? Math.log10 : (x: number): number => x;
  const places = points.map(({ x }) => place(x));
  const [least, most] = [Math.min(...places), Math.max(...places)];
  const width = most - least || 1;
  return (x) => LEFT + ((place(x) - least) / width) * (WIDTH - LEFT - RIGHT);
}

function yMarks(top: number, toY: (y: number) => number): readonly string[] {
  return Array.from({ length: MARKS + 1 }, (_, index) => (top * index) / MARKS).flatMap((value) => [
    `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at(toY(value))}" y2="${at(toY(value))}" ` +
    `stroke="${GREY}" stroke-opacity="0.3"/>`,
    text(LEFT - 8, toY(value) + 4, formatMark(value), `text-anchor="end"`),
  ]);
}

function xMarks({ xScale }: Plot, points: readonly Point[], toX: (x: number) => number): readonly string[] {
  const measured = [...new Set(points.map(({ x }) => x))].sort((one, other) => one - other);
  const marks = xScale === "logarithmic" ? measured : roundMarks(measured[0] ?? 0, measured.at(-1) ?? 0);
  return marks.map((x) => text(toX(x), HEIGHT - BOTTOM + 20, formatMark(x), `text-anchor="middle"`));
}

function drawSeries(
  { name, points }: Series,
  index: number,
  count: number,
  toX: (x: number) => number,
  toY: (y: number) => number,
): readonly string[] {
  const colour = COLOURS[index % COLOURS.length] ?? GREY;
  const line = points.map(({ x, y }) => `${at(toX(x))},${at(toY(y))}`).join(" ");
  const legend = LEFT + (index * (WIDTH - LEFT - RIGHT)) / count;
  // Dots would hide a line of a thousand samples.
  const dots = points.length > 20
    ? []
    : points.map(({ x, y }) => `<circle cx="${at(toX(x))}" cy="${at(toY(y))}" r="3.5" fill="${colour}"/>`);
  return [
    `<polyline points="${line}" fill="none" stroke="${colour}" stroke-width="2"/>`,
    ...dots,
    `<line x1="${at(legend)}" x2="${at(legend + 20)}" y1="${HEIGHT - 20}" y2="${HEIGHT - 20}" ` +
    `stroke="${colour}" stroke-width="3"/>`,
    text(legend + 26, HEIGHT - 16, name, ""),
  ];
}

function text(x: number, y: number, content: string, attributes: string): string {
  return `<text x="${at(x)}" y="${at(y)}"${attributes === "" ? "" : ` ${attributes}`}>${escapeXml(content)}</text>`;
}

function rotated(x: number, y: number): string {
  return `text-anchor="middle" transform="rotate(-90 ${at(x)} ${at(y)})"`;
}

function at(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function formatMark(value: number): string {
  return Number(value.toPrecision(3)).toLocaleString("en-US", { maximumFractionDigits: 6 });
}

function escapeXml(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
