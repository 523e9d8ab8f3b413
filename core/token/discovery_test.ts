import assert from "node:assert/strict";
import { test } from "node:test";
import { createIssuingCa } from "../../tests/support/issuing_ca.ts";
import { Secret } from "../lib/brand.ts";
import type { ConfigMap } from "../kube/kinds/core_v1.ts";
import { parseCaBundle } from "../pki/x509/ca_bundle.ts";
import { publicKeyPin } from "../pki/keys/public_key_pin.ts";
import { encodeClusterInfo } from "./cluster_info.ts";
import { checkClusterInfoSignature, checkPins, signDetached } from "./cluster_info_signatures.ts";

const TOKEN = { id: "abcdef", secret: new Secret("0123456789abcdef") };
const KUBECONFIG = "any text";
const SIGNATURE = signDetached(KUBECONFIG, TOKEN.id, TOKEN.secret);
const NOW = new Date("2026-01-01T00:00:00Z");
const [ours, theirs] = [createIssuingCa(NOW), createIssuingCa(NOW, "theirs")];
const SERVER = "https://192.0.2.1:6443";

function clusterInfo(data: Record<string, string>): ConfigMap {
  return { metadata: { name: "cluster-info", namespace: "kube-public" }, data };
}

for (
  const { name, data, want } of [
    { name: "its own", data: { kubeconfig: KUBECONFIG, "jws-kubeconfig-abcdef": SIGNATURE }, want: "signed" },
    { name: "none", data: { kubeconfig: KUBECONFIG }, want: "unsigned" },
    { name: "an empty one", data: { kubeconfig: KUBECONFIG, "jws-kubeconfig-abcdef": "" }, want: "unsigned" },
    { name: "another token's", data: { kubeconfig: KUBECONFIG, "jws-kubeconfig-123456": SIGNATURE }, want: "unsigned" },
    {
      name: "one of another text",
      data: { kubeconfig: `${KUBECONFIG}.`, "jws-kubeconfig-abcdef": SIGNATURE },
      want: "refused",
    },
    {
      name: "one by another secret",
      data: {
        kubeconfig: KUBECONFIG,
        "jws-kubeconfig-abcdef": signDetached(KUBECONFIG, TOKEN.id, new Secret("fedcba9876543210")),
      },
      want: "refused",
    },
    {
      name: "one under another id",
      data: { kubeconfig: KUBECONFIG, "jws-kubeconfig-abcdef": signDetached(KUBECONFIG, "123456", TOKEN.secret) },
      want: "refused",
    },
    { name: "no kubeconfig", data: { "jws-kubeconfig-abcdef": SIGNATURE }, want: "refused" },
  ]
) {
  test(`checkSignature() is ${want} with ${name}`, () => {
    assert.equal(checkClusterInfoSignature(clusterInfo(data), TOKEN).kind, want);
  });
}

async function computePin(ca: ReturnType<typeof createIssuingCa>) {
  const bundle = parseCaBundle((await ca).caPem);
  assert.ok(bundle.ok && bundle.value[0] !== undefined);
  return publicKeyPin(bundle.value[0]);
}

test("checkPins() accepts a CA with the hash, or with one of the hashes", async () => {
  const caPem = (await ours).caPem;
  for (const pins of [[await computePin(ours)], [await computePin(theirs), await computePin(ours)]]) {
    const cluster = checkPins(encodeClusterInfo({ server: SERVER, caPem }), pins);
    assert.ok(cluster.ok);
    assert.deepEqual(cluster.value, { server: SERVER, caPem, pinnedPem: caPem });
  }
});

test("checkPins() lets only the pinned certificates of a bundle vouch for the server", async () => {
  const caPem = (await theirs).caPem + (await ours).caPem;
  const cluster = checkPins(encodeClusterInfo({ server: SERVER, caPem }), [await computePin(ours)]);
  assert.ok(cluster.ok);
  assert.deepEqual(cluster.value, { server: SERVER, caPem, pinnedPem: (await ours).caPem });
});

test("checkPins() names the actual hash", async () => {
  const caPem = (await theirs).caPem;
  const cluster = checkPins(encodeClusterInfo({ server: SERVER, caPem }), [await computePin(ours)]);
  assert.deepEqual(cluster, {
    ok: false,
    error: `its CA has the hash ${await computePin(theirs)}, which was not given`,
  });
});

for (
  const { name, edit, want } of [
    { name: "no CA", edit: (text: string) => text.replace(/ +certificate-authority-data: .*\n/, ""), want: /its CA/ },
    { name: "plain HTTP", edit: (text: string) => text.replace("https:", "http:"), want: /not an https URL/ },
    { name: "no kubeconfig", edit: () => "a: [", want: /cannot parse kubeconfig "cluster-info"/ },
    {
      name: "two clusters",
      edit: (text: string) => text.replace("contexts", "- cluster: {server: https://x}\n  name: x\ncontexts"),
      want: /its kubeconfig has 2 clusters, want one/,
    },
  ]
) {
  test(`checkPins() refuses ${name}`, async () => {
    const text = encodeClusterInfo({ server: SERVER, caPem: (await ours).caPem });
    const cluster = checkPins(edit(text), [await computePin(ours)]);
    assert.ok(!cluster.ok);
    assert.match(cluster.error, want);
  });
}
