import { Buffer } from "node:buffer";
import assert from "node:assert/strict";
import { test } from "node:test";
import { createBlanker } from "./blank.ts";

const STARTED = new Date("2026-05-01T12:00:00Z");
const UID = "0b4e1c1e-7a39-4c0e-9d5a-2f8a7c3f1e55";
const OTHER_UID = "7f3f8a55-1c2d-4c0e-8d5a-2f8a7c3f1e00";

function blankerFor(literal = ""): (value: unknown) => unknown {
  const blanker = createBlanker({
    literal,
    port: 4242,
    startedAt: STARTED,
    now: () => new Date("2026-05-01T12:01:00Z"),
  });
  return (value) => blanker.blank(value);
}

test("blank() keeps equal uids equal and different ones different", () => {
  const blank = blankerFor();
  assert.deepEqual(blank({ a: UID, b: OTHER_UID, message: `uid ${UID} is gone` }), {
    a: "<uid 1>",
    b: "<uid 2>",
    message: "uid <uid 1> is gone",
  });
});

test("blank() keeps the literals of the corpus", () => {
  const blank = blankerFor(`json: {uid: "${UID}"}`);
  assert.deepEqual(blank({ uid: UID, other: OTHER_UID }), { uid: UID, other: "<uid 1>" });
});

test("blank() blanks only times within the run, and distinguishes seconds from fractions", () => {
  const blank = blankerFor();
  for (
    const [text, blanked] of [
      ["2026-05-01T12:00:30Z", "<time>"],
      ["2026-05-01T12:00:30.123456Z", "<time with 6 digits>"],
      ["2026-05-01T11:00:30Z", "2026-05-01T11:00:30Z"],
      ["2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z"],
      ["2026-05-01T12:00:30+02:00", "2026-05-01T12:00:30+02:00"],
      ["yesterday", "yesterday"],
    ] as const
  ) assert.equal(blank(text), blanked);
});

test("blank() numbers the revisions of objects, and treats those of lists and bookmarks as the store's", () => {
  const blank = blankerFor();
  const item = (version: string) => ({ metadata: { resourceVersion: version } });
  assert.deepEqual(blank({ metadata: { resourceVersion: "230" }, items: [item("212"), item("215"), item("212")] }), {
    metadata: { resourceVersion: "<rv of the store>" },
    items: [item("<rv 1>"), item("<rv 2>"), item("<rv 1>")],
  });
  assert.deepEqual(blank([{ form: "json", event: { type: "BOOKMARK", object: item("240") } }]), [
    { form: "json", event: { type: "BOOKMARK", object: item("<rv of the store>") } },
  ]);
  const table = (type: string, version: string, of: string) => ({
    type,
    object: { ...item(version), rows: [{ cells: [], object: item(of) }] },
  });
  assert.deepEqual(blank([table("BOOKMARK", "241", "241"), table("ADDED", "215", "215")]), [
    table("BOOKMARK", "<rv of the store>", "<rv of the store>"),
    table("ADDED", "<rv of the store>", "<rv 2>"),
  ]);
});

test("blank() keeps a resourceVersion that is not a revision", () => {
  const blank = blankerFor();
  for (const version of ["", "0", "01", "x", "-1", "1.5"]) {
    assert.deepEqual(blank({ metadata: { resourceVersion: version } }), { metadata: { resourceVersion: version } });
  }
});

test("blank() shows a continue token without its revision", () => {
  const token = (rv: number) =>
    Buffer.from(JSON.stringify({ v: "meta.k8s.io/v1", rv, start: "b\u0000" })).toString("base64url");
  const blank = blankerFor();
  const list = (token: unknown) => ({ metadata: { continue: token }, items: [] });
  assert.deepEqual(blank(list(token(231))), list({ v: "meta.k8s.io/v1", rv: "<rv>", start: "b\u0000" }));
  assert.deepEqual(blank(list(token(-1))), list({ v: "meta.k8s.io/v1", rv: -1, start: "b\u0000" }));
  assert.deepEqual(blank(list("no token")), list("no token"));
});

test("blank() does not mistake the end of a uid for a generated name", () => {
  const blanker = createBlanker({ literal: "", port: 1, startedAt: STARTED, now: () => STARTED });
  blanker.expectGenerated("b");
  const uid = "f206d846-eb4e-4089-847c-b35a60b94525";
  assert.deepEqual(blanker.blank({ name: "bxk2z7", uid }), { name: "b<generated 1>", uid: "<uid 1>" });
});

test("blank() blanks generated names everywhere once their base was sent", () => {
  const blanker = createBlanker({ literal: "", port: 1, startedAt: STARTED, now: () => STARTED });
  blanker.expectGenerated("web-");
  assert.deepEqual(blanker.blank({ name: "web-x7w2z", message: '"web-x7w2z" and "web-bcdfg", not "web-aaaaa"' }), {
    name: "web-<generated 1>",
    message: '"web-<generated 1>" and "web-<generated 2>", not "web-aaaaa"',
  });
});

test("blank() blanks descriptions and valid ages in Tables", () => {
  const blank = blankerFor();
  const table = (description: string, age: string) => ({
    columnDefinitions: [{ name: "Name", description }, { name: "Age", description: "how old" }],
    rows: [{ cells: ["5s", age] }],
  });
  assert.deepEqual(blank(table("what it is called", "5s")), {
    columnDefinitions: [{ name: "Name", description: "<description>" }, { name: "Age", description: "<description>" }],
    rows: [{ cells: ["5s", "<age>"] }],
  });
  assert.deepEqual((blank(table("", "<unknown>")) as { rows: unknown }).rows, [{ cells: ["5s", "<unknown>"] }]);
});

test("blank() blanks the address of the server, hashes and build information", () => {
  const blank = blankerFor();
  const hash = "A".repeat(128);
  assert.equal(blank("https://127.0.0.1:4242/x"), "https://<server>/x");
  assert.equal(blank("https://127.0.0.1:4243/x"), "https://127.0.0.1:4243/x");
  assert.deepEqual(blank([`"${hash}"`, `?hash=${"B".repeat(128)}`, hash]), [
    '"<hash 1>"',
    "?hash=<hash 2>",
    "<hash 1>",
  ]);
  assert.deepEqual(blank({ major: "1", minor: "37", gitVersion: "v1.37.2", platform: "linux/amd64" }), {
    major: "1",
    minor: "37",
    gitVersion: "<build>",
    platform: "<build>",
  });
  assert.deepEqual(blank({ platform: "linux/amd64" }), { platform: "linux/amd64" });
});

test("blank() blanks revisions in messages, unless the server cannot have reached them", () => {
  const blank = blankerFor();
  blank({ metadata: { resourceVersion: "300" } });
  assert.equal(blank("too old resource version: 12 (310)"), "too old resource version: <rv> (<rv>)");
  assert.equal(
    blank("Too large resource version: 999999, current: 305"),
    "Too large resource version: 999999, current: <rv>",
  );
});
