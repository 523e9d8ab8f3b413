import assert from "node:assert/strict";
import { inspect } from "node:util";
import { test } from "node:test";
import fc from "../../../tests/support/properties.ts";
import { Secret } from "../../lib/brand.ts";
import {
  encodeKubeconfig,
  isAbsolutePath,
  joinPath,
  type Kubeconfig,
  parseKubeconfig,
  replaceEmbeddedCa,
  resolveContext,
  type ResolvedCluster,
} from "./kubeconfig.ts";
import { posix, win32 } from "node:path";

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
    { text: "users: [{name: a}, {name: a}]", want: 'users[1].name: "a" occurs twice' },
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

test("parseKubeconfig() ignores unknown keys and reads an empty file as an empty configuration", () => {
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

/** Conformance R.1: two contexts, the second is current, paths relative to the file. */
const TWO = `
apiVersion: v1
kind: Config
clusters:
- {name: cluster-a, cluster: {server: "https://cluster-a.com"}}
- {name: cluster-b, cluster: {server: "https://cluster-b.com/", certificate-authority: ca-b.crt}}
contexts:
- {name: context-a, context: {cluster: cluster-a, user: user-a}}
- {name: context-b, context: {cluster: cluster-b, user: user-b, namespace: ns}}
users:
- {name: user-a, user: {token: mytoken-a}}
- {name: user-b, user: {client-certificate: b.crt, client-key: /abs/b.key, tokenFile: sub/token}}
current-context: context-b
`;

function resolve(text: string, context?: string): ReturnType<typeof resolveContext> {
  const parsed = parseKubeconfig(text, "k");
  assert.ok(parsed.ok);
  return resolveContext(parsed.value, "/etc/k", context);
}

function resolved(text: string, context?: string): ResolvedCluster {
  const result = resolve(text, context);
  assert.ok(result.ok, result.ok ? "" : result.error);
  return result.value;
}

test("resolveContext() uses the current context, with paths relative to the file", () => {
  assert.deepEqual(resolved(TWO), {
    server: "https://cluster-b.com/",
    ca: { kind: "file", path: "/etc/k/ca-b.crt" },
    insecureSkipTlsVerify: false,
    tlsServerName: undefined,
    proxy: undefined,
    token: undefined,
    clientCertificate: { kind: "file", path: "/etc/k/b.crt" },
    clientKey: { kind: "file", path: "/abs/b.key" },
    tokenFile: "/etc/k/sub/token",
    namespace: "ns",
  });
});

test("resolveContext() uses another context by name", () => {
  const cluster = resolved(TWO, "context-a");
  assert.equal(cluster.server, "https://cluster-a.com");
  assert.equal(cluster.token?.reveal(), "mytoken-a");
});

const BASE = { cluster: "server: https://a", user: "token: t", context: "cluster: c, user: u", current: "x" };
function config(edit: Partial<typeof BASE>): string {
  const { cluster, user, context, current } = { ...BASE, ...edit };
  return `clusters: [{name: c, cluster: {${cluster}}}]
users: [{name: u, user: {${user}}}]
contexts: [{name: x, context: {${context}}}]
current-context: "${current}"`;
}

test("resolveContext() drops query and fragment of a server with a path", () => {
  assert.equal(resolved(config({ cluster: 'server: "https://a/k8s?x=1#y"' })).server, "https://a/k8s");
});

for (
  const { name, text, want } of [
    { name: "an empty configuration", text: "", want: "no configuration has been provided" },
    { name: "no current context", text: config({ current: "" }), want: "current-context is not set" },
    {
      name: "an unknown context",
      text: config({ current: "y" }),
      want: "context was not found for specified context: y",
    },
    { name: "no user", text: config({ context: "cluster: c" }), want: 'user was not specified for context "x"' },
    {
      name: "an unknown user",
      text: config({ context: "cluster: c, user: z" }),
      want: 'user "z" was not found for context "x"',
    },
    {
      name: "an unknown cluster",
      text: config({ context: "cluster: z, user: u" }),
      want: 'cluster "z" was not found for context "x"',
    },
    {
      name: "no server",
      text: config({ cluster: "tls-server-name: a" }),
      want: 'no server found for cluster "c"',
    },
    {
      name: "a CA twice",
      text: config({ cluster: "server: https://a, certificate-authority: a, certificate-authority-data: AAAA" }),
      want: "certificate-authority-data and certificate-authority are both specified for c",
    },
    {
      name: "a CA with certificate verification off",
      text: config({ cluster: "server: https://a, certificate-authority: a, insecure-skip-tls-verify: true" }),
      want: "specifying a root certificates file with the insecure flag is not allowed",
    },
    {
      name: "a certificate without a key",
      text: config({ user: "client-certificate: a" }),
      want: "client-key-data or client-key must be specified for u to use the clientCert authentication method",
    },
    {
      name: "a proxy of another kind",
      text: config({ cluster: "server: https://a, proxy-url: 'socks5://p'" }),
      want: 'invalid proxy-url for cluster "c": its scheme is "socks5": want http or https',
    },
    { name: "a plugin", text: config({ user: "exec: {command: x}" }), want: 'exec of user "u" is not supported' },
    { name: "impersonation", text: config({ user: "token: t, as: root" }), want: 'as of user "u" is not supported' },
  ]
) {
  test(`resolveContext() refuses ${name}`, () => {
    const result = resolve(text);
    assert.ok(!result.ok);
    assert.ok(result.error.includes(want), result.error);
  });
}

for (
  const { base, path, want } of [
    { base: "/etc/k", path: "ca.crt", want: "/etc/k/ca.crt" },
    { base: "/etc/k", path: "../x/./ca.crt", want: "/etc/x/ca.crt" },
    { base: "/etc/k", path: "/abs//ca.crt", want: "/abs//ca.crt" },
    { base: "/", path: "../a", want: "/a" },
    { base: ".", path: "a", want: "a" },
    { base: "a", path: "../../b", want: "../b" },
    { base: "a", path: "..", want: "." },
    { base: "C:\\k", path: "sub/ca.crt", want: "C:\\k\\sub\\ca.crt" },
    { base: "C:\\k", path: "D:/ca.crt", want: "D:/ca.crt" },
  ]
) {
  test(`joinPath() of "${base}" and "${path}" is "${want}"`, () => assert.equal(joinPath(base, path), want));
}

const part = fc.constantFrom("a", "b.c", ".", "..", "");

test("joinPath() agrees with node:path on POSIX and on Windows", () => {
  const parts = fc.array(part, { minLength: 1, maxLength: 6 }).map((list) => list.join("/"));
  fc.assert(fc.property(parts, parts, (base, path) => {
    for (const { root, reference } of [{ root: "/", reference: posix }, { root: "C:\\", reference: win32 }]) {
      if (isAbsolutePath(path) || isAbsolutePath(base)) continue;
      const want = reference.join(root + base, path).replace(/(?<=[^\\/:])[\\/]$/, "");
      assert.equal(joinPath(root + base, path), want);
    }
  }));
});
