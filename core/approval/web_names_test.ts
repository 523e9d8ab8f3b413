import assert from "node:assert/strict";
import { test } from "node:test";
import { parseWebDomain, parseWebName, parseWebNetwork } from "./web_names.ts";

for (
  const [text, want] of [
    ["home.lan", "home.lan"],
    ["Home.LAN", "home.lan"],
    ["bücher.example", "xn--bcher-kva.example"],
    [".home.lan", /without the dot in front/],
    ["home.lan.", /without the dot at the end/],
    ["*.home.lan", /without a star/],
    ["192.168.1.1", /--web-network/],
    ["192.168.1.0/24", /--web-network/],
    ["home..lan", /want a domain/],
    ["-home.lan", /want a domain/],
    ["home lan", /want a domain/],
    ["localhost", /every machine/],
    ["", /want a domain/],
  ] as const
) {
  test(`parseWebDomain() of "${text}"`, () => {
    const read = parseWebDomain(text);
    if (typeof want === "string") assert.deepEqual(read, { ok: true, value: want });
    else assert.match(read.ok ? "" : read.error, want);
  });
}

for (
  const [text, want] of [
    ["192.168.1.0/24", "192.168.1.0/24"],
    ["192.168.1.7", "192.168.1.7/32"],
    ["fd00::/64", "fd00::/64"],
    ["192.168.1.7/24", /without bits after its prefix/],
    ["127.0.0.0/8", /same on every machine/],
    ["::1", /same on every machine/],
    ["home.lan", /want a network/],
  ] as const
) {
  test(`parseWebNetwork() of "${text}"`, () => {
    const read = parseWebNetwork(text);
    if (typeof want === "string") assert.deepEqual(read, { ok: true, value: want });
    else assert.match(read.ok ? "" : read.error, want);
  });
}

test("parseWebName() accepts one host only", () => {
  assert.deepEqual(parseWebName("NAS.home.lan"), { ok: true, value: "nas.home.lan" });
  for (const bad of ["*.home.lan", "192.168.1.7", "a_b.home.lan", "nas.home.lan.", "", `${"a".repeat(63)}.lan`]) {
    assert.equal(parseWebName(bad).ok, false, bad);
  }
});
