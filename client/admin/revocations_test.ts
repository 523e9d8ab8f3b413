import assert from "node:assert/strict";
import { test } from "node:test";
import { parseTypedTarget } from "./revocations.ts";

const named = (text: string, kind: string, value: string) => ({ kind: "named", text, target: { kind, value } });

for (
  const { typed, want } of [
    { typed: "node/n1", want: named("node/n1", "node", "n1") },
    { typed: "user/alice@example.com", want: named("user/alice@example.com", "user", "alice@example.com") },
    { typed: "user/a/b", want: named("user/a/b", "user", "a/b") },
    { typed: "group/dev", want: named("group/dev", "group", "dev") },
    { typed: "token/abcdef", want: named("token/abcdef", "token", "abcdef") },
    { typed: "revocation.tlsboot/node:n1", want: named("node/n1", "node", "n1") },
    { typed: "user:system:node:n1", want: named("user/system:node:n1", "user", "system:node:n1") },
    { typed: "csr/n1", want: { kind: "csr", text: "csr/n1", name: "n1" } },
    { typed: "0A:1B:2C", want: { kind: "certificate", text: "0A:1B:2C" } },
    { typed: "serial:0a1b2c", want: { kind: "certificate", text: "serial/0a1b2c" } },
    {
      typed: "issuedcertificate.tlsboot/0000000017",
      want: { kind: "certificate", text: "issuedcertificate.tlsboot/0000000017" },
    },
  ]
) {
  test(`parseTypedTarget() reads ${typed}`, () => assert.deepEqual(parseTypedTarget(typed), want));
}

test("parseTypedTarget() keeps only the id of a full token, and never repeats its secret", () => {
  const target = parseTypedTarget("token/abcdef.0123456789abcdef");
  assert.ok(target.kind === "named");
  assert.deepEqual([target.text, target.target.value], ["token/abcdef", "abcdef"]);
  assert.throws(() => parseTypedTarget("token/abcdef.0123"), { message: /^(?!.*0123).*want its id/ });
});

for (
  const { typed, hint } of [
    { typed: "n1", hint: "for a machine or a person write node/n1 or user/n1" },
    {
      typed: "6o7fib",
      hint: "for a token write token/6o7fib, for a machine or a person write node/6o7fib or user/6o7fib",
    },
    {
      typed: "abcdef.0123456789abcdef",
      hint: "for a token write token/abcdef, for a machine or a person write node/NAME or user/NAME",
    },
    { typed: "tokens/abcdef.0123456789abcdef", hint: "did you mean token/abcdef?" },
    { typed: "pod/abcdef.0123456789abcdef", hint: undefined },
    { typed: "nodes/n1", hint: "did you mean node/n1?" },
    { typed: "users/alice", hint: "did you mean user/alice?" },
    { typed: "node/", hint: undefined },
    { typed: "pod/x", hint: undefined },
  ]
) {
  test(`parseTypedTarget() refuses ${typed}`, () => {
    assert.throws(() => parseTypedTarget(typed), {
      code: "usage",
      message: /^(?!.*0123)/,
      ...(hint === undefined ? {} : { hint }),
    });
  });
}
