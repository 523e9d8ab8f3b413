import assert from "node:assert/strict";
import { test } from "node:test";
import { replaceEmbeddedCa } from "./embedded_ca.ts";

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
