/** The table that a person reads, and the machine that it is true of. */
import { execFileSync } from "node:child_process";
import { cpus, loadavg, release, totalmem, type } from "node:os";
import process from "node:process";
import { type Line, medianOf } from "./measure.ts";

/** Lines as a Markdown table. */
export function formatTable(lines: readonly Line[]): string {
  const head = ["what", "ours", "peer", "", "ours/peer", "aim"];
  const rows = lines.map((line) => [
    line.what,
    formatSeconds(line.ours),
    formatSeconds(line.theirs),
    line.peer,
    `${(medianOf(line.ours) / medianOf(line.theirs)).toFixed(2)} ×`,
    line.aim,
  ]);
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const format = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |\n`;
  const rule = `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|\n`;
  return format(head) + rule + rows.map(format).join("");
}

/** What the numbers depend on. `node` is the Node that ours ran on. */
export function formatMachine(node: string, kubernetes: string): string {
  const [cpu] = cpus();
  const facts = [
    `${cpus().length} cores (${cpu?.model ?? "unknown"})`,
    `${Math.round(totalmem() / 2 ** 30)} GiB`,
    `${type()} ${release()}`,
    `Node ${execFileSync(node, ["--version"], { encoding: "utf8" }).trim()}`,
    `Deno v${process.versions["deno"] ?? "none"}`,
    kubernetes,
    `load ${loadavg()[0]?.toFixed(1)}`,
  ];
  return `${facts.join(", ")}\n`;
}

/** Median, and the spread that says how far to believe it. */
function formatSeconds(sorted: readonly number[]): string {
  const spread = [sorted[0], sorted.at(-1)].map((value) => (value ?? 0).toFixed(2)).join("–");
  return `${medianOf(sorted).toFixed(2)} s (${spread})`;
}
