import assert from "node:assert/strict";
import { inspect } from "node:util";
import { test } from "node:test";
import fc from "../../../tests/support/properties.ts";
import { Secret } from "../../lib/brand.ts";
import { encodeKubeconfig, type Kubeconfig, parseKubeconfig, replaceEmbeddedCa } from "./kubeconfig.ts";

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
    { text: "a", want: "the file: want a mapping, found a string" },
    { text: "- a", want: "the file: want a mapping, found a list" },
    { text: "a: [", want: "not YAML: " },
    { text: "a: 1\na: 2", want: "not YAML: " },
    { text: "kind: Pod", want: 'kind: want "Config", found "Pod"' },
    { text: "apiVersion: v2", want: 'apiVersion: want "v1", found "v2"' },
    { text: "users: {}", want: "users: want a list, found a mapping" },
    { text: "users: [a]", want: "users[0]: want a mapping, found a string" },
    { text: "users: [{name: a, user: {token: 12}}]", want: "users[0].user.token: want text, found a number" },
    { text: "users: [{name: a}, {name: a}]", want: 'users[1].name: "a" is there twice' },
    {
      text: "clusters: [{name: c, cluster: {certificate-authority-data: '@'}}]",
      want: "clusters[0].cluster.certificate-authority-data: not base64",
    },
    {
      text: "clusters: [{name: c, cluster: {insecure-skip-tls-verify: 1}}]",
      want: "clusters[0].cluster.insecure-skip-tls-verify: want true or false, found a number",
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

const FROM = "-----BEGIN CERTIFICATE-----\nb2xkIENB+/==\n-----END CERTIFICATE-----\n";
const TO = "-----BEGIN CERTIFICATE-----\nbmV3IENB\n-----END CERTIFICATE-----\n";
const [from, to, longer] = [FROM, TO, FROM + FROM].map((text) => btoa(text)) as [string, string, string];
const wrapped = from.replace(/.{20}/g, "$&\n      ");
const rest = `contexts:
- { name: x, context: { cluster: c, user: u } }   # spaces   stay
users:
- name: u
  user:
    client-certificate-data: ${longer}
    client-key-data: ${btoa("key")}
    exec: { command: aws }
    colour: red
current-context: x
`;

function cluster(value: string): string {
  return `clusters:\n- name: c\n  cluster:\n    server: https://a\n    certificate-authority-data: ${value}\n${rest}`;
}

for (
  const { name, text, want } of [
    { name: "a plain value", text: cluster(from), want: cluster(to) },
    { name: "a quoted value", text: cluster(`"${from}"`), want: cluster(`"${to}"`) },
    { name: "a value over several lines", text: cluster(`|\n      ${wrapped}`), want: cluster(`|\n      ${to}`) },
    {
      name: "carriage returns",
      text: cluster(from).replaceAll("\n", "\r\n"),
      want: cluster(to).replaceAll("\n", "\r\n"),
    },
    {
      name: "JSON",
      text: `{"clusters":[{"name":"c","cluster":{"certificate-authority-data":"${from}","server":"https://a"}}]}`,
      want: `{"clusters":[{"name":"c","cluster":{"certificate-authority-data":"${to}","server":"https://a"}}]}`,
    },
    {
      name: "another address of the cluster, and another cluster",
      text: `clusters:
- { name: a, cluster: { server: "https://a", certificate-authority-data: ${from} } }
- { name: b, cluster: { server: "https://b", certificate-authority-data: ${from} } }
- { name: c, cluster: { server: "https://c", certificate-authority-data: ${longer} } }
`,
      want: `clusters:
- { name: a, cluster: { server: "https://a", certificate-authority-data: ${to} } }
- { name: b, cluster: { server: "https://b", certificate-authority-data: ${to} } }
- { name: c, cluster: { server: "https://c", certificate-authority-data: ${longer} } }
`,
    },
  ]
) {
  test(`replaceEmbeddedCa() changes the CA and no other byte: ${name}`, () => {
    assert.deepEqual(replaceEmbeddedCa(text, "k", { from: FROM, to: TO }), { ok: true, value: want });
  });
}

for (
  const { name, text, error } of [
    { name: "no YAML", text: "a: [", error: /^cannot parse kubeconfig "k": not YAML/ },
    {
      name: "the CA is also a user's certificate",
      text: cluster(from).replace(longer, from),
      error: /^cannot replace the CA in kubeconfig "k": the value of certificate-authority-data was not found$/,
    },
    {
      name: "it is written with escapes",
      text: cluster(`"\\x4c${from.slice(1)}"`),
      error: /^cannot replace the CA in kubeconfig "k"/,
    },
  ]
) {
  test(`replaceEmbeddedCa() does not change a file in which ${name}`, () => {
    const result = replaceEmbeddedCa(text, "k", { from: FROM, to: TO });
    assert.match(result.ok ? "" : result.error, error);
  });
}
