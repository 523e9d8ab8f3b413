import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSnapshotHead, parseSnapshotObject } from "../storage/snapshot_lines.ts";
import { createTestApp, createUser } from "../../tests/support/test_app.ts";

const PATH = "/tlsboot/snapshot";

test("/tlsboot/snapshot answers every object at one revision", async () => {
  await using app = await createTestApp();
  const config = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "a" },
    data: { text: "x".repeat(1_500_000) },
  };
  for (const name of ["a", "b"]) {
    await app.send("POST", "/api/v1/namespaces/default/configmaps", { body: { ...config, metadata: { name } } });
  }
  const { items, revision } = await app.storage.list("/registry/");
  const { code, headers, text } = await app.send("GET", PATH);
  assert.deepEqual([code, headers.get("content-type")], [200, "application/x-ndjson"]);
  const [head = "", ...lines] = text.trimEnd().split("\n");
  assert.deepEqual(parseSnapshotHead(head), { ok: true, value: { revision, objects: items.length } });
  const keys = lines.map((line) => {
    const object = parseSnapshotObject(line);
    return object.ok ? object.value.key : object.error;
  });
  assert.deepEqual(keys, items.map(({ key }) => key));
});

test("/tlsboot/snapshot is read-only, and only for users with every permission", async () => {
  await using app = await createTestApp();
  const unprivileged = [
    createUser("jane"),
    createUser("m", "system:monitoring"),
    createUser("system:node:n1", "system:nodes"),
  ];
  for (const user of [...unprivileged, createUser("system:kube-controller-manager")]) {
    assert.equal((await app.send("GET", PATH, { user })).code, 403, user.username);
  }
  assert.equal((await app.send("GET", PATH, { user: undefined })).code, 403);
  assert.equal((await app.send("POST", PATH)).code, 405);
  assert.ok(!(await app.send("GET", "/")).text.includes(PATH), "the path is not listed");
});

for (
  const { name, rules, code } of [
    { name: "every path alone", rules: [], code: 403 },
    {
      name: "every path, and for reading everything",
      rules: [{ verbs: ["get", "list", "watch"], apiGroups: ["*"], resources: ["*"] }],
      code: 403,
    },
    {
      name: "every path, and for everything in one group",
      rules: [{ verbs: ["*"], apiGroups: [""], resources: ["*"] }],
      code: 403,
    },
    {
      name: "every path, and for everything",
      rules: [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"] }],
      code: 200,
    },
  ]
) {
  test(`/tlsboot/snapshot answers ${code} to a user with permission for ${name}`, async () => {
    await using app = await createTestApp();
    const roles = "/apis/rbac.authorization.k8s.io/v1";
    await app.send("POST", `${roles}/clusterroles`, {
      body: { metadata: { name: "some" }, rules: [{ verbs: ["*"], nonResourceURLs: ["*"] }, ...rules] },
    });
    await app.send("POST", `${roles}/clusterrolebindings`, {
      body: {
        metadata: { name: "some" },
        subjects: [{ kind: "User", name: "jane", apiGroup: "rbac.authorization.k8s.io" }],
        roleRef: { kind: "ClusterRole", name: "some", apiGroup: "rbac.authorization.k8s.io" },
      },
    });
    assert.equal((await app.send("GET", PATH, { user: createUser("jane") })).code, code);
  });
}
