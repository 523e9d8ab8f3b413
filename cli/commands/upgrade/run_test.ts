import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import process from "node:process";
import { test } from "node:test";
import { findRaisedFormats, findReleasedFile, isForSameProcessor, parseFacts } from "./run.ts";

const HASH = "a".repeat(64);

function find(name: string, files: readonly string[], installed: string): string {
  const release = { name, keyId: "K", hashes: new Map(files.map((file) => [file, HASH])) };
  const found = findReleasedFile(release, { platform: "linux-x64", installed });
  return found.ok ? found.value.name : found.error;
}

for (
  const [what, name, files, installed, want] of [
    ["a newer release", "tlsboot 1.10.0", ["tlsboot-1.10.0-linux-x64"], "1.9.3", "tlsboot-1.10.0-linux-x64"],
    ["another build", "tlsboot 1.0.0", ["tlsboot-1.0.0-linux-x64"], "1.0.0", "tlsboot-1.0.0-linux-x64"],
    ["a candidate", "tlsboot 2.0.0-rc.1", ["tlsboot-2.0.0-rc.1-linux-x64"], "1.0.0", "tlsboot-2.0.0-rc.1-linux-x64"],
    [
      "an older release",
      "tlsboot 1.9.0",
      ["tlsboot-1.9.0-linux-x64"],
      "1.10.0",
      "tlsboot 1.9.0 is older than this file, which is 1.10.0",
    ],
    [
      "other platforms",
      "tlsboot 1.0.0",
      ["tlsboot-1.0.0-linux-arm64", "tlsboot-1.0.0-image-linux-x64.tar", "verify.sh"],
      "1.0.0",
      "tlsboot 1.0.0 has no file for linux-x64, only tlsboot-1.0.0-linux-arm64",
    ],
    [
      "a file of another version",
      "tlsboot 1.0.0",
      ["tlsboot-0.9.0-linux-x64"],
      "0.9.0",
      "tlsboot 1.0.0 has no file for linux-x64",
    ],
    [
      "a signature for other software",
      "timestamp:1",
      [],
      "1.0.0",
      'the signature is for "timestamp:1", which is not a release of tlsboot',
    ],
  ] as const
) {
  test(`findReleasedFile() handles ${what}`, () => assert.equal(find(name, files, installed), want));
}

test("findRaisedFormats() names the data that the installed file could not read", () => {
  const installed = { dataDir: 1, database: 2 };
  const raised = (text: string) => findRaisedFormats(installed, parseFacts(text)!);
  assert.deepEqual(raised('{"version":"1.0.0","formats":{"dataDir":1,"database":1}}'), []);
  assert.deepEqual(raised('{"version":"1.0.0","formats":{"dataDir":2,"database":2,"seals":1}}'), [
    "dataDir from 1 to 2",
    "seals from 0 to 1",
  ]);
});

test("parseFacts() returns nothing for the output of another program", () => {
  for (const text of ["", "v1", "[]", "{}", '{"version":"1.0.0"}', '{"version":1,"formats":{}}']) {
    assert.equal(parseFacts(text), undefined, text);
  }
});

test("isForSameProcessor() compares the headers of programs", () => {
  const own = readFileSync(process.execPath).subarray(0, 64);
  const other = Uint8Array.from(own);
  other[18] = own[18]! ^ 1;
  assert.ok(isForSameProcessor(own, own));
  for (
    const file of [other, own.subarray(0, 19), new Uint8Array(0), new TextEncoder().encode("#!/bin/sh\nexit 1\n\n\n\n")]
  ) {
    assert.ok(!isForSameProcessor(file, own));
  }
});
