import assert from "node:assert/strict";
import { test } from "node:test";
import { assertLinear } from "../../tests/support/growth.ts";
import { isMailAddress } from "./mail_address.ts";

// What `net/mail` ParseAddress of Go 1.26 accepts and refuses.
const ACCEPTED = [
  "a@example.com",
  " a.b+c@host ",
  "Ann <a@example.com>",
  "<a@example.com>",
  '"Ann (x)" <a@example.com>',
  '"a b"@example.com',
  "a@[192.0.2.1]",
  "a@ example.com",
];
const REFUSED = [
  "",
  "a",
  "a@",
  "@example.com",
  ".a@example.com",
  "a.@example.com",
  "a..b@example.com",
  "a@example..com",
  "a@example.com.",
  "a@example.com b",
  "a b@example.com",
  "Ann a@example.com>",
  '""@example.com',
  "a@[host]",
  "a@[]",
  "a@example.com,b@example.com",
];

for (const text of [...ACCEPTED, ...REFUSED]) {
  const want = ACCEPTED.includes(text);
  test(`isMailAddress() ${want ? "accepts" : "refuses"} ${JSON.stringify(text)}`, () => {
    assert.equal(isMailAddress(text), want);
  });
}

test("isMailAddress() takes linear time", async () => {
  for (const part of ["a.", '"a" ', "a ", '"\\\\', "a@", "<"]) {
    const input = (size: number) => part.repeat(size / part.length);
    await assertLinear({ limit: 102_400, input, read: isMailAddress });
  }
});
