import assert from "node:assert/strict";
import { test } from "node:test";
import { countLines, NO_MESSAGE, sumLines } from "./log_lines.ts";

test("countLines() counts by message, and counts other lines apart", () => {
  const line = (message: string) => `${JSON.stringify({ level: "INFO", message })}\n`;
  const lines = countLines(
    `${line("request refused")}not JSON\n\n${line("CSR approved")}${line("request refused")}{}\n`,
  );
  assert.deepEqual(lines, { "request refused": 2, "CSR approved": 1, [NO_MESSAGE]: 2 });
  assert.equal(sumLines(lines), 5);
});
