import assert from "node:assert/strict";
import { test } from "node:test";
import { parseNodeName, toNodeSubject } from "./node_name.ts";

for (
  const { text, want } of [
    { text: "n1", want: "n1" },
    { text: "  Node-1.Example.COM\n", want: "node-1.example.com" },
    { text: "", want: "empty hostname is invalid" },
    { text: "   ", want: "empty hostname is invalid" },
    { text: "my_host", want: "lowercase RFC 1123 subdomain" },
    { text: "-a", want: "lowercase RFC 1123 subdomain" },
    { text: "a..b", want: "lowercase RFC 1123 subdomain" },
    { text: "system:node:a", want: "lowercase RFC 1123 subdomain" },
    { text: "a".repeat(254), want: "no more than 253" },
  ]
) {
  test(`parseNodeName() answers "${want}" for ${JSON.stringify(text.slice(0, 20))}`, () => {
    const parsed = parseNodeName(text);
    if (parsed.ok) assert.equal(parsed.value, want);
    else assert.ok(parsed.error.includes(want), parsed.error);
  });
}

test("toNodeSubject() names the node and the group of nodes", () => {
  const parsed = parseNodeName("n1");
  assert.ok(parsed.ok);
  assert.deepEqual(toNodeSubject(parsed.value), { commonName: "system:node:n1", organizations: ["system:nodes"] });
});
