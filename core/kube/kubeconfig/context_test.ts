import assert from "node:assert/strict";
import { test } from "node:test";
import { parseKubeconfig } from "./kubeconfig.ts";
import { isAbsolutePath, joinPath, resolveContext, type ResolvedCluster } from "./context.ts";
import { posix, win32 } from "node:path";
import fc from "../../../tests/support/properties.ts";

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

test("resolveContext() takes the current context, with paths beside the file", () => {
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

test("resolveContext() takes another context by name", () => {
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
    for (const { root, judge } of [{ root: "/", judge: posix }, { root: "C:\\", judge: win32 }]) {
      if (isAbsolutePath(path) || isAbsolutePath(base)) continue;
      const want = judge.join(root + base, path).replace(/(?<=[^\\/:])[\\/]$/, "");
      assert.equal(joinPath(root + base, path), want);
    }
  }));
});
