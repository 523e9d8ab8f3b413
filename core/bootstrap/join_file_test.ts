import assert from "node:assert/strict";
import { test } from "node:test";
import { createIssuingCa } from "../../tests/support/issuing_ca.ts";
import { Secret } from "../lib/brand.ts";
import { parseKubeconfig } from "../kube/kubeconfig.ts";
import { parseCaBundle } from "../pki/ca_bundle.ts";
import { publicKeyPin } from "../pki/public_key_pin.ts";
import { formatJoinFile, parseJoinFile } from "./join_file.ts";
import type { NodeName } from "./node_name.ts";

const { caPem } = await createIssuingCa(new Date("2026-01-01T00:00:00Z"));
const bundle = parseCaBundle(caPem);
assert.ok(bundle.ok);
const pins = bundle.value.map(publicKeyPin);
const text = formatJoinFile({
  node: "n1" as NodeName,
  target: { server: "https://192.0.2.1:6443", caPem, pins },
  token: { id: "abcdef", secret: new Secret("0123456789abcdef") },
  expiration: new Date("2026-01-01T00:30:00Z"),
  fileName: "n1.kubeconfig",
});

test("parseJoinFile() finds the machine of a join file", () => {
  assert.deepEqual(parseJoinFile(text, "n1.kubeconfig"), {
    ok: true,
    value: { node: "n1", kubeconfig: "/etc/kubernetes/kubelet.conf", certDir: "/var/lib/kubelet/pki" },
  });
});

test("a join file is a bootstrap kubeconfig, and its head has the commands and the pin", () => {
  const config = parseKubeconfig(text, "n1.kubeconfig");
  assert.ok(config.ok);
  assert.equal(config.value.users[0]?.user.token?.reveal(), "abcdef.0123456789abcdef");
  assert.equal(config.value.clusters[0]?.cluster.certificateAuthorityData, caPem);
  const head = text.split("\n").filter((line) => line.startsWith("#")).join("\n");
  assert.match(head, /machine n1 join https:\/\/192\.0\.2\.1:6443, until 2026-01-01T00:30:00Z/);
  assert.match(head, /tlsboot bootstrap --join n1\.kubeconfig\n/);
  assert.match(head, /kubeadm join 192\.0\.2\.1:6443 .* --node-name n1\n/);
  assert.ok(head.endsWith(`CA: ${pins[0]}`));
});

for (
  const { name, edit, want } of [
    { name: "not YAML", edit: () => "{", want: /not YAML/ },
    {
      name: "another kubeconfig",
      edit: () => text.replace("tlsboot.join", "other"),
      want: /no extension "tlsboot\.join"/,
    },
    { name: "a malformed node", edit: () => text.replace("node: n1", "node: N_1"), want: /invalid node name/ },
    { name: "no node", edit: () => text.replace("node: n1", "other: n1"), want: /names no node/ },
    { name: "no folder", edit: () => text.replace("certDir:", "other:"), want: /no folder for certificates/ },
  ]
) {
  test(`parseJoinFile() refuses ${name}`, () => {
    const parsed = parseJoinFile(edit(), "n1.kubeconfig");
    assert.ok(!parsed.ok);
    assert.match(parsed.error, want);
  });
}
