import assert from "node:assert/strict";
import { test } from "node:test";
import { isWithin, parseCidr } from "./cidr.ts";
import { parseIpAddress } from "./ip_address.ts";

test("parseCidr() and isWithin() agree on what lies in a range", () => {
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
