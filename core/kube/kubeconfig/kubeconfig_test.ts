import assert from "node:assert/strict";
import { inspect } from "node:util";
import { test } from "node:test";
import fc from "../../../tests/support/properties.ts";
import { Secret } from "../../lib/brand.ts";
import { encodeKubeconfig, type Kubeconfig, parseKubeconfig } from "./kubeconfig.ts";

const PEM = "-----BEGIN X-----\nAAAA\n-----END X-----\n";

const FULL: Kubeconfig = {
  clusters: [{
    name: "c",
    cluster: { server: "https://a:6443", certificateAuthorityData: PEM, tlsServerName: "b", proxyUrl: "http://p" },
  }, { name: "d", cluster: { server: "https://d", insecureSkipTlsVerify: true } }],
  contexts: [{ name: "x", context: { cluster: "c", user: "u", namespace: "ns" } }],
  users: [
    { name: "u", user: { clientCertificate: "a.crt", clientKey: "/k/a.key", tokenFile: "t" } },
    { name: "v", user: { clientCertificateData: PEM, clientKeyData: new Secret(PEM), token: new Secret("123456.1") } },
  ],
  currentContext: "x",
};

test("encodeKubeconfig() writes the same text as kubectl", () => {
  assert.equal(
    encodeKubeconfig({
      clusters: [{ name: "c", cluster: { server: "https://a:6443", certificateAuthority: "/ca.crt" } }],
      contexts: [{ name: "y", context: { cluster: "c", user: "u" } }],
      users: [{ name: "u", user: { token: new Secret("123456.1234567890123456") } }],
      currentContext: "y",
    }),
    // Recorded from kubectl 1.37.2 config set-cluster, set-credentials, set-context, use-context.
    `apiVersion: v1
clusters:
- cluster:
    certificate-authority: /ca.crt
    server: https://a:6443
  name: c
contexts:
- context:
    cluster: c
    user: u
  name: "y"
current-context: "y"
kind: Config
users:
- name: u
  user:
    token: "123456.1234567890123456"
`,
  );
});

test("parseKubeconfig() reads the output of encodeKubeconfig()", () => {
  const parsed = parseKubeconfig(encodeKubeconfig(FULL), "k");
  assert.ok(parsed.ok);
  assert.equal(encodeKubeconfig(parsed.value), encodeKubeconfig(FULL));
  assert.equal(parsed.value.users[1]?.user.token?.reveal(), "123456.1");
});

test("parseKubeconfig() keeps any text through encodeKubeconfig()", () => {
  fc.assert(fc.property(fc.string({ minLength: 1 }), fc.string({ minLength: 1 }), (name, token) => {
    const config: Kubeconfig = {
      clusters: [{ name, cluster: { server: token } }],
      contexts: [],
      users: [{ name, user: { token: new Secret(token) } }],
      currentContext: name,
    };
    const parsed = parseKubeconfig(encodeKubeconfig(config), "k");
    assert.ok(parsed.ok);
    assert.equal(parsed.value.currentContext, name);
    assert.equal(parsed.value.users[0]?.user.token?.reveal(), token);
  }));
});

test("parseKubeconfig() never throws", () => {
  fc.assert(fc.property(fc.string(), (text) => {
    parseKubeconfig(text, "k");
  }));
});

for (
  const { text, want } of [
    { text: "a", want: "the file: a string found, a mapping expected" },
    { text: "- a", want: "the file: a list found, a mapping expected" },
    { text: "a: [", want: "not YAML: " },
    { text: "a: 1\na: 2", want: "not YAML: " },
    { text: "kind: Pod", want: 'kind: "Pod" found, "Config" expected' },
    { text: "apiVersion: v2", want: 'apiVersion: "v2" found, "v1" expected' },
    { text: "users: {}", want: "users: a mapping found, a list expected" },
    { text: "users: [a]", want: "users[0]: a string found, a mapping expected" },
    { text: "users: [{name: a, user: {token: 12}}]", want: "users[0].user.token: a number found, text expected" },
    { text: "users: [{name: a}, {name: a}]", want: 'users[1].name: "a" is there twice' },
    {
      text: "clusters: [{name: c, cluster: {certificate-authority-data: '@'}}]",
      want: "clusters[0].cluster.certificate-authority-data: not base64",
    },
    {
      text: "clusters: [{name: c, cluster: {insecure-skip-tls-verify: 1}}]",
      want: "clusters[0].cluster.insecure-skip-tls-verify: a number found, true or false expected",
    },
  ]
) {
  test(`parseKubeconfig() refuses ${JSON.stringify(text)}`, () => {
    const parsed = parseKubeconfig(text, "/k");
    assert.ok(!parsed.ok);
    assert.ok(parsed.error.startsWith(`cannot parse kubeconfig "/k": ${want}`), parsed.error);
  });
}

test("parseKubeconfig() ignores unknown keys and takes an empty file for an empty configuration", () => {
  const empty = { clusters: [], contexts: [], users: [], currentContext: "" };
  for (const text of ["", "---\n", "extensions: []\nfoo: bar\npreferences: {}", "clusters: null\nusers:"]) {
    assert.deepEqual(parseKubeconfig(text, "k"), { ok: true, value: empty });
  }
});

test("parseKubeconfig() returns secrets that cannot be printed", () => {
  const parsed = parseKubeconfig("users: [{name: a, user: {token: hunter2}}]", "k");
  assert.ok(!inspect(parsed, { depth: 9 }).includes("hunter2"));
  assert.ok(!JSON.stringify(parsed).includes("hunter2"));
});
