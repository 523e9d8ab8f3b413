import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { nodeKind } from "../kinds/mod.ts";
import { StatusError } from "../status/status.ts";
import { ElementBudget, MAX_ELEMENTS } from "./element_budget.ts";
import { parseJson } from "./json_parser.ts";
import { decodeMessage, encodeMessage } from "./protobuf.ts";
import { parseYaml } from "./yaml.ts";

const MORE = MAX_ELEMENTS + 1;

function node(finalizers: number): Uint8Array {
  return encodeMessage(nodeKind.schema, {
    metadata: { finalizers: new Array(finalizers).fill("") },
    spec: {},
    status: {},
  });
}

function isTooLarge(error: unknown): boolean {
  return error instanceof StatusError && error.status.code === 413 && error.status.reason === "RequestEntityTooLarge";
}

for (
  const { name, read } of [
    { name: "elements of JSON lists", read: () => parseJson(`[${"0,".repeat(MORE)}0]`) },
    { name: "empty lists in JSON", read: () => parseJson(`[${"[],".repeat(MORE)}[]]`) },
    { name: "JSON fields that are repeated", read: () => parseJson(`{${'"a":{},'.repeat(10_000)}"a":{}}`) },
    { name: "elements of YAML lists", read: () => parseYaml("-\n".repeat(MORE)) },
    { name: "members of YAML maps", read: () => parseYaml("a: b\n".repeat(MORE)) },
    {
      name: "values that YAML aliases repeat",
      read: () => parseYaml(`- &a [${"0,".repeat(100)}]\n${"- *a\n".repeat(5)}${"-\n".repeat(MAX_ELEMENTS - 300)}`),
    },
    { name: "elements of protobuf lists", read: () => decodeMessage(nodeKind.schema, node(MORE)) },
    {
      name: "protobuf messages that are repeated",
      read: () =>
        decodeMessage(nodeKind.schema, Buffer.concat([node(1_000), Buffer.from("0a00".repeat(2_000), "hex")])),
    },
  ]
) {
  test(`a decoder refuses too many ${name}`, () => assert.throws(read, isTooLarge));
}

test("a decoder reads as many elements as are allowed, and any number with an unlimited budget", () => {
  const list = `[${"0,".repeat(MAX_ELEMENTS - 1)}0]`;
  assert.equal((parseJson(list).value as unknown[]).length, MAX_ELEMENTS);
  assert.equal((parseYaml(list).value as unknown[]).length, MAX_ELEMENTS);
  assert.doesNotThrow(() => parseJson(`[${list},0]`, ElementBudget.unlimited()));
  assert.doesNotThrow(() => decodeMessage(nodeKind.schema, node(MORE), ElementBudget.unlimited()));
});

test("decodeMessage() refuses free-form JSON that is nested too deeply", () => {
  const fieldsV1: unknown = JSON.parse(`${'{"f:a":'.repeat(2_000)}{}${"}".repeat(2_000)}`);
  const bytes = encodeMessage(nodeKind.schema, { metadata: { managedFields: [{ fieldsV1 }] }, spec: {}, status: {} });
  assert.throws(() => decodeMessage(nodeKind.schema, bytes), /exceeded max depth/);
});
