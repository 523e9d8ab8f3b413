import assert from "node:assert/strict";
import { test } from "node:test";
import { createIssuingCa } from "../../tests/support/issuing_ca.ts";
import { Secret } from "../lib/brand.ts";
import type { ConfigMap } from "../kube/kinds/core_v1.ts";
import { parseCaBundle } from "../pki/ca_bundle.ts";
import { parsePublicKeyPin, publicKeyPin } from "../pki/public_key_pin.ts";
import { encodeClusterInfo } from "./cluster_info.ts";
import { formatJoinCommands, parseJoinTarget } from "./join_command.ts";

const NOW = new Date("2026-01-01T00:00:00Z");
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
    value: { server: "https://192.0.2.1:6443", caPem, pins: bundle.value.map(publicKeyPin) },
  });
});

for (
  const { name, kubeconfig, want } of [
    { name: "nothing", kubeconfig: "", want: /names no server/ },
    ...["https://a$(id)", "https://a;id", "https://a/\nid", "https://a`id`:1", "https://a/$(id)", "https://a/b c"].map((
      server,
    ) => ({
      name: `a server that a shell would read: ${JSON.stringify(server)}`,
      kubeconfig: encodeClusterInfo({ server, caPem: "" }),
      want: /names no server|no place in a command/,
    })),
    ...["http://a", "https://a:99999", "https://999.1.1.1", "https://[::::]", "a:6443"].map((server) => ({
      name: `a server that is none: ${server}`,
      kubeconfig: encodeClusterInfo({ server, caPem: "" }),
      want: /names no server/,
    })),
    { name: "no CA", kubeconfig: encodeClusterInfo({ server: "https://a", caPem: "" }), want: /the CA in/ },
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
    assert.deepEqual(formatJoinCommands({ server, pins }, TOKEN), {
      tlsboot: `tlsboot bootstrap --server ${server} --token abcdef.0123456789abcdef --ca-cert-hash ${pins[0]} ` +
        `--ca-cert-hash ${pins[1]} --kubeconfig /etc/kubernetes/kubelet.conf --cert-dir /var/lib/kubelet/pki`,
      kubeadm: `kubeadm join ${endpoint} --token abcdef.0123456789abcdef ` +
        `--discovery-token-ca-cert-hash ${pins[0]} --discovery-token-ca-cert-hash ${pins[1]}`,
    });
  });
}
