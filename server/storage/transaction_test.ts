import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "../../core/errors.ts";
import { thing } from "../../tests/support/stored_things.ts";
import { encodeTransaction, type GuardedWrite } from "./etcd/wire.ts";
import {
  assertAcceptable,
  assertOneOfEachResource,
  assertSendable,
  assertTransaction,
  retryRaces,
} from "./transaction.ts";

for (const code of ["conflict", "already_exists"] as const) {
  test(`retryRaces() runs again up to ten times after ${code}`, async () => {
    let runs = 0;
    const failUntil = (last: number) => () => {
      if (++runs < last) throw new AppError(code, `race ${runs}`);
      return Promise.resolve(`run ${runs}`);
    };
    assert.equal(await retryRaces(failUntil(10)), "run 10");
    runs = 0;
    await assert.rejects(retryRaces(failUntil(12)), { message: "race 10" });
    assert.equal(runs, 10);
  });
}

test("retryRaces() throws any other error at once", async () => {
  let runs = 0;
  const fail = () => {
    runs++;
    throw new AppError("internal", "no");
  };
  await assert.rejects(retryRaces(fail), { message: "no" });
  assert.equal(runs, 1);
});

test("assertTransaction() refuses a key that is written twice", () => {
  const [a, b] = ["a", "b"].map((name) =>
    ({ kind: "create", key: `/registry/things/${name}`, object: thing(name) }) as const
  );
  assertTransaction([a!]);
  assertTransaction([a!, b!]);
  const message = 'cannot write "/registry/things/a" twice in one transaction';
  assert.throws(() => assertTransaction([a!, a!]), { code: "internal", message });
  assert.throws(() => assertTransaction([a!, b!, a!]), { code: "internal", message });
});

test("assertOneOfEachResource() refuses two objects of one resource", () => {
  const [a, b, other] = ["things/a", "things/b", "others/a"].map((path) =>
    ({ kind: "create", key: `/registry/${path}`, object: thing("a") }) as const
  );
  assertOneOfEachResource([a!]);
  assertOneOfEachResource([a!, other!]);
  assert.throws(() => assertOneOfEachResource([a!, b!]), {
    code: "internal",
    message: /^cannot write ".*a" and ".*b"/,
  });
});

/** Creates a write whose transaction has this size in bytes. */
function createWrites(size: number): readonly GuardedWrite[] {
  const create = (length: number): readonly GuardedWrite[] => [
    { key: "/registry/things/a", guard: { modRevision: 0 }, value: new Uint8Array(length) },
  ];
  const measure = (length: number): number => encodeTransaction(create(length)).length;
  // The lengths of both are encoded in the same number of bytes.
  const estimate = size - 100;
  const writes = create(estimate + size - measure(estimate));
  assert.equal(encodeTransaction(writes).length, size);
  return writes;
}

for (
  const { name, check, largest, message } of [
    {
      name: "assertSendable",
      check: assertSendable,
      largest: 2_097_152,
      message:
        "rpc error: code = ResourceExhausted desc = trying to send message larger than max (2097153 vs. 2097152)",
    },
    {
      name: "assertAcceptable",
      check: assertAcceptable,
      // etcd adds 17 bytes to a transaction, and accepts 1.5 MiB.
      largest: 1_572_864 - 17,
      message: "etcdserver: request is too large",
    },
  ]
) {
  test(`${name}() accepts a transaction of ${largest} bytes, and no larger one`, () => {
    check(createWrites(largest));
    assert.throws(() => check(createWrites(largest + 1)), { message });
  });
}
