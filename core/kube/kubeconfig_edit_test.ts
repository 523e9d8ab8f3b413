import assert from "node:assert/strict";
import { test } from "node:test";
import { Secret } from "../brand.ts";
import { editKubeconfig, type KubeconfigEdit } from "./kubeconfig_edit.ts";

const WHERE = { path: "/etc/k/config", baseDir: "/etc/k" };

function edited(text: string, ...edits: KubeconfigEdit[]): string {
  const result = editKubeconfig(text, edits, WHERE);
  assert.ok(result.ok, result.ok ? "" : result.error);
  return result.value;
}

test("editKubeconfig() makes the file that kubectl config makes", () => {
  const text = edited(
    "",
    {
      kind: "setCredentials",
      name: "u",
      edit: {
        clientCertificate: { kind: "pem", pem: "cert" },
        clientKey: { kind: "pem", pem: new Secret("key") },
      },
    },
    { kind: "setCredentials", name: "u", edit: { token: new Secret("abc") } },
    {
      kind: "setCredentials",
      name: "a",
      edit: {
        clientCertificate: { kind: "file", path: "/tmp/x/y.crt" },
        clientKey: { kind: "file", path: "/etc/k/tls/a.key" },
      },
    },
    { kind: "setCluster", name: "c", edit: { server: "https://x", insecureSkipTlsVerify: true } },
    {
      kind: "setCluster",
      name: "c",
      edit: {
        server: "https://y",
        certificateAuthority: { kind: "file", path: "/etc/k/ca.crt" },
        tlsServerName: "zz",
      },
    },
    { kind: "setContext", name: "x", edit: { cluster: "c", user: "a", namespace: "kube-system" } },
    { kind: "useContext", name: "x" },
  );
  // The same eight commands given to kubectl 1.37.2 made these bytes (with other PEM).
  assert.equal(
    text,
    `apiVersion: v1
clusters:
- cluster:
    certificate-authority: ca.crt
    server: https://y
    tls-server-name: zz
  name: c
contexts:
- context:
    cluster: c
    namespace: kube-system
    user: a
  name: x
current-context: x
kind: Config
users:
- name: a
  user:
    client-certificate: /tmp/x/y.crt
    client-key: tls/a.key
- name: u
  user:
    client-certificate-data: Y2VydA==
    client-key-data: a2V5
    token: abc
`,
  );
});

test("editKubeconfig() keeps comments and unknown keys", () => {
  const text = `# top
apiVersion: v1
kind: Config
clusters:
# mine
- name: c # why
  cluster:
    server: https://a # here
    foo: bar
    tls-server-name: gone
users: []
contexts: []
current-context: ""
`;
  assert.equal(
    edited(text, { kind: "setCluster", name: "c", edit: { server: "https://b" } }),
    text.replace("https://a", "https://b").replace("    tls-server-name: gone\n", ""),
  );
});

test("editKubeconfig() clears what kubectl clears", () => {
  const ca: KubeconfigEdit = {
    kind: "setCluster",
    name: "c",
    edit: { server: "https://a", certificateAuthority: { kind: "pem", pem: "x" } },
  };
  assert.match(edited("", ca), /certificate-authority-data/);
  const insecure = edited("", ca, { kind: "setCluster", name: "c", edit: { insecureSkipTlsVerify: true } });
  assert.doesNotMatch(insecure, /certificate-authority/);
  assert.match(insecure, /insecure-skip-tls-verify: true/);
  const file = edited(insecure, {
    kind: "setCluster",
    name: "c",
    edit: { certificateAuthority: { kind: "file", path: "/ca" } },
  });
  assert.match(file, /certificate-authority: \/ca/);
  assert.doesNotMatch(file, /insecure/);
});

for (
  const { name, text, edit, want } of [
    {
      name: "a context that is not there",
      text: "",
      edit: { kind: "useContext", name: "x" },
      want: 'no context exists with the name: "x"',
    },
    { name: "a file of another shape", text: "- a", edit: { kind: "useContext", name: "x" }, want: "a list found" },
    { name: "a file that is not YAML", text: "a: [", edit: { kind: "useContext", name: "x" }, want: "not YAML" },
    { name: "no name", text: "", edit: { kind: "setContext", name: "", edit: {} }, want: "non-empty name" },
  ] satisfies { name: string; text: string; edit: KubeconfigEdit; want: string }[]
) {
  test(`editKubeconfig() refuses ${name}`, () => {
    const result = editKubeconfig(text, [edit], WHERE);
    assert.ok(!result.ok);
    assert.ok(result.error.includes(want), result.error);
  });
}
