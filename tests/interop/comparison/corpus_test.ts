import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCorpusFile } from "./corpus.ts";
import { findHoles, listExpectedCells } from "./grid.ts";
import { fillText, fillValue } from "./variables.ts";

test("fillText() fills variables, repetitions and base64, and keeps escaped text", () => {
  const variables = { uid: "u1", object: {}, "csr:web": "LS0t" };
  for (
    const [text, filled] of [
      ["a ${uid} b", "a u1 b"],
      ["${csr:web}", "LS0t"],
      ["${repeat:3:ab}", "ababab"],
      ["${b64:hi}", "aGk="],
      ["$${uid}", "${uid}"],
    ] as const
  ) assert.equal(fillText(text, variables), filled);
  assert.throws(() => fillText("${absent}", variables), /\$\{absent\} is not known; known are csr:web, object, uid/);
  assert.throws(() => fillText("a ${object}", variables), /is not a text/);
});

test("fillValue() inserts whole values, and fills their content", () => {
  const variables = { object: { metadata: { name: "${name}" } }, name: "x", limit: 5 };
  assert.deepEqual(fillValue({ a: "${object}", b: ["${limit}", "n=${limit}"] }, variables), {
    a: { metadata: { name: "x" } },
    b: [5, "n=5"],
  });
  assert.deepEqual(fillValue({ a: 1, "<<": "${object}", b: 2 }, variables), { a: 1, metadata: { name: "x" }, b: 2 });
});

test("parseCorpusFile() inserts a shared list where it is used, with the variables of the file", () => {
  const text = `title: t\nvariables: {path: /c}\nexchanges: [{name: a, send: GET /}, {use: list}]\n`;
  const file = parseCorpusFile("f", text, 'list: [{name: b, send: "GET \${path}"}]\n');
  assert.deepEqual(file.exchanges.map(({ id }) => id), ["f: a", "f: b"]);
  assert.deepEqual(file.exchanges.map(({ variables }) => variables["path"]), ["/c", "/c"]);
  assert.throws(() => parseCorpusFile("f", text), /f: the shared list list: must be a list/);
});

test("parseCorpusFile() replays a list once for each resource", () => {
  const file = parseCorpusFile(
    "every",
    `
title: t
resources: [{name: configmaps, path: /c}, {name: secrets, path: /s, project: rules}]
exchanges: [{name: list, send: "GET \${path}"}]
`,
  );
  assert.deepEqual(file.exchanges.map(({ id }) => id), ["every/configmaps: list", "every/secrets: list"]);
  assert.deepEqual(file.exchanges.map(({ variables }) => variables["path"]), ["/c", "/s"]);
  assert.deepEqual(file.exchanges.map(({ project }) => project), [undefined, "rules"]);
});

test("parseCorpusFile() refuses unknown entries", () => {
  const parseOne = (exchange: string) => () => parseCorpusFile("f", `title: t\nexchanges:\n  - ${exchange}\n`);
  assert.throws(parseOne("{name: a, send: GET /, body: x}"), /f: a: unknown key body; known are name, as/);
  assert.throws(parseOne("{name: a, send: GET /, as: bob}"), /f: a: unknown identity bob/);
  assert.throws(parseOne("{name: a, send: POST /, json: {}, yaml: x}"), /f: a: has two bodies/);
  assert.throws(parseOne("{name: a, send: GET /}\n  - {name: a, send: GET /}"), /f: a: two exchanges have this name/);
  assert.throws(parseOne("{name: a, send: GET /, until: soon}"), /f: a: until is the number of a status/);
  assert.throws(parseOne("{name: a}"), /f: a: send: must be text/);
});

test("findHoles() returns empty cells and unused entries", () => {
  const served = [{ name: "selfsubjectreviews.authentication.k8s.io", verbs: ["create"] }];
  const cells = listExpectedCells(served[0]!);
  assert.ok(cells.includes("verb create") && !cells.includes("verb get") && !cells.includes("response Table"));
  const grid = new Map([[served[0]!.name, new Map(cells.slice(1).map((cell) => [cell, 1]))]]);
  const entry = { resource: "*", group: "refusal", column: "410", reason: "never" } as const;
  const found = findHoles(grid, served, [entry]);
  assert.deepEqual(found.holes, [`${served[0]!.name}: ${cells[0]}`]);
  assert.deepEqual(found.unused, [entry]);
});
