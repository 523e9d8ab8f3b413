import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { gzipMember } from "./gzip_member.ts";

test("gzipMember() makes members that can be read one by one and together", async () => {
  const parts = fc.array(fc.uint8Array({ maxLength: 2_000 }), { minLength: 1, maxLength: 4 });
  await fc.assert(fc.asyncProperty(parts, async (parts) => {
    const members = await Promise.all(parts.map(gzipMember));
    for (const [index, member] of members.entries()) assert.deepEqual([...gunzipSync(member)], [...parts[index]!]);
    assert.deepEqual([...gunzipSync(Buffer.concat(members))], [...Buffer.concat(parts)]);
  }));
});

test("gzipMember() flushes what is in it before its last block, which has nothing", async () => {
  const member = Buffer.from(await gzipMember(Buffer.from("an event\n".repeat(20))));
  // An empty stored block, then an empty last one, then checksum and size.
  assert.equal(member.subarray(-14, -8).toString("hex"), "0000ffff0300");
});
