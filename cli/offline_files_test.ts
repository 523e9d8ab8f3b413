import assert from "node:assert/strict";
import { test } from "node:test";
import { readBarcodesFromSvgPages } from "../tests/support/qr_scanner.ts";
import { renderQrDocument } from "./offline_files.ts";

const texts = Array.from(
  { length: 8 },
  (_, at) => `TLSB1${String(at).padStart(4, "0")}${"ABCDEFG234567XYZ".repeat(50)}`,
);
const document = renderQrDocument({
  title: `Requests of <https://10.0.0.1:6443>`,
  facts: [["Exported", "2026-11-28T08:00:00Z"], ["Requests", 'n1, "n2" & n3']],
  advice: "Scan every code with tlsboot sign; the order does not matter.",
  texts,
});

test("renderQrDocument() prints codes that ZXing reads, in their order", async () => {
  assert.deepEqual(await readBarcodesFromSvgPages(document), texts);
});

test("renderQrDocument() numbers its codes and pages, and has no external resources", async () => {
  assert.deepEqual(
    [...document.matchAll(/<figcaption>(.*?)<\/figcaption>/g)].map(([, caption]) => caption),
    texts.map((_, at) => `${at + 1} of 8`),
  );
  assert.equal(document.match(/<section>/g)?.length, 2);
  assert.match(document, /<h1>Requests of &lt;https:\/\/10\.0\.0\.1:6443&gt;, page 2 of 2<\/h1>/);
  assert.doesNotMatch(document, /<script|<img|<link|url\(|src=|href=/);
});
