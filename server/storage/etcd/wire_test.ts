import assert from "node:assert/strict";
import { test } from "node:test";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import {
  decodeEtcdStatus,
  decodeLeaseGrant,
  decodeRange,
  decodeTransaction,
  decodeWatch,
  encodeMove,
  encodeRange,
  encodeTransaction,
  encodeWatch,
  type EtcdKeyValue,
} from "./wire.ts";

const VALUE = Uint8Array.of(1, 2, 3);
const LEASE = -(2n ** 63n) + 5n;
const KEY_VALUE: EtcdKeyValue = { key: "/é", modRevision: 2 ** 40, version: 3, value: VALUE, lease: LEASE };

/** Writes fields in order: numbers, flags, texts, bytes, and messages as functions. */
function message(
  ...fields: readonly (readonly [number: number, value: number | bigint | string | Uint8Array])[]
): Uint8Array {
  const writer = new BinaryWriter();
  for (const [number, value] of fields) {
    if (typeof value === "string") writer.tag(number, WireType.LengthDelimited).string(value);
    else if (value instanceof Uint8Array) writer.tag(number, WireType.LengthDelimited).bytes(value);
    else writer.tag(number, WireType.Varint).int64(value);
  }
  return writer.finish();
}

const keyValue = message([1, "/é"], [2, 7], [3, 2 ** 40], [4, 3], [5, VALUE], [6, LEASE]);
const header = message([1, 2n ** 62n], [2, 5], [3, 9], [4, 2]);
const unknown = [99, "unknown"] as const;
const read = message([1, message([1, "/a"])]);
const deletion = message([3, message([1, "/a"])]);

for (
  const { name, got, want } of [
    {
      name: "encodeRange()",
      got: encodeRange({ key: "/a", rangeEnd: "/b", limit: 500, revision: 2 ** 40, countOnly: true }),
      want: message([1, "/a"], [2, "/b"], [3, 500], [4, 2 ** 40], [9, 1]),
    },
    {
      name: "encodeTransaction() of a creation",
      got: encodeTransaction([{ key: "/a", guard: { modRevision: 0 }, value: VALUE, lease: LEASE }]),
      want: message(
        [1, message([2, 2], [3, "/a"], [6, 0])],
        [2, message([2, message([1, "/a"], [2, VALUE], [3, LEASE])])],
      ),
    },
    {
      name: "encodeTransaction() of a version that no key has yet",
      got: encodeTransaction([{ key: "/a", guard: { version: 0 }, value: VALUE }]),
      want: message(
        [1, message([3, "/a"], [4, 0])],
        [2, message([2, message([1, "/a"], [2, VALUE])])],
        [3, read],
      ),
    },
    {
      name: "encodeTransaction() of a deletion",
      got: encodeTransaction([{ key: "/a", guard: { version: 4 }, value: undefined }]),
      want: message([1, message([3, "/a"], [4, 4])], [2, deletion], [3, read]),
    },
    {
      name: "encodeTransaction() of several writes",
      got: encodeTransaction([
        { key: "/a", guard: { modRevision: 7 }, value: undefined },
        { key: "/b", guard: { modRevision: 0 }, value: VALUE },
      ]),
      want: message(
        [1, message([2, 2], [3, "/a"], [6, 7])],
        [1, message([2, 2], [3, "/b"], [6, 0])],
        [2, deletion],
        [2, message([2, message([1, "/b"], [2, VALUE])])],
        [3, read],
      ),
    },
    {
      name: "encodeMove()",
      got: encodeMove({ ...KEY_VALUE, key: "/a" }, "/b"),
      want: message(
        [1, message([2, 2], [3, "/a"], [6, 2 ** 40])],
        [2, message([2, message([1, "/b"], [2, VALUE], [3, LEASE])])],
        [2, deletion],
      ),
    },
    {
      name: "encodeWatch()",
      got: encodeWatch({ key: "/a", rangeEnd: "/b", startRevision: 5 }),
      want: message([1, message([1, "/a"], [2, "/b"], [3, 5], [4, 1])]),
    },
    { name: "encodeWatch() of a request for progress", got: encodeWatch("progress"), want: message([3, message()]) },
  ]
) {
  test(`${name} writes the same bytes as @bufbuild/protobuf`, () => {
    assert.deepEqual(Uint8Array.from(got), Uint8Array.from(want));
  });
}

test("the decoders read every field, leases of 64 bits too, and skip unknown ones", () => {
  const range = message([1, header], [2, keyValue], [3, 1], [4, 12], unknown);
  assert.deepEqual(decodeRange(range), { revision: 9, kvs: [KEY_VALUE], more: true, count: 12 });
  const missing = message([1, message([1, header])], unknown);
  const transaction = message([1, header], [3, missing], [3, message([1, range])], unknown);
  assert.deepEqual(decodeTransaction(transaction), {
    succeeded: false,
    revision: 9,
    current: [undefined, KEY_VALUE],
  });
  const events = [message([2, keyValue]), message([1, 1], [2, keyValue], unknown)] as const;
  const watch = decodeWatch(
    message([1, header], [3, 1], [4, 1], [5, 6], [6, "why"], [11, events[0]], [11, events[1]], unknown),
  );
  assert.deepEqual(watch, {
    revision: 9,
    created: true,
    canceled: true,
    compactRevision: 6,
    cancelReason: "why",
    events: [{ isDeletion: false, kv: KEY_VALUE }, { isDeletion: true, kv: KEY_VALUE }],
  });
  assert.equal(decodeLeaseGrant(message([2, LEASE])), LEASE);
  const status = message([1, header], [2, "3.6.5"], [3, 20_480], [8, "alarm"], unknown);
  assert.deepEqual(decodeEtcdStatus(status), { version: "3.6.5", errors: ["alarm"] });
});

test("decodeRange() omits the lease of a key that does not expire", () => {
  const { lease: _lease, ...lasting } = KEY_VALUE;
  const kv = message([1, "/é"], [3, 2 ** 40], [4, 3], [5, VALUE]);
  assert.deepEqual(decodeRange(message([1, header], [2, kv])).kvs, [lasting]);
});
