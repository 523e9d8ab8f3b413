import assert from "node:assert/strict";
import { test } from "node:test";
import { createTally } from "./attack.ts";
import type { Observation } from "./observation.ts";
import { formatReport, replaceTable, type Report } from "./report.ts";

function seen(name: string, ms: number, peak: number, lines: number): Observation {
  return {
    attack: { name, unit: "frames", required: {} },
    tally: { ...createTally(), opened: 20, sent: 1_000 },
    seconds: 5,
    rss: { before: 150, peak, after: 160 },
    answers: [
      { kind: "admin", code: 200, ms },
      { kind: "probe", code: 0, ms },
      { kind: "node", code: 200, ms },
      { kind: "proof", code: 200, ms },
    ],
    log: { "request refused": lines },
    stored: { secrets: 1, refusals: 0 },
  };
}

const REPORT: Report = {
  machine: {
    date: "2026-01-02T03:04:05Z",
    cores: 2,
    processor: "a processor",
    memoryGib: 24,
    system: "Linux 6",
    versions: { tlsboot: "abc1234", Node: "v24", Deno: "v2", Kubernetes: "v1.37", etcd: "v3.6" },
    load: 0.1,
  },
  settings: "the sources, scale 1, 10 s each, seed 1",
  rounds: [
    [seen("no attack", 10, 170, 2), seen("a flood", 30, 200, 20)],
    [seen("no attack", 10, 180, 0), seen("a flood", 40, 210, 5)],
  ],
};

test("formatReport() has a row for each attack, with memory by round and response times over all rounds", () => {
  const [, , calm, flood, , machine, ...rest] = formatReport(REPORT).split("\n");
  const cells = (row = "") => row.split("|").slice(1, -1).map((cell) => cell.trim());
  assert.deepEqual(cells(calm).slice(0, 6), [
    ...["no attack", "20 opened, 1,000 frames", "150, 170, 160 MB", "180 MB", "10, 10, 10 ms", "1.0, 1.0"],
  ]);
  assert.deepEqual(cells(flood).slice(2), [
    ...["150, 200, 160 MB", "210 MB"],
    ...Array.from({ length: 4 }, () => ["40, 40, 40 ms", "4.0, 4.0"]).flat(),
    ...["2", "20"],
  ]);
  assert.equal(
    [machine, ...rest].join("\n"),
    "2026-01-02T03:04:05Z, 2 cores (a processor), 24 GiB, Linux 6, tlsboot abc1234, Node v24, Deno v2, load 0.1, the sources,\n" +
      "scale 1, 10 s each, seed 1\n",
  );
});

test("replaceTable() replaces the text between the marks, and nothing else", () => {
  const page = replaceTable(
    "# Title\n\n<!-- Written by `deno task overload --write`. Do not edit. -->\n\nold\n\n<!-- The end of what is written. -->\n\nMore.\n",
    "new\n",
  );
  assert.match(page, /^# Title\n\n<!-- Written.*-->\n\nnew\n\n<!-- The end.*-->\n\nMore\.\n$/);
  assert.equal(replaceTable(page, "new\n"), page);
  assert.throws(() => replaceTable("# Title\n", "new\n"), /lacks/);
});
