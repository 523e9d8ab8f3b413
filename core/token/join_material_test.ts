import assert from "node:assert/strict";
import { test } from "node:test";
import { createIssuingCa } from "../../tests/support/issuing_ca.ts";
import { Secret } from "../lib/brand.ts";
import type { ConfigMap } from "../kube/kinds/core_v1.ts";
import { parseKubeconfig } from "../kube/kubeconfig/kubeconfig.ts";
import { parseCaBundle } from "../pki/x509/ca_bundle.ts";
import { parsePublicKeyPin, publicKeyPin } from "../pki/keys/key_names.ts";
import { encodeClusterInfo } from "./cluster_info.ts";
import {
  encodeBootstrapKubeconfig,
  formatBootstrapKubeconfig,
  formatJoinCommands,
  parseJoinFile,
  parseJoinTarget,
} from "./join_material.ts";
import type { NodeName } from "../machine/node_name.ts";

const NOW = new Date("2026-01-01T00:00:00Z");
const { caPem } = await createIssuingCa(NOW);
const TOKEN = { id: "abcdef", secret: new Secret("0123456789abcdef") };

function clusterInfo(kubeconfig: string): ConfigMap {
  return { metadata: { name: "cluster-info" }, data: { kubeconfig } };
}

test("parseJoinTarget() has the server and the hash of each CA", async () => {
  const caPem = (await createIssuingCa(NOW)).caPem + (await createIssuingCa(NOW, "next")).caPem;
  const bundle = parseCaBundle(caPem);
  assert.ok(bundle.ok);
  const target = parseJoinTarget(clusterInfo(encodeClusterInfo({ server: "https://192.0.2.1:6443", caPem })));
  assert.deepEqual(target, {
    ok: true,
    value: { server: "https://192.0.2.1:6443", caPem, pins: bundle.value.map(publicKeyPin), isPublished: true },
  });
});

for (
  const { name, kubeconfig, want } of [
    { name: "nothing", kubeconfig: "", want: /cluster-info cannot be used: its kubeconfig has 0 clusters, want one/ },
    ...["https://a$(id)", "https://a;id", "https://a/\nid", "https://a`id`:1", "https://a/$(id)", "https://a/b c"].map((
      server,
    ) => ({
      name: `a server that a shell would read: ${JSON.stringify(server)}`,
      kubeconfig: encodeClusterInfo({ server, caPem }),
      want: /is not an https URL|not allowed in a command/,
    })),
    ...["http://a", "https://a:99999", "https://999.1.1.1", "https://[::::]", "a:6443"].map((server) => ({
      name: `an invalid server: ${server}`,
      kubeconfig: encodeClusterInfo({ server, caPem: "" }),
      want: /is not an https URL/,
    })),
    { name: "no CA", kubeconfig: encodeClusterInfo({ server: "https://a", caPem: "" }), want: /its CA cannot be read/ },
    { name: "something else", kubeconfig: "a: [", want: /cannot parse/ },
  ]
) {
  test(`parseJoinTarget() reports ${name}`, () => {
    const target = parseJoinTarget(clusterInfo(kubeconfig));
    assert.ok(!target.ok);
    assert.match(target.error, want);
  });
}

for (
  const { server, endpoint } of [
    { server: "https://192.0.2.1:6443", endpoint: "192.0.2.1:6443" },
    { server: "https://[2001:db8::1]:6443", endpoint: "[2001:db8::1]:6443" },
    { server: "https://lb.example", endpoint: "lb.example:443" },
    { server: "https://kube_api:6443/k8s/clusters/c-x", endpoint: "kube_api:6443" },
  ]
) {
  test(`formatJoinCommands() joins ${server}`, () => {
    const pins = ["0", "1"].map((digit) => parsePublicKeyPin(`sha256:${digit.repeat(64)}`))
      .flatMap((pin) => pin.ok ? [pin.value] : []);
    assert.deepEqual(formatJoinCommands({ server, pins, token: TOKEN, node: undefined }), {
      tlsboot: `tlsboot bootstrap --server ${server} --token abcdef.0123456789abcdef --ca-cert-hash ${pins[0]} ` +
        `--ca-cert-hash ${pins[1]} --kubeconfig /etc/kubernetes/kubelet.conf --cert-dir /var/lib/kubelet/pki`,
      kubeadm: `kubeadm join ${endpoint} --token abcdef.0123456789abcdef ` +
        `--discovery-token-ca-cert-hash ${pins[0]} --discovery-token-ca-cert-hash ${pins[1]}`,
    });
  });
}

const bundle = parseCaBundle(caPem);
assert.ok(bundle.ok);
const pins = bundle.value.map(publicKeyPin);
const material = {
  node: "n1" as NodeName,
  server: "https://192.0.2.1:6443",
  caPem,
  pins,
  isPublished: true,
  token: TOKEN,
  expiration: new Date("2026-01-01T00:30:00Z"),
};
const text = formatBootstrapKubeconfig(material, "n1.kubeconfig");

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

test("a bootstrap kubeconfig without a node names none, and kubeadm only where it finds the cluster", () => {
  const anyNode = { ...material, node: undefined, expiration: undefined, isPublished: false };
  const [first, second, third, ...others] = formatBootstrapKubeconfig(anyNode, "a b\n.kubeconfig").split("\n");
  assert.equal(
    first,
    "# This file lets machines join https://192.0.2.1:6443. It contains a token: copy it to those machines alone.",
  );
  assert.equal(
    second,
    "# On the machine: tlsboot bootstrap --bootstrap-kubeconfig 'a b.kubeconfig' --kubeconfig " +
      "/etc/kubernetes/kubelet.conf --cert-dir /var/lib/kubelet/pki",
  );
  assert.equal(third, `# CA: ${pins[0]}`);
  assert.equal(others.join("\n"), encodeBootstrapKubeconfig(material, TOKEN));
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
    { name: "no node", edit: () => text.replace("node: n1", "other: n1"), want: /has no node/ },
    { name: "no folder", edit: () => text.replace("certDir:", "other:"), want: /no folder for certificates/ },
  ]
) {
  test(`parseJoinFile() refuses ${name}`, () => {
    const parsed = parseJoinFile(edit(), "n1.kubeconfig");
    assert.ok(!parsed.ok);
    assert.match(parsed.error, want);
  });
}
