import assert from "node:assert/strict";
import { test } from "node:test";
import { checkProfile } from "../../signing/profile.ts";
import { createWebPolicy, createWebProfile, listScopeWarnings } from "./web_certificates.ts";

for (
  const [domains, networks, want] of [
    [["home.lan"], ["192.168.1.0/24", "fd00::/64"], 0],
    [["home.arpa"], ["10.0.0.0/8"], 0],
    [["lan"], [], 0],
    [["example.com"], [], 0],
    [["com"], [], 1],
    [["co.uk"], [], 1],
    [["dev"], ["0.0.0.0/0"], 2],
    [["home.lan"], ["8.8.8.0/24"], 1],
    [["home.lan"], ["10.0.0.0/7"], 1],
  ] as const
) {
  test(`listScopeWarnings() of ${domains} ${networks}`, () => {
    assert.equal(listScopeWarnings({ domains, networks }).length, want);
  });
}

const SCOPE = { domains: ["home.lan"], networks: ["192.168.1.0/24"] };

test("createWebPolicy() has a rule for the identity, its renewal and the certificate", () => {
  assert.deepEqual(createWebPolicy(SCOPE).rules.filter(({ then }) => then === "approve").map(({ name }) => name), [
    "identity",
    "renewal",
    "certificate",
  ]);
});

for (
  const { name, dnsNames = [], ipAddresses = [], usages = ["digital signature", "server auth"], want } of [
    { name: "a name", dnsNames: ["nas.home.lan"], want: undefined },
    { name: "the domain itself", dnsNames: ["home.lan"], want: undefined },
    { name: "a deep name", dnsNames: ["a.b.home.lan"], want: undefined },
    { name: "an address", ipAddresses: ["192.168.1.9"], want: undefined },
    { name: "another domain", dnsNames: ["nas.home.lan.example"], want: /nas.home.lan.example/ },
    { name: "a domain with the same ending", dnsNames: ["nas.evilhome.lan"], want: /nas.evilhome.lan/ },
    { name: "a wildcard", dnsNames: ["*.home.lan"], want: /not allowed/ },
    { name: "two stars", dnsNames: ["**.home.lan"], want: /not allowed/ },
    { name: "an empty label", dnsNames: [".home.lan"], want: /not allowed/ },
    { name: "a trailing dot", dnsNames: ["nas.home.lan."], want: /not allowed/ },
    { name: "capitals", dnsNames: ["NAS.home.lan"], want: /not allowed/ },
    { name: "a foreign address", ipAddresses: ["192.168.2.9"], want: /192.168.2.9/ },
    { name: "an IPv6 address", ipAddresses: ["::c0a8:109"], want: /not allowed/ },
    { name: "no name", want: /required/ },
    { name: "client auth", dnsNames: ["nas.home.lan"], usages: ["server auth", "client auth"], want: /client auth/ },
  ] as readonly {
    readonly name: string;
    readonly dnsNames?: readonly string[];
    readonly ipAddresses?: readonly string[];
    readonly usages?: readonly string[];
    readonly want: RegExp | undefined;
  }[]
) {
  test(`createWebProfile() and ${name}`, () => {
    const empty = { commonName: "", organizations: [], organizationalUnits: [], countries: [], provinces: [] };
    const rest = { localities: [], streetAddresses: [], postalCodes: [], serialNumber: "" };
    const subject = { ...empty, ...rest, overridden: [], otherAttributes: [] };
    const names = { dnsNames, ipAddresses, uris: [], emailAddresses: [], otherNames: 0 };
    const facts = { ...names, subject, keyAlgorithm: "ECDSA", keyBits: 256 } as unknown as Parameters<
      typeof checkProfile
    >[1];
    const fault = checkProfile(createWebProfile(SCOPE), facts, usages);
    if (want === undefined) assert.equal(fault, undefined);
    else assert.match(fault?.message ?? "", want);
  });
}
