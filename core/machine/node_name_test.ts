import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type AdvertisedHost,
  chooseAdvertisedHost,
  chooseNodeIp,
  decideServingNames,
  type HostFacts,
  parseDefaultInterfaces,
  parseNodeName,
  toNodeSubject,
} from "./node_name.ts";
import fc from "../../tests/support/properties.ts";

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

const HOST: HostFacts = {
  hostname: "n1",
  resolved: [],
  interfaces: [
    { name: "lo", addresses: ["127.0.0.1", "::1"] },
    { name: "eth0", addresses: ["fe80::1", "2001:db8::5", "10.0.0.5"] },
    { name: "docker0", addresses: ["172.17.0.1"] },
  ],
  defaultInterfaces: ["eth0"],
};

for (
  const { name, edit, want } of [
    { name: "a name that is an address", edit: { hostname: "10.9.9.9" }, want: "10.9.9.9" },
    { name: "the address that the name resolves to", edit: { resolved: ["172.17.0.1"] }, want: "172.17.0.1" },
    { name: "IPv4 before IPv6", edit: { resolved: ["2001:db8::5", "10.0.0.5"] }, want: "10.0.0.5" },
    { name: "IPv6 when the name has no other", edit: { resolved: ["2001:db8:0::5"] }, want: "2001:db8::5" },
    { name: "no loopback of /etc/hosts", edit: { resolved: ["127.0.1.1", "127.0.0.1"] }, want: "10.0.0.5" },
    { name: "no address of another host", edit: { resolved: ["192.0.2.77"] }, want: "10.0.0.5" },
    { name: "the interface of the default route", edit: {}, want: "10.0.0.5" },
    { name: "the interface of another default route", edit: { defaultInterfaces: ["docker0"] }, want: "172.17.0.1" },
    { name: "the first usable address without a default route", edit: { defaultInterfaces: [] }, want: "10.0.0.5" },
    {
      name: "nothing on a host with only loopback",
      edit: { interfaces: HOST.interfaces.slice(0, 1) },
      want: undefined,
    },
    {
      name: "nothing that is link-local, multicast or unspecified",
      edit: {
        interfaces: [{ name: "eth0", addresses: ["169.254.7.7", "fe80::7", "224.0.0.1", "ff02::1", "0.0.0.0", "::"] }],
      },
      want: undefined,
    },
    {
      name: "IPv6 on a host without IPv4",
      edit: { interfaces: [{ name: "eth0", addresses: ["fe80::1", "2001:db8::5"] }] },
      want: "2001:db8::5",
    },
  ]
) {
  test(`chooseNodeIp() returns ${name}`, () => assert.equal(chooseNodeIp({ ...HOST, ...edit }), want));
}

for (
  const { name, bind, advertise, edit, want } of [
    { name: "the advertised name", bind: "0.0.0.0", advertise: "boot.example.com", want: { host: "boot.example.com" } },
    { name: "the bound address", bind: "10.0.0.9", want: { host: "10.0.0.9" } },
    { name: "loopback where the server listens only there", bind: "::1", want: { host: "::1" } },
    {
      name: "the IPv4 address of the default route for 0.0.0.0",
      bind: "0.0.0.0",
      edit: { interfaces: [...HOST.interfaces].reverse() },
      want: { host: "10.0.0.5", others: ["172.17.0.1"] },
    },
    { name: "the IPv6 address for ::", bind: "::", want: { host: "2001:db8::5", others: ["10.0.0.5", "172.17.0.1"] } },
    {
      name: "the same for :: in full",
      bind: "0:0:0:0:0:0:0:0",
      want: { host: "2001:db8::5", others: ["10.0.0.5", "172.17.0.1"] },
    },
    {
      name: "IPv4 for :: on a host without IPv6",
      bind: "::",
      edit: { interfaces: [{ name: "eth0", addresses: ["fe80::1", "10.0.0.5"] }] },
      want: { host: "10.0.0.5", others: [] },
    },
    {
      name: "127.0.0.1 for 0.0.0.0 on a host without another IPv4 address",
      bind: "0.0.0.0",
      edit: { interfaces: [{ name: "eth0", addresses: ["fe80::1", "2001:db8::5"] }] },
      want: { host: "127.0.0.1", others: [] },
    },
    {
      name: "the first usable address without a default route",
      bind: "0.0.0.0",
      edit: { defaultInterfaces: [] },
      want: { host: "10.0.0.5", others: ["172.17.0.1"] },
    },
  ] as readonly { name: string; bind: string; advertise?: string; edit?: Partial<HostFacts>; want: AdvertisedHost }[]
) {
  test(`chooseAdvertisedHost() returns ${name}`, () => {
    assert.deepEqual(chooseAdvertisedHost(bind, advertise, { ...HOST, ...edit }), want);
  });
}

const NONE = { dnsNames: [], ipAddresses: [] };

for (
  const { name, given, edit, want } of [
    { name: "the host's", given: NONE, edit: {}, want: { dnsNames: ["n1"], ipAddresses: ["10.0.0.5"] } },
    {
      name: "given names, with the host's address",
      given: { dnsNames: ["b.example", "A.example", "b.example"], ipAddresses: [] },
      edit: {},
      want: { dnsNames: ["a.example", "b.example"], ipAddresses: ["10.0.0.5"] },
    },
    {
      name: "given addresses, canonical and sorted as text, with the host's name",
      given: { dnsNames: [], ipAddresses: ["2001:DB8:0::9", "10.0.0.9", "10.0.0.10"] },
      edit: {},
      want: { dnsNames: ["n1"], ipAddresses: ["10.0.0.10", "10.0.0.9", "2001:db8::9"] },
    },
    {
      name: "an address as a name among the addresses",
      given: NONE,
      edit: { hostname: "10.0.0.7" },
      want: { dnsNames: [], ipAddresses: ["10.0.0.7"] },
    },
    {
      name: "no address on a host without one",
      given: NONE,
      edit: { interfaces: [] },
      want: { dnsNames: ["n1"], ipAddresses: [] },
    },
  ]
) {
  test(`decideServingNames() returns ${name}`, () =>
    assert.deepEqual(decideServingNames(given, { ...HOST, ...edit }), want));
}

test("parseDefaultInterfaces() reads Linux's tables, IPv4 first, without the loopback interface", () => {
  const ipv4 = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n" +
    "eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n" +
    "eth0\t0000000A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n" +
    "tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0\n";
  const zero = "0".repeat(32);
  const ipv6 = `20010db8000000000000000000000000 40 ${zero} 00 ${zero} 00000100 00000001 00000000 00000001     eth0\n` +
    `${zero} 00 ${zero} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth1\n` +
    `${zero} 00 ${zero} 00 ${zero} ffffffff 00000001 00000000 00200200       lo\n`;
  assert.deepEqual(parseDefaultInterfaces(ipv4, ipv6), ["eth0", "eth1"]);
  assert.deepEqual(parseDefaultInterfaces("", ""), []);
});

test("parseDefaultInterfaces() reads any text without throwing", () => {
  fc.assert(fc.property(fc.string(), fc.string(), (a, b) => Array.isArray(parseDefaultInterfaces(a, b))));
});
