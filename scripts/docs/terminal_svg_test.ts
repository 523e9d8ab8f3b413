import assert from "node:assert/strict";
import { test } from "node:test";
import { formatRecording } from "./terminal_svg.ts";

test("formatRecording() has every line at its time, shortened and escaped", () => {
  const svg = formatRecording("tlsboot demo", [
    { text: "1. A <step> & more", atMs: 250 },
    { text: `   $ ${"x".repeat(200)}`, atMs: 1500 },
  ]);
  assert.match(svg, /<text class="command" x="16" y="51">\$ tlsboot demo<\/text>/);
  assert.match(svg, /class="step"[^>]*style="animation-delay:0\.25s">1\. A &lt;step&gt; &amp; more</);
  assert.match(svg, /class="command"[^>]*delay:1\.50s"> {3}\$ x{112}…</);
});

test("formatRecording() shortens names in a table and keeps its columns in line", () => {
  const svg = formatRecording("tlsboot demo", [
    { text: `  NAME${" ".repeat(50)}AGE   SIGNERNAME${" ".repeat(40)}REQUESTOR   CONDITION`, atMs: 1 },
    { text: `  node-csr-${"x".repeat(42)}   0s    kubernetes.io/${"y".repeat(33)}   bootstrap   Pending`, atMs: 1 },
  ]);
  const [header = "", row = ""] = [...svg.matchAll(/>( {2}[^<]*)</g)].map(([, text = ""]) => text);
  assert.equal(header.indexOf("CONDITION"), row.indexOf("Pending"));
  assert.match(row, /^ {2}node-csr-x{11}… {3}0s {4}kubernetes\.io\/y{6}… {3}bootstrap {3}Pending$/);
});
