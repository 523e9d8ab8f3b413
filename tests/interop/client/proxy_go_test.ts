/** Compares our choice of a proxy with that of Go's httpproxy, which kubectl and kubelet use. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { findProxy } from "../../../core/lib/proxy.ts";
import { succeedProgram } from "../../support/child.ts";
import { peerPath } from "../../support/peers/go.ts";

const PROXIES = [
  "http://proxy.example:3128",
  "https://anna:x@proxy.example:444",
  "proxy.example:3128",
  "10.0.0.1:80",
  "",
];
const NAMES = ["example", "api.example", "apiexample", "localhost", "a.localhost", "xn--bcher-kva.example"];
const ADDRESSES = ["10.1.2.3", "127.0.0.1", "127.1.2.3", "0.0.0.0", "[::1]", "[fd12::1]", "[::ffff:10.1.2.3]"];
const ENTRIES = [
  ...["", "*", ".", "..", "*.", "example", "EXAMPLE", ".example", "*.example", "*.*.example", "*example", "ample"],
  ...[
    "bücher.example",
    ".bücher.example",
    "example.",
    "exam ple",
    "api.example/",
    "https://api.example",
    "a.localhost",
  ],
  ...["10.1.2.3", "10.1.2", "010.1.2.3", "::ffff:10.1.2.3", "fd12::1", "[fd12::1]", "fd12:0::1", "fd12::1%eth0"],
  ...["10.0.0.0/8", "10.9.9.9/8", "10.1.2.3/32", "10.0.0.0/33", "10.0.0.0/", "0.0.0.0/0", "::/0", "fd00::/8"],
  ...["::ffff:10.0.0.0/104", "fd00::/129", "example/8"],
];
const PORTS = ["", ":443", ":6443", ":", ":x"];

test("findProxy() chooses the same proxy as Go for every server", async () => {
  const servers = [...NAMES, ...ADDRESSES].flatMap((host) => [`https://${host}`, `https://${host}:6443`]);
  const entries = ENTRIES.flatMap((entry) => PORTS.map((port) => entry + port));
  const lists = [
    ...entries,
    ...entries.map((entry, index) => ` ${entry} ,\t${entries[(index * 7) % entries.length]},`),
  ];
  const questions = [
    ...PROXIES.flatMap((httpsProxy) => servers.map((url) => ({ httpsProxy, noProxy: "", url }))),
    ...lists.flatMap((noProxy) => servers.map((url) => ({ httpsProxy: "http://proxy.example:3128", noProxy, url }))),
  ];
  const stdin = questions.map((question) => JSON.stringify(question)).join("\n");
  const { stdout } = await succeedProgram(peerPath("proxychoice"), [], { stdin });
  const answers = stdout.trim().split("\n");
  assert.equal(answers.length, questions.length);
  const differences = questions.flatMap(({ httpsProxy, noProxy, url }, index) => {
    const found = findProxy(new URL(url), { HTTPS_PROXY: httpsProxy, NO_PROXY: noProxy });
    assert.ok(found.ok);
    const ours = found.value === undefined ? "direct" : `${found.value.host}:${found.value.port}`;
    return ours === answers[index] ? [] : [`"${httpsProxy}" "${noProxy}" ${url}: ${ours}, Go: ${answers[index]}`];
  });
  assert.deepEqual(differences, []);
});
