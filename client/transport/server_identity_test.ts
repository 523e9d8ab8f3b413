import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { isIPv6 } from "node:net";
import { test } from "node:test";
import type { PeerCertificate } from "node:tls";
import { encodePem } from "../../core/pki/asn1/pem.ts";
import { buildChainCases, type ChainCase } from "../../tests/support/chain_cases.ts";
import { createTestAuthority, issueTestCertificate, planTestLeaf } from "../../tests/support/test_authority.ts";
import { createServerIdentityCheck, findHostFault, type ServerIdentityOptions } from "./server_identity.ts";

const NOW = new Date("2026-11-25T12:00:00Z");
const origin = "https://n1.example.org:6443";

test("createServerIdentityCheck() checks names, and paths when it knows the roots", async () => {
  const cases = await buildChainCases(NOW);
  const find = (name: string): ChainCase => cases.find((one) => one.name === name)!;
  const judge = (one: ChainCase, edit: Partial<ServerIdentityOptions> = {}): string => {
    const caPem = one.roots.map((der) => encodePem("CERTIFICATE", der)).join("");
    const check = createServerIdentityCheck({ caPem, origin, verifiesPath: true, ...edit });
    return check(one.host, toPeerCertificate(one))?.message ?? "good";
  };
  const noCa = find("an intermediate of version 1");
  assert.equal(judge(find("two intermediates")), "good");
  assert.match(judge(noCa), /break a rule: x509: invalid signature: parent certificate cannot sign/);
  for (const edit of [{ verifiesPath: false }, { caPem: undefined }]) {
    assert.equal(judge(noCa, edit), "good");
    assert.equal(
      judge(find("host: a common name alone"), edit),
      `cannot trust "${origin}": its serving certificate is not valid for the name "n1.example.org"`,
    );
  }
});

test("createServerIdentityCheck() judges addresses, keys and, by a clock, the dates of roots", async () => {
  const cases = await buildChainCases(NOW);
  const judge = (one: ChainCase, edit: Partial<ServerIdentityOptions>): string => {
    const caPem = one.roots.map((der) => encodePem("CERTIFICATE", der)).join("");
    const check = createServerIdentityCheck({ caPem, origin, verifiesPath: true, ...edit });
    return check(one.host, toPeerCertificate(one)) === undefined ? "accept" : "refuse";
  };
  const now = (): Date => NOW;
  const ofAddresses = cases.filter(({ host }) => isIPv6(host));
  assert.ok(ofAddresses.length > 0, "some of them are of addresses");
  for (const one of ofAddresses) {
    for (const edit of [{ now }, { verifiesPath: false }]) assert.equal(judge(one, edit), one.want, one.name);
  }
  const find = (name: string): ChainCase => cases.find((one) => one.name === name)!;
  assert.equal(judge(find("an intermediate with an RSA key of 8704 bits"), { verifiesPath: false }), "refuse");
  assert.equal(judge(find("an intermediate with an RSA key of exponent 1"), { verifiesPath: false }), "refuse");
  assert.equal(judge(find("an expired root"), { now }), "refuse");
  assert.equal(judge(find("an expired root"), {}), "accept");
});

/** Builds a chain in the form of `getPeerCertificate(true)`. */
function toPeerCertificate({ chain }: ChainCase): PeerCertificate {
  const shown = chain.toReversed().reduce<object | undefined>(
    (issuerCertificate, der) => ({ raw: Buffer.from(der), issuerCertificate }),
    undefined,
  );
  return shown as PeerCertificate;
}

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
