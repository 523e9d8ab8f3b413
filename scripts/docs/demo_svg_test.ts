import assert from "node:assert/strict";
import { test } from "node:test";
import { formatRecording } from "./demo_svg.ts";

test("formatRecording() shows every line at its time, shortened and escaped", () => {
  const svg = formatRecording("tlsboot demo", [
    { text: "1. A <step> & more", atMs: 250 },
    { text: `   $ ${"x".repeat(200)}`, atMs: 1500 },
    { text: "A chapter", atMs: 1600 },
    { text: "   $ one \\", atMs: 1700 },
    { text: "     two", atMs: 1700 },
  ]);
  assert.match(svg, /<text class="command" x="16" y="51">\$ tlsboot demo<\/text>/);
  assert.match(svg, /class="step"[^>]*style="animation-delay:0\.25s">1\. A &lt;step&gt; &amp; more</);
  assert.match(svg, /class="command"[^>]*delay:1\.50s"> {3}\$ x{74}…</);
  assert.match(svg, /class="chapter"[^>]*>A chapter</);
  assert.match(svg, /class="command"[^>]*> {5}two</);
});
