import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "../../tests/support/properties.ts";
import {
  formatIpAddress,
  isLocalAddress,
  isSharedAddress,
  isWithin,
  parseCidr,
  parseIpAddress,
  parseNetwork,
} from "./ip_address.ts";

for (
  const { text, want } of [
    { text: "10.0.0.1", want: "10.0.0.1" },
    { text: "::", want: "::" },
    { text: "::1", want: "::1" },
    { text: "2001:DB8:0:0:1:0:0:1", want: "2001:db8::1:0:0:1" },
    { text: "2001:db8:0:1:1:1:1:1", want: "2001:db8:0:1:1:1:1:1" },
    { text: "1::", want: "1::" },
    { text: "::ffff:1.2.3.4", want: "1.2.3.4" },
    { text: "64:ff9b::1.2.3.4", want: "64:ff9b::102:304" },
    { text: "fe80::1%eth0", want: undefined },
    { text: "1.2.3", want: undefined },
    { text: "01.2.3.4", want: undefined },
    { text: "localhost", want: undefined },
  ]
) {
  test(`parseIpAddress() reads ${text} as ${want ?? "no address"}`, () => {
    const bytes = parseIpAddress(text);
    assert.equal(bytes && formatIpAddress(bytes), want);
  });
}

test("parseIpAddress() reads the output of formatIpAddress()", () => {
  const size = fc.constantFrom(4, 16);
  fc.assert(fc.property(size.chain((length) => fc.uint8Array({ minLength: length, maxLength: length })), (raw) => {
    const text = formatIpAddress(new Uint8Array(raw));
    const again = parseIpAddress(text);
    assert.equal(again && formatIpAddress(again), text);
  }));
});

test("parseCidr() and isWithin() agree on the addresses of a range", () => {
  for (
    const [range, address, isIn] of [
      ["10.0.0.0/8", "10.255.0.1", true],
      ["10.0.0.0/8", "11.0.0.1", false],
      ["10.128.0.0/9", "10.127.255.255", false],
      ["192.168.1.4/30", "192.168.1.7", true],
      ["192.168.1.4/30", "192.168.1.8", false],
      ["0.0.0.0/0", "255.255.255.255", true],
      ["10.0.0.1", "10.0.0.1", true],
      ["10.0.0.1", "10.0.0.2", false],
      ["2001:db8::/32", "2001:db8:1::1", true],
      ["2001:db8::/32", "2001:db9::1", false],
      ["::/0", "10.0.0.1", false],
      ["0.0.0.0/0", "::ffff:10.0.0.1", true],
    ] as const
  ) assert.equal(isWithin(parseIpAddress(address)!, parseCidr(range)!), isIn, `${address} in ${range}`);
});

test("parseCidr() refuses malformed ranges, and bits beyond the prefix", () => {
  for (
    const text of [
      "",
      "10.0.0.0/33",
      "10.0.0.0/-1",
      "10.0.0.0/08",
      "10.0.0.0/",
      "10.0.0.1/8",
      "10.0.0.0/8/8",
      "a/8",
      "::1/129",
      "fe80::1%eth0/64",
    ]
  ) {
    assert.equal(parseCidr(text), undefined, text);
  }
});

for (
  const { address, local, shared } of [
    { address: "127.3.2.1", local: true, shared: true },
    { address: "::", local: true, shared: true },
    { address: "169.254.1.1", local: false, shared: true },
    { address: "fe80::1", local: false, shared: true },
    { address: "224.0.0.1", local: false, shared: true },
    { address: "192.0.2.1", local: false, shared: false },
    { address: "2001:db8::1", local: false, shared: false },
  ]
) {
  test(`isLocalAddress() is ${local} and isSharedAddress() ${shared} for ${address}`, () => {
    const bytes = parseIpAddress(address)!;
    assert.deepEqual([isLocalAddress(bytes), isSharedAddress(bytes)], [local, shared]);
  });
}

test("parseNetwork() returns canonical networks, and one address as a network", () => {
  assert.deepEqual(parseNetwork("10.0.0.7"), { ok: true, value: "10.0.0.7/32" });
  assert.deepEqual(parseNetwork("2001:DB8:0::/64"), { ok: true, value: "2001:db8::/64" });
  assert.equal(parseNetwork("10.0.0.7/24").ok, false);
});
