import assert from "node:assert/strict";
import { test } from "node:test";
import type { Stored } from "../storage/storage.ts";
import { SharedEncodings } from "./watch_events.ts";
import { Buffer } from "node:buffer";
import { gunzipSync } from "node:zlib";
import fc from "../../tests/support/properties.ts";
import { compressMember } from "./watch_handler.ts";

const BYTES = new Uint8Array([1]);

function state(revision: number): Stored {
  return { key: "/registry/things/a", revision, object: { metadata: {} }, bytes: BYTES, size: 1 };
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
    encodings.getOrEncode(first, "json", encode("json"));
    encodings.getOrEncode(first, "protobuf", encode("protobuf"));
  }
  encodings.getOrEncode(state(2), "json", encode("json 2"));
  assert.deepEqual(made, ["json", "protobuf", "json 2"]);
});

test("SharedEncodings drops the oldest of many", () => {
  const encodings = new SharedEncodings();
  const first = state(1);
  let made = 0;
  const encode = () => {
    made++;
    return BYTES;
  };
  encodings.getOrEncode(first, "json", encode);
  for (let revision = 2; revision <= 300; revision++) encodings.getOrEncode(state(revision), "json", encode);
  encodings.getOrEncode(first, "json", encode);
  assert.equal(made, 301);
});

test("SharedEncodings drops the oldest beyond 16 MiB, and keeps none that is larger", () => {
  const encodings = new SharedEncodings();
  let made = 0;
  const encode = (mebibytes: number) => () => {
    made++;
    return new Uint8Array(mebibytes * 1_048_576);
  };
  const states = Array.from({ length: 9 }, (_, index) => state(index));
  for (const each of states) encodings.getOrEncode(each, "json", encode(2));
  for (const each of states.slice(1)) encodings.getOrEncode(each, "json", encode(2));
  assert.equal(made, 9, "eight of nine are still cached");
  encodings.getOrEncode(states[0]!, "json", encode(2));
  assert.equal(made, 10);
  const huge = state(10);
  for (let watch = 0; watch < 2; watch++) encodings.getOrEncode(huge, "json", encode(17));
  assert.equal(made, 12);
});

test("compressMember() writes members that can be read one by one and together", async () => {
  const parts = fc.array(fc.uint8Array({ maxLength: 2_000 }), { minLength: 1, maxLength: 4 });
  await fc.assert(fc.asyncProperty(parts, async (parts) => {
    const members = await Promise.all(parts.map(compressMember));
    for (const [index, member] of members.entries()) assert.deepEqual([...gunzipSync(member)], [...parts[index]!]);
    assert.deepEqual([...gunzipSync(Buffer.concat(members))], [...Buffer.concat(parts)]);
  }));
});

test("compressMember() flushes its content before its last block, which is empty", async () => {
  const member = Buffer.from(await compressMember(Buffer.from("an event\n".repeat(20))));
  // An empty stored block, then an empty last one, then checksum and size.
  assert.equal(member.subarray(-14, -8).toString("hex"), "0000ffff0300");
});
