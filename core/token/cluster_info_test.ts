import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConfigMap, SecretObject as KubeSecret } from "../kube/kinds/core_v1.ts";
import {
  checkClusterInfoSignature,
  checkPins,
  createClusterInfoRbac,
  encodeClusterInfo,
  isLoopbackServer,
  planClusterInfo,
  signClusterInfo,
  signDetached,
} from "./cluster_info.ts";
import { createTokenSecret } from "./token_secret.ts";
import { Secret } from "../lib/brand.ts";
import { parseCaBundle } from "../pki/x509/ca_bundle.ts";
import { publicKeyPin } from "../pki/keys/key_names.ts";
import { createIssuingCa } from "../../tests/support/issuing_ca.ts";

const CA = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
const CLUSTER = { server: "https://192.0.2.1:6443", caPem: CA };

function published(kubeconfig: string): ConfigMap {
  return {
    metadata: { name: "cluster-info", namespace: "kube-public", resourceVersion: "7" },
    data: { kubeconfig, "jws-kubeconfig-abcdef": "signature" },
  };
}

test("encodeClusterInfo() matches kubeadm: one unnamed cluster without credentials", () => {
  const data = Buffer.from(CA).toString("base64");
  assert.equal(
    encodeClusterInfo(CLUSTER),
    `apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: ${data}
    server: https://192.0.2.1:6443
  name: ""
contexts: null
current-context: ""
kind: Config
users: null
`,
  );
});

for (
  const { name, existing, want } of [
    { name: "nothing is published", existing: undefined, want: "create" },
    { name: "it is right", existing: published(encodeClusterInfo(CLUSTER)), want: "none" },
    {
      name: "it names this machine only",
      existing: published(encodeClusterInfo({ ...CLUSTER, server: "https://127.0.0.1:6443" })),
      want: "update",
    },
    {
      name: "it names a load balancer",
      existing: published(encodeClusterInfo({ ...CLUSTER, server: "https://lb.example:443" })),
      want: "foreign",
    },
    {
      name: "it has another CA",
      existing: published(encodeClusterInfo({ ...CLUSTER, caPem: CA.replace("AA", "BB") })),
      want: "update",
    },
    {
      name: "its CA is one of two now",
      existing: published(encodeClusterInfo({ ...CLUSTER, caPem: CA.replace("AA", "BB") + CA })),
      want: "update",
    },
    { name: "it is not a kubeconfig", existing: published("nothing: [of that"), want: "update" },
    { name: "it is empty", existing: { metadata: { name: "cluster-info" } }, want: "update" },
  ] as const
) {
  test(`planClusterInfo() is ${want} when ${name}`, () => {
    assert.equal(planClusterInfo(existing, CLUSTER).kind, want);
  });
}

for (
  const [name, existing, want] of [
    ["nothing is published", undefined, "create"],
    ["the same is published", published(encodeClusterInfo(CLUSTER)), "none"],
    [
      "the first server is published",
      published(encodeClusterInfo({ ...CLUSTER, server: "https://[::1]:1" })),
      "foreign",
    ],
    [
      "another CA is published",
      published(encodeClusterInfo({ ...CLUSTER, caPem: CA.replace("AA", "BB") })),
      "otherCa",
    ],
    [
      "one of two CAs is published",
      published(encodeClusterInfo({ ...CLUSTER, caPem: CA.replace("AA", "BB") + CA })),
      "update",
    ],
    ["it is not a kubeconfig", published("nothing: [of that"), "update"],
  ] as const
) {
  test(`planClusterInfo() of several servers is ${want} when ${name}`, () => {
    assert.equal(planClusterInfo(existing, CLUSTER, { isShared: true }).kind, want);
  });
}

test("planClusterInfo() keeps the other keys of the map that it corrects", () => {
  const plan = planClusterInfo(published("x"), CLUSTER);
  assert.ok(plan.kind === "update");
  assert.equal(plan.configMap.metadata.resourceVersion, "7");
  assert.equal(plan.configMap.data?.["jws-kubeconfig-abcdef"], "signature");
  assert.equal(plan.configMap.data?.["kubeconfig"], encodeClusterInfo(CLUSTER));
});

test("createClusterInfoRbac() lets anonymous get cluster-info and nothing else", () => {
  const { role, roleBinding } = createClusterInfoRbac();
  assert.deepEqual(role.rules, [
    { verbs: ["get"], apiGroups: [""], resources: ["configmaps"], resourceNames: ["cluster-info"] },
  ]);
  assert.deepEqual(roleBinding.subjects?.map(({ kind, name }) => `${kind} ${name}`), ["User system:anonymous"]);
  assert.equal(roleBinding.roleRef.name, role.metadata.name);
});

test("planClusterInfo() keeps the address of a load balancer when the CA is replaced", () => {
  const caPem = CA + CA.replace("AA", "BB");
  const plan = planClusterInfo(published(encodeClusterInfo({ ...CLUSTER, server: "https://lb.example:443" })), {
    ...CLUSTER,
    caPem,
  });
  assert.ok(plan.kind === "update");
  assert.equal(plan.configMap.data?.["kubeconfig"], encodeClusterInfo({ server: "https://lb.example:443", caPem }));
});

