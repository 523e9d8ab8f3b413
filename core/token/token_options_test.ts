import assert from "node:assert/strict";
import { test } from "node:test";
import { isBootstrapGroup, parseTokenUses } from "./token_options.ts";

for (
  const { group, want } of [
    { group: "system:bootstrappers:a", want: true },
    { group: "system:bootstrappers:kubeadm:default-node-token", want: true },
    { group: `system:bootstrappers:${"a".repeat(256)}`, want: true },
    { group: `system:bootstrappers:${"a".repeat(257)}`, want: false },
    { group: "system:bootstrappers", want: false },
    { group: "system:bootstrappers:", want: false },
    { group: "system:bootstrappers:a-", want: false },
    { group: "system:bootstrappers:A", want: false },
    { group: "system:masters", want: false },
    { group: "system:bootstrappers:a\n", want: false },
  ]
) {
  test(`isBootstrapGroup() ${want ? "accepts" : "refuses"} ${JSON.stringify(group.slice(0, 40))}`, () => {
    assert.equal(isBootstrapGroup(group), want);
  });
}

for (
  const { text, want } of [
    { text: "1", want: 1 },
    { text: "1000", want: 1_000 },
    { text: "01", want: undefined },
    { text: "-1", want: undefined },
    { text: "1.5", want: undefined },
    { text: "", want: undefined },
  ]
) {
  test(`parseTokenUses() returns ${want} for "${text}"`, () => {
    const uses = parseTokenUses(text);
    assert.equal(uses.ok ? uses.value : undefined, want);
  });
}
