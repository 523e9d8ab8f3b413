import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import {
  type Dashboard,
  drawDashboard,
  findScale,
  formatLegend,
  type Panel,
  placeLegend,
  toBox,
  wrap,
} from "./panels_svg.ts";

const PANEL: Panel = {
  type: "timeseries",
  title: "Requests & <errors>",
  description: "By code.",
  gridPos: { x: 8, y: 4, w: 8, h: 7 },
  fieldConfig: { defaults: { unit: "s" } },
  targets: [],
};
const STAT: Panel = {
  ...PANEL,
  type: "stat",
  gridPos: { x: 0, y: 0, w: 4, h: 4 },
  fieldConfig: {
    defaults: { unit: "none", thresholds: { steps: [{ color: "green", value: null }, { color: "red", value: 1 }] } },
  },
};
const series = (...values: readonly number[]) => [{ name: "a<b", points: values.map((y, x) => ({ x, y })) }];

test("drawDashboard() has a place, a title and data for each panel of the real dashboard, and none overlap", async () => {
  const dashboard = JSON.parse(await readFile("packaging/mixin/tlsboot.dashboard.json", "utf8")) as Dashboard;
  const svg = drawDashboard(dashboard, dashboard.panels.map(() => series(1, 2, 3)), "a note");
  for (const { title } of dashboard.panels) {
    // A long title has several lines.
    for (const word of title.split(" ")) assert.match(svg, new RegExp(`>[^<]*\\b${word}\\b[^<]*</text>`));
  }
  const boxes = dashboard.panels.map(({ gridPos }) => toBox(gridPos));
  assert.equal(svg.match(/<rect /g)?.length, boxes.length);
  const [, width = 0, height = 0] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg)?.map(Number) ?? [];
  for (const [index, one] of boxes.entries()) {
    assert.ok(one.x > 0 && one.y > 0 && one.x + one.width < width && one.y + one.height < height);
    for (const other of boxes.slice(index + 1)) {
      const isBeside = one.x + one.width < other.x || other.x + other.width < one.x;
      assert.ok(isBeside || one.y + one.height < other.y || other.y + other.height < one.y);
    }
  }
  assert.doesNotMatch(svg, /NaN|Infinity|undefined/);
});

test("toBox() divides the width into 24 columns, with room between panels", () => {
  assert.deepEqual(toBox({ x: 8, y: 4, w: 8, h: 7 }), { x: 304, y: 162, width: 292, height: 216 });
});

test("drawDashboard() escapes titles and names, and names the unit by which values are divided", () => {
  const svg = drawDashboard({ title: "<t>", panels: [PANEL] }, [series(0.01, 0.02)], "a & b");
  assert.match(svg, /<title>&lt;t&gt;: a &amp; b<\/title>/);
  assert.match(svg, />Requests &amp; &lt;errors&gt;<\/text>/);
  assert.match(svg, />a&lt;b<\/text>/);
  assert.match(svg, />ms<\/text>/);
  assert.match(svg, />20<\/text>/);
});

test("drawDashboard() shows the last value of a number, in the colour of its threshold", () => {
  const draw = (...values: readonly number[]) =>
    drawDashboard({ title: "t", panels: [STAT] }, [series(...values)], "n");
  assert.match(draw(5, 0, NaN), /fill="#009e73">0<\/text>/);
  assert.match(draw(0, 1), /fill="#d1242f">1<\/text>/);
});

test("drawDashboard() refuses a panel without data, which a reader would take for an empty one", () => {
  for (const data of [[], series(), series(NaN)]) {
    assert.throws(
      () => drawDashboard({ title: "t", panels: [PANEL] }, [data], "n"),
      /"Requests & <errors>" has no data/,
    );
  }
});

test("placeLegend() fills three lines and counts the names that have no room", () => {
  assert.deepEqual(placeLegend(["a"], 200), { shown: [{ text: "a", x: 0, line: 0 }] });
  const names = Array.from({ length: 30 }, (_, index) => `resource-${index}`);
  const { shown, rest } = placeLegend(names, 276);
  assert.equal(rest?.text, `and ${names.length - shown.length} more`);
  assert.deepEqual([...new Set([...shown, rest].map((entry) => entry?.line))], [0, 1, 2]);
});

test("wrap() breaks between words only", () => {
  assert.deepEqual(wrap("CA and serving certificate", 15), ["CA and serving", "certificate"]);
  assert.deepEqual(wrap("credentials", 5), ["credentials"]);
});

test("findScale() takes the largest unit that is not above a value", () => {
  assert.deepEqual(findScale("s", 0.02), [0.001, "ms"]);
  assert.deepEqual(findScale("s", 3e7), [86_400, "days"]);
  assert.deepEqual(findScale("bytes", 0), [1, "B"]);
  assert.throws(() => findScale("furlongs", 1), /"furlongs" has no scale/);
});

test("formatLegend() fills in labels, and nothing for those that are missing", () => {
  assert.equal(
    formatLegend("{{waits_for}} {{ at_least }}{{x}}", { waits_for: "approval", at_least: "1h" }),
    "approval 1h",
  );
});
