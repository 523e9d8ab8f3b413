import assert from "node:assert/strict";
import { test } from "node:test";
import { createTestAuthority, issueTestCertificate, planTestLeaf } from "../../tests/support/test_authority.ts";
import { findHostFault } from "./server_identity.ts";

const MANY = { dnsNames: ["a.example", "*.b.example"], ipAddresses: ["10.0.0.1", "2001:db8::1"] };

for (
  const { host, names, want } of [
    { host: "a.example", names: MANY, want: undefined },
    { host: "A.Example.", names: MANY, want: undefined },
    { host: "x.b.example", names: MANY, want: undefined },
    { host: "10.0.0.1", names: MANY, want: undefined },
    { host: "[2001:DB8:0::1]", names: MANY, want: undefined },
    { host: "y.x.b.example", names: MANY, want: "valid for a.example, *.b.example, not y.x.b.example" },
    { host: "b.example", names: MANY, want: "not b.example" },
    { host: ".b.example", names: MANY, want: "not .b.example" },
    { host: "*.a.example", names: { dnsNames: ["*.a.*"] }, want: "valid for *.a.*, not *.a.example" },
    { host: "a.example", names: { dnsNames: ["a*.example"] }, want: "valid for a*.example, not a.example" },
    { host: "localhost", names: { dnsNames: ["*"] }, want: "valid for *, not localhost" },
    { host: "10.0.0.2", names: MANY, want: "valid for 10.0.0.1, 2001:db8::1, not 10.0.0.2" },
    { host: "10.0.0.1", names: { dnsNames: ["10.0.0.1"] }, want: "doesn't contain any IP SANs" },
    { host: "system:node:n1", names: {}, want: "relies on legacy Common Name field" },
    { host: "a.example", names: { ipAddresses: ["10.0.0.1"] }, want: "not valid for any names, but wanted to match" },
  ] as readonly { host: string; names: Partial<typeof MANY>; want: string | undefined }[]
) {
  test(`findHostFault() of ${JSON.stringify(names)} for ${host}: ${want ?? "none"}`, async () => {
    const root = await createTestAuthority();
    const leaf = await issueTestCertificate(root, planTestLeaf(root.privateKey, names));
    const fault = findHostFault(leaf, host);
    if (want === undefined) assert.equal(fault, undefined);
    else assert.ok(fault?.startsWith("x509: ") && fault.includes(want), fault);
  });
}
