import assert from "node:assert/strict";
import { test } from "node:test";
import { createMemoryFiles } from "../tests/support/memory_files.ts";
import { assertKnownFormat, DATA_FORMAT, ensureFormat } from "./data_dir.ts";

const ROOT = "/data";
const PATH = "/data/format";

for (const text of [`${DATA_FORMAT}\n`, `${DATA_FORMAT}`, " 1\r\n"]) {
  test(`ensureFormat() opens a folder of format ${JSON.stringify(text)} and keeps its number`, async () => {
    const files = createMemoryFiles({ [PATH]: text });
    await ensureFormat(ROOT, files);
    assert.equal(files.text(PATH), text);
    assert.deepEqual(files.calls, []);
  });
}

test("ensureFormat() writes the number into a folder that is older than the number", async () => {
  const files = createMemoryFiles();
  await assertKnownFormat(ROOT, files);
  assert.deepEqual(files.calls, []);
  await ensureFormat(ROOT, files);
  assert.equal(files.text(PATH), "1\n");
  assert.equal(files.mode(PATH), 0o644);
});

test("ensureFormat() creates no folder in place of one that an interrupted restore has moved aside", async () => {
  const files = createMemoryFiles({ "/data.restoring/format": "1\n" });
  await assert.rejects(ensureFormat(ROOT, files), { code: "invalid", hint: /run tlsboot restore again/ });
  assert.deepEqual(files.calls, []);
});

for (
  const { text, message, hint } of [
    {
      text: "2\n",
      message: 'cannot use data directory "/data": it has format 2, but this program knows only 1',
      hint: /the newer tlsboot that wrote it/,
    },
    { text: "100000000000000000000", message: /it has format 100000000000000000000,/, hint: /newer/ },
    { text: "", message: /its file "format" has no number/, hint: /write 1 into it/ },
    { text: "v1", message: /has no number/, hint: /write 1/ },
    { text: "0", message: /has no number/, hint: /write 1/ },
    { text: "-1", message: /has no number/, hint: /write 1/ },
  ]
) {
  test(`assertKnownFormat() refuses a folder of format ${JSON.stringify(text)} and changes nothing`, async () => {
    const files = createMemoryFiles({ [PATH]: text });
    for (const open of [assertKnownFormat, ensureFormat]) {
      await assert.rejects(open(ROOT, files), { code: "format_unknown", message, hint });
    }
    assert.deepEqual(files.calls, []);
  });
}
