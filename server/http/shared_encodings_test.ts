import assert from "node:assert/strict";
import { test } from "node:test";
import type { Stored } from "../storage/storage.ts";
import { SharedEncodings } from "./shared_encodings.ts";

const BYTES = new Uint8Array([1]);

function state(revision: number): Stored {
  return { key: "/registry/things/a", revision, object: { metadata: {} }, bytes: BYTES };
}

test("SharedEncodings encodes a state once in each form", () => {
  const encodings = new SharedEncodings();
  const made: string[] = [];
  const encode = (form: string) => () => {
    made.push(form);
    return BYTES;
  };
  const first = state(1);
  for (let watch = 0; watch < 3; watch++) {
    encodings.of(first, "json", encode("json"));
    encodings.of(first, "protobuf", encode("protobuf"));
  }
  encodings.of(state(2), "json", encode("json 2"));
  assert.deepEqual(made, ["json", "protobuf", "json 2"]);
});

test("SharedEncodings forgets the oldest of many", () => {
  const encodings = new SharedEncodings();
  const first = state(1);
  let made = 0;
  const encode = () => {
    made++;
    return BYTES;
  };
  encodings.of(first, "json", encode);
  for (let revision = 2; revision <= 300; revision++) encodings.of(state(revision), "json", encode);
  encodings.of(first, "json", encode);
  assert.equal(made, 301);
});
