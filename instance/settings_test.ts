import assert from "node:assert/strict";
import { test } from "node:test";
import { createFilePort } from "../client/files.ts";
import { readEtcdEndpoints } from "./storage/etcd.ts";
import { readWebScope } from "./full_instance.ts";
import { parseWebDomain, parseWebName, parseWebNetwork } from "./settings.ts";

/** The longest name that a certificate can have as its common name: 64 characters. */
const LONGEST = `${"a".repeat(60)}.lan`;

for (
  const [text, want] of [
    ["home.lan", "home.lan"],
    ["Home.LAN", "home.lan"],
    ["bücher.example", "xn--bcher-kva.example"],
    [".home.lan", /without the dot in front/],
    ["home.lan.", /without the dot at the end/],
    ["*.home.lan", /without a star/],
    ["192.168.1.1", /the setting webNetwork/],
    ["192.168.1.0/24", /the setting webNetwork/],
    ["home..lan", /want a domain/],
    ["-home.lan", /want a domain/],
    ["home lan", /want a domain/],
    ["localhost", /every machine/],
    ["", /want a domain/],
    ["user@home.lan", /want a domain/],
    ["0x7f.1", /want a domain/],
    [LONGEST, LONGEST],
    [`a${LONGEST}`, /at most 64 characters/],
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

for (
  const [text, want] of [
    ["NAS.home.lan", "nas.home.lan"],
    ["*.home.lan", /wildcards are not supported/],
    ["192.168.1.7", /the setting ip/],
    ["0x7f.1", /want a DNS name/],
    ["a_b.home.lan", /want a DNS name/],
    ["nas.home.lan.", /want a DNS name/],
    ["user@home.lan", /want a DNS name/],
    ["", /want a DNS name/],
    [LONGEST, LONGEST],
    [`a${LONGEST}`, /at most 64 characters/],
  ] as const
) {
  test(`parseWebName() of "${text}"`, () => {
    const read = parseWebName(text);
    if (typeof want === "string") assert.deepEqual(read, { ok: true, value: want });
    else assert.match(read.ok ? "" : read.error, want);
  });
}

test("readWebScope() returns each domain and network once, regardless of notation", () => {
  const given = { webDomain: ["home.lan", "Home.LAN"], webNetwork: ["10.0.0.7", "10.0.0.7/32"] };
  assert.deepEqual(readWebScope(given, { warn: () => {} }), { domains: ["home.lan"], networks: ["10.0.0.7/32"] });
});

test("a domain, a network and a server of etcd that cannot be used are refused with the name of their setting", async () => {
  const logger = { warn: () => {} };
  const web = (webDomain: string, network: string) => () =>
    readWebScope({ webDomain: [webDomain], webNetwork: [network] }, logger);
  assert.throws(web("*.home.lan", "10.0.0.0/8"), {
    code: "usage",
    message: /^the setting webDomain: "\*\.home\.lan" found, name the/,
  });
  assert.throws(web("home.lan", "10.0.0.1/8"), {
    code: "usage",
    message: /^the setting webNetwork: "10\.0\.0\.1\/8" found, want/,
  });
  const etcd = readEtcdEndpoints({ etcdServers: ["etcd-0:2379"], etcdPrefix: "/registry" }, {
    files: createFilePort(),
    cwd: "/",
  });
  await assert.rejects(etcd, { code: "usage", message: /^the setting etcdServers: "etcd-0:2379" found, want a URL/ });
});
