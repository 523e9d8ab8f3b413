import assert from "node:assert/strict";
import { test } from "node:test";
import { formatFieldError } from "../status/field_error.ts";
import { getWarningsForCidr, networkFamily, validateCidr } from "./nodes.ts";

const NONE = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
const ZEROS = "must not have leading 0s in IP or prefix length";

for (
  const { value, family, fault } of [
    { value: "10.0.0.0/8", family: 4, fault: undefined },
    { value: "0.0.0.0/0", family: 4, fault: undefined },
    { value: "2001:0db8::/32", family: 6, fault: undefined },
    { value: "10.0.0.0", family: undefined, fault: NONE },
    { value: "10.0.0.0/33", family: undefined, fault: NONE },
    { value: "fd00::/129", family: undefined, fault: NONE },
    { value: "fe80::%eth0/64", family: undefined, fault: NONE },
    { value: "10.0.0.0/8/8", family: undefined, fault: NONE },
    { value: "", family: undefined, fault: NONE },
    { value: "010.0.0.0/8", family: 4, fault: ZEROS },
    { value: "10.0.0.0/08", family: 4, fault: ZEROS },
    { value: "::ffff:10.0.0.0/120", family: 4, fault: "must not have an IPv4-mapped IPv6 address" },
    { value: "10.0.0.1/8", family: 4, fault: "must not have bits set beyond the prefix length" },
    { value: "fd00::1/64", family: 6, fault: "must not have bits set beyond the prefix length" },
  ] as const
) {
  test(`validateCidr() of ${JSON.stringify(value)} answers ${fault ?? "nothing"}`, () => {
    const want = fault === undefined ? [] : [`at: Invalid value: ${JSON.stringify(value)}: ${fault}`];
    assert.deepEqual(validateCidr("at", value).map(formatFieldError), want);
    assert.equal(networkFamily(value), family);
  });
}

test("getWarningsForCidr() reports IPv6 that is not in canonical form", () => {
  assert.deepEqual(getWarningsForCidr("at", "fd00::/64"), []);
  assert.deepEqual(getWarningsForCidr("at", "10.0.0.0/8"), []);
  assert.deepEqual(getWarningsForCidr("at", "FD00:0::/64"), [
    'at: IPv6 CIDR value "FD00:0::/64" should be in RFC 5952 canonical format ("fd00::/64")',
  ]);
});
