import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "../../tests/support/properties.ts";
import { formatIpAddress, parseIpAddress } from "./ip_address.ts";

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

test("parseIpAddress() reads back what formatIpAddress() wrote", () => {
  const size = fc.constantFrom(4, 16);
  fc.assert(fc.property(size.chain((length) => fc.uint8Array({ minLength: length, maxLength: length })), (raw) => {
    const text = formatIpAddress(new Uint8Array(raw));
    const again = parseIpAddress(text);
    assert.equal(again && formatIpAddress(again), text);
  }));
});
