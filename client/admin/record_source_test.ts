import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { AppError } from "../../core/errors.ts";
import { createRecords, formatIssuedLog } from "../../tests/support/issued_records.ts";
import { createTempFolder } from "../../tests/support/temp.ts";
import { createLogSource, findReferences, parseRecordReference, readIssuedLog } from "./record_source.ts";

const quiet = new AbortController().signal;

for (
  const { text, want } of [
    { text: "17", want: { kind: "name", name: "0000000017" } },
    { text: "0000000017", want: { kind: "name", name: "0000000017" } },
    { text: "issuedcertificate.tlsboot/0000000017", want: { kind: "name", name: "0000000017" } },
    { text: "123456", want: { kind: "digits", digits: "123456" } },
    { text: "0A:1B:2C", want: { kind: "digits", digits: "0a1b2c" } },
    { text: "0x0a1b2c", want: { kind: "digits", digits: "0a1b2c" } },
    { text: "serial=0A1B2C", want: { kind: "digits", digits: "0a1b2c" } },
    { text: "sha256:0A1B2C", want: { kind: "digits", digits: "0a1b2c" } },
  ]
) {
  test(`parseRecordReference() reads ${text}`, () => assert.deepEqual(parseRecordReference(text), want));
}

for (const text of ["", "0a1b", "n1", "node/n1", "0a1b2g"]) {
  test(`parseRecordReference() refuses "${text}"`, () => {
    assert.throws(() => parseRecordReference(text), {
      code: "usage",
      message: /cannot use ".*" to find a certificate/,
    });
  });
}

test("findReferences() finds a certificate by its serial number, a prefix, its fingerprint or its record, or lists the candidates", async () => {
  await using folder = await createTempFolder();
  const path = folder.join("issued.log");
  const serials = ["abcdef0000", "abcdef0011", "00ff001122", "abcdef001122"];
  await writeFile(path, formatIssuedLog(createRecords(serials.map((serialNumber) => ({ serialNumber })))));
  const find = async (text: string): Promise<string> => {
    const [found] = await findReferences(createLogSource(path), [text], quiet);
    return found instanceof AppError ? `${found.code}: ${found.message}` : found?.metadata.name ?? "nothing";
  };
  assert.equal(await find("abcdef0000"), "0000000001");
  assert.equal(await find("ABCDEF0000"), "0000000001");
  assert.equal(await find("abcdef0011"), "0000000002", "a whole serial number before one that begins with it");
  assert.equal(await find("ff001122"), "0000000003", "without the leading zeros");
  assert.equal(await find(`ffff${"3".padStart(60, "0")}`), "0000000003", "by its fingerprint");
  assert.equal(await find("4"), "0000000004");
  assert.match(await find("5"), /^not_found: cannot find certificate "5"/);
  assert.match(await find("dddddd"), /^not_found: cannot find certificate "dddddd"/);
  assert.match(
    await find("abcdef00"),
    /^invalid: .*: 3 certificates begin with these digits\nabcdef0000 .*\n.*\nabcdef001122 /,
  );
});

for (
  const { name, line, want } of [
    { name: "is not JSON", line: '{"spec":', want: /line 2 of issued log "\S+": it is not JSON/ },
    { name: "is empty", line: "", want: /line 2 of issued log "\S+": it is empty/ },
    { name: "has no spec", line: "{}", want: /line 2 of issued log "\S+": it is not a record/ },
    { name: "has a position that is not a number", line: '{"spec":{"sequence":"2"}}', want: /it is not a record/ },
  ]
) {
  test(`readIssuedLog() yields the lines before one that ${name}, and reports its number`, async () => {
    await using folder = await createTempFolder();
    const path = folder.join("issued.log");
    await writeFile(path, `${formatIssuedLog(createRecords([{}]))}${line}\n${formatIssuedLog(createRecords([{}]))}`);
    const read: number[] = [];
    await assert.rejects(async () => {
      for await (const { line } of readIssuedLog(path, quiet)) read.push(line);
    }, { code: "invalid", message: want });
    assert.deepEqual(read, [1]);
  });
}

test("readIssuedLog() reports a file that does not exist", async () => {
  await assert.rejects(readIssuedLog("/nowhere/issued.log", quiet).next(), {
    code: "io",
    message: 'cannot read issued log "/nowhere/issued.log": no such file',
  });
});
