import assert from "node:assert/strict";
import { test } from "node:test";
import { createAccount, missingKinds } from "./account.ts";

const ADMIN = { kind: "admin", code: 200, ms: 3 } as const;
const PROBE = { kind: "probe", code: 0, ms: 20_000 } as const;
const NODE = { kind: "node", code: 200, ms: 90 } as const;

test("createAccount() takes each whole line once, also when it arrives in pieces", () => {
  let text = "";
  const account = createAccount(() => text);
  assert.deepEqual(account.take(), []);
  text += `${JSON.stringify(ADMIN)}\n{"kind":`;
  assert.deepEqual(account.take(), [ADMIN]);
  assert.deepEqual(account.take(), []);
  text += `"probe","code":0,"ms":20000}\n${JSON.stringify(ADMIN)}\n`;
  assert.deepEqual(account.take(), [PROBE, ADMIN]);
});

test("missingKinds() names the kinds without an answer", () => {
  assert.deepEqual(missingKinds([]), ["admin", "probe", "node"]);
  assert.deepEqual(missingKinds([ADMIN, ADMIN]), ["probe", "node"]);
  assert.deepEqual(missingKinds([ADMIN, PROBE, NODE]), []);
});
