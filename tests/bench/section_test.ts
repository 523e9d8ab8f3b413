import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { createTempFolder } from "../support/temp.ts";
import { type Command, formatSection, type Section, writeSection } from "./section.ts";

test("writeSection() adds a section to those of other commands, in the order of the page", async () => {
  await using folder = await createTempFolder();
  await writeSection(folder.path, formatTestSection("growth", "0.5 ms"));
  await writeSection(folder.path, formatTestSection("table", "old"));
  await writeSection(folder.path, formatTestSection("table", "1.5 s"));
  const page = await readFile(folder.join("docs", "engineering", "benchmarks.md"), "utf8");
  assert.ok(page.indexOf("## The table") < page.indexOf("## The growth"));
  assert.match(page, /\| storm \| 1\.5 s \|/);
  assert.match(page, /\| storm \| 0\.5 ms \|/);
  assert.doesNotMatch(page, /old/);
  assert.match(page, /!\[A plot\]\(bench\/growth_plot\.svg\)/);
  assert.match(page, /2 cores \(a processor\)/);
  assert.equal(await readFile(folder.join("docs", "engineering", "bench", "growth_plot.svg"), "utf8"), "<svg/>");
  const kept = JSON.parse(await readFile(folder.join("docs", "engineering", "bench", "growth.json"), "utf8"));
  assert.deepEqual(kept.data, { cost: 1 });
  assert.equal(JSON.stringify(kept).includes("<svg"), false);
});

test("formatSection() prints the table, the settings and the machine", () => {
  assert.equal(
    formatSection(formatTestSection("steady", "1 %")),
    "\n| what  | ours |\n| ----- | ---- |\n| storm | 1 %  |\n\nof one round\n" +
      "2026-01-02T03:04:05Z, 2 cores (a processor), 24 GiB, Linux 6, Node v24, load 0.1\n",
  );
});

function formatTestSection(command: Command, ours: string): Section {
  return {
    command,
    title: `The ${command}`,
    machine: {
      date: "2026-01-02T03:04:05Z",
      cores: 2,
      processor: "a processor",
      memoryGib: 24,
      system: "Linux 6",
      versions: { Node: "v24" },
      load: 0.1,
    },
    settings: "of one round",
    head: ["what", "ours"],
    rows: [["storm", ours]],
    pictures: [{ name: `${command}_plot`, title: "A plot", svg: "<svg/>" }],
    data: { cost: 1 },
  };
}
