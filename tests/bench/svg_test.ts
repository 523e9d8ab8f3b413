import assert from "node:assert/strict";
import { test } from "node:test";
import { drawPlot, niceCeiling, type Plot, roundMarks } from "./svg.ts";

const PLOT: Plot = {
  title: "Time & <memory>",
  xLabel: "nodes",
  yLabel: "ms",
  xScale: "logarithmic",
  series: [
    { name: "ours", points: [{ x: 100, y: 1 }, { x: 1000, y: 1 }, { x: 10_000, y: 2 }] },
    { name: "theirs", points: [{ x: 100, y: 4 }, { x: 1000, y: 4 }, { x: 10_000, y: 4 }] },
  ],
};

test("drawPlot() places points by the logarithm of x and by y from zero", () => {
  const [ours, theirs] = parseLines(drawPlot(PLOT));
  assert.deepEqual(ours?.map(([x]) => x), [72, 344, 616]);
  const heights = ours?.map(([, y]) => y) ?? [];
  const floor = 276;
  assert.equal(heights[0], heights[1]);
  assert.ok(Math.abs((floor - (heights[2] ?? 0)) / (floor - (heights[0] ?? 0)) - 2) < 0.01);
  assert.equal(new Set(theirs?.map(([, y]) => y)).size, 1);
});

test("drawPlot() places points by x itself if the scale is linear", () => {
  const [ours] = parseLines(drawPlot({ ...PLOT, xScale: "linear" }));
  const [first, second, last] = ours?.map(([x]) => x) ?? [];
  assert.equal(first, 72);
  assert.equal(last, 616);
  assert.ok(second !== undefined && second < 130);
});

test("drawPlot() escapes text and closes its elements", () => {
  const svg = drawPlot(PLOT);
  assert.match(svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" [^>]*>\n<title>Time &amp; &lt;memory&gt;<\/title>/);
  assert.equal(svg.match(/<text/g)?.length, svg.match(/<\/text>/g)?.length);
  assert.ok(svg.endsWith("</svg>\n"));
  assert.doesNotMatch(svg, /NaN|Infinity|undefined/);
});

test("drawPlot() draws one point, equal points and zeros, and rejects an empty plot", () => {
  for (const points of [[{ x: 5, y: 0 }], [{ x: 5, y: 3 }, { x: 5, y: 3 }]]) {
    for (const xScale of ["linear", "logarithmic"] as const) {
      assert.doesNotMatch(drawPlot({ ...PLOT, xScale, series: [{ name: "ours", points }] }), /NaN|Infinity/);
    }
  }
  assert.throws(() => drawPlot({ ...PLOT, series: [] }), /nothing to draw/);
});

test("niceCeiling() returns the next round number", () => {
  const cases = [[0, 1], [1, 1], [1.1, 2], [2.3, 2.5], [3, 5], [7, 10], [0.03, 0.05], [2500, 2500]] as const;
  for (const [value, ceiling] of cases) assert.ok(Math.abs(niceCeiling(value) - ceiling) < 1e-9, `${value}`);
});

test("roundMarks() returns multiples of a round number within the range", () => {
  assert.deepEqual(roundMarks(0.02, 10.1), [2.5, 5, 7.5, 10]);
  assert.deepEqual(roundMarks(0, 100), [0, 20, 40, 60, 80, 100]);
  assert.deepEqual(roundMarks(5, 5), [5]);
});

function parseLines(svg: string): readonly (readonly (readonly [number, number])[])[] {
  return [...svg.matchAll(/<polyline points="([^"]*)"/g)].map((match) =>
    (match[1] ?? "").split(" ").map((pair) => pair.split(",").map(Number) as [number, number])
  );
}