for (
  const { server, want } of [
    { server: "https://127.0.0.1:6443", want: true },
    { server: "https://localhost:6443", want: true },
    { server: "https://[::1]:6443", want: true },
    { server: "https://[::ffff:127.0.0.1]:6443", want: true },
    { server: "https://0.0.0.0:6443", want: true },
    { server: "https://[::]:6443", want: true },
    { server: "https://0.1.2.3:6443", want: true },
    { server: "https://n1.localhost:6443", want: true },
    { server: "https://169.254.10.1:6443", want: false },
    { server: "https://192.0.2.2:6443", want: false },
    { server: "https://boot.example.com:6443", want: false },
  ]
) {
  test(`isLoopbackServer() is ${want} for ${server}`, () => assert.equal(isLoopbackServer(server), want));
}

const NOW = new Date("2026-01-01T00:00:00Z");
const CONTENT = "a kubeconfig";

function map(data: Record<string, string> = {}): ConfigMap {
  return { metadata: { name: "cluster-info", namespace: "kube-public" }, data: { kubeconfig: CONTENT, ...data } };
}

function token(id: string, edit: Partial<Parameters<typeof createTokenSecret>[0]> = {}): KubeSecret {
  const base = {
    token: { id, secret: new Secret("0123456789abcdef") },
    usages: ["signing"],
    groups: [],
    description: "",
  };
  return createTokenSecret({ ...base, ...edit });
}

function signature(id: string): string {
  return signDetached(CONTENT, id, new Secret("0123456789abcdef"));
}

test("signClusterInfo() signs for each token with the usage signing, and removes other signatures", () => {
  const signed = signClusterInfo(
    map({ other: "kept", "jws-kubeconfig-gone00": "old", "jws-kubeconfig-aaaaaa": "wrong" }),
    [token("aaaaaa"), token("bbbbbb", { expiration: new Date("2026-01-01T00:00:01Z") })],
    NOW,
  );
  assert.deepEqual(signed?.data, {
    kubeconfig: CONTENT,
    other: "kept",
    "jws-kubeconfig-aaaaaa": signature("aaaaaa"),
    "jws-kubeconfig-bbbbbb": signature("bbbbbb"),
  });
});

test("signClusterInfo() has nothing to do for a map that is signed, or that has no kubeconfig", () => {
  assert.equal(
    signClusterInfo(map({ "jws-kubeconfig-aaaaaa": signature("aaaaaa") }), [token("aaaaaa")], NOW),
    undefined,
  );
  assert.equal(signClusterInfo(map(), [], NOW), undefined);
  assert.equal(signClusterInfo({ metadata: { name: "cluster-info" }, data: {} }, [token("aaaaaa")], NOW), undefined);
});

for (
  const { name, secret } of [
    { name: "that may not sign", secret: token("aaaaaa", { usages: ["authentication"] }) },
    { name: "that has expired", secret: token("aaaaaa", { expiration: NOW }) },
    { name: "of another type", secret: { ...token("aaaaaa"), type: "Opaque" } },
    { name: "under another name", secret: { ...token("aaaaaa"), metadata: { name: "bootstrap-token-bbbbbb" } } },
    {
      name: "with a malformed id",
      secret: { ...token("AAAAAA"), metadata: { name: "bootstrap-token-AAAAAA" } },
    },
    { name: "without a secret", secret: withoutValue(token("aaaaaa"), "token-secret") },
    { name: "whose end cannot be read", secret: withValue(token("aaaaaa"), "expiration", "soon") },
  ]
) {
  test(`signClusterInfo() does not sign for a token ${name}`, () => {
    assert.equal(signClusterInfo(map(), [secret], NOW), undefined);
  });
}

function withoutValue(secret: KubeSecret, key: string): KubeSecret {
  const { [key]: _, ...data } = secret.data ?? {};
  return { ...secret, data };
}

function withValue(secret: KubeSecret, key: string, value: string): KubeSecret {
  return { ...secret, data: { ...secret.data, [key]: Buffer.from(value).toString("base64") } };
}

const HEADER = "eyJhbGciOiJIUzI1NiIsImtpZCI6Impvc2h1YSJ9";

// The vectors of k8s.io/cluster-bootstrap v0.37.2, token/jws/jws_test.go.
for (
  const { name, content, secret, mac } of [
    {
      name: "a text",
      content: "Hello from the other side. I must have called a thousand times.",
      secret: "my voice is my passcode",
      mac: "VShe2taLd-YTrmWuRkcL_8QTNDHYxQIEBsAYYiIj1_8",
    },
    {
      name: "no text",
      content: "",
      secret: "my voice is my passcode",
      mac: "7Ui1ALizW4jXphVUB7xUqC9vLYLL9RZeOFfVLoB7Tgk",
    },
    {
      name: "a text with an empty key",
      content: "Hello from the other side. I must have called a thousand times.",
      secret: "",
      mac: "UfkqvDGiIFxrMnFseDj9LYJOLNrvjW8aHhF71mvvAs8",
    },
  ]
) {
  test(`signDetached() signs ${name} as cluster-bootstrap does`, () => {
    assert.equal(signDetached(content, "joshua", new Secret(secret)), `${HEADER}..${mac}`);
  });
}

const TOKEN = { id: "abcdef", secret: new Secret("0123456789abcdef") };
const KUBECONFIG = "any text";
const SIGNATURE = signDetached(KUBECONFIG, TOKEN.id, TOKEN.secret);
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

test("checkPins() reports the actual hash", async () => {
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
