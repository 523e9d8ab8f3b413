import assert from "node:assert/strict";
import { test } from "node:test";
import { countLines, createAnswerReader, findMissingKinds, NO_MESSAGE, sumLines } from "./observation.ts";

const ADMIN = { kind: "admin", code: 200, ms: 3 } as const;
const PROBE = { kind: "probe", code: 0, ms: 20_000 } as const;
const PROOF = { kind: "proof", code: 200, ms: 40 } as const;
const NODE = { kind: "node", code: 200, ms: 90 } as const;

test("createAnswerReader() returns each complete line once, even if it arrives in pieces", () => {
  let text = "";
  const reader = createAnswerReader(() => text);
  assert.deepEqual(reader.take(), []);
  text += `${JSON.stringify(ADMIN)}\n{"kind":`;
  assert.deepEqual(reader.take(), [ADMIN]);
  assert.deepEqual(reader.take(), []);
  text += `"probe","code":0,"ms":20000}\n${JSON.stringify(ADMIN)}\n`;
  assert.deepEqual(reader.take(), [PROBE, ADMIN]);
});

test("findMissingKinds() lists the kinds without an answer", () => {
  assert.deepEqual(findMissingKinds([]), ["admin", "probe", "node", "proof"]);
  assert.deepEqual(findMissingKinds([ADMIN, ADMIN]), ["probe", "node", "proof"]);
  assert.deepEqual(findMissingKinds([ADMIN, PROBE, NODE, PROOF]), []);
});

test("countLines() counts log lines by message, and other lines separately", () => {
  const line = (message: string) => `${JSON.stringify({ level: "INFO", message })}\n`;
  const lines = countLines(
    `${line("request refused")}not JSON\n\n${line("CSR approved")}${line("request refused")}{}\n`,
  );
  assert.deepEqual(lines, { "request refused": 2, "CSR approved": 1, [NO_MESSAGE]: 2 });
  assert.equal(sumLines(lines), 5);
});
