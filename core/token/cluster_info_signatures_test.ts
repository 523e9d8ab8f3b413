import assert from "node:assert/strict";
import { test } from "node:test";
import { Secret } from "../lib/brand.ts";
import type { ConfigMap, SecretObject as KubeSecret } from "../kube/kinds/core_v1.ts";
import { signClusterInfo, signDetached } from "./cluster_info_signatures.ts";
import { createTokenSecret } from "./token_secret.ts";

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
      name: "with an id of the wrong form",
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
