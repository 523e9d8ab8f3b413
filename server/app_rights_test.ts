/** The permissions that a user needs in addition to the one for the route, over HTTP. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { buildCsr } from "../tests/support/csr_builder.ts";
import { createTestApp, createUser, type TestApp } from "../tests/support/test_app.ts";

const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const REVIEWS = "/apis/authorization.k8s.io/v1";
let app: TestApp;

describe("the permissions of users", () => {
  before(async () => void (app = await createTestApp()));
  after(() => app[Symbol.asyncDispose]());

  // `plugin/pkg/admission/certificates`, over HTTP.
  test("an approval requires permission for the signer in addition to the resource", async () => {
    await using world = await createTestApp();
    const grant = async (user: string, verb: string, subresource: string, signer: string) => {
      const name = `${user}-${verb}`;
      const rules = [
        {
          verbs: ["update"],
          apiGroups: ["certificates.k8s.io"],
          resources: [`certificatesigningrequests/${subresource}`],
        },
        { verbs: [verb], apiGroups: ["certificates.k8s.io"], resources: ["signers"], resourceNames: [signer] },
      ];
      const rbac = "/apis/rbac.authorization.k8s.io/v1";
      await world.send("POST", `${rbac}/clusterroles`, { body: { metadata: { name }, rules } });
      await world.send("POST", `${rbac}/clusterrolebindings`, {
        body: {
          metadata: { name },
          subjects: [{ kind: "User", name: user }],
          roleRef: { kind: "ClusterRole", name, apiGroup: "rbac.authorization.k8s.io" },
        },
      });
    };
    const csr = await buildCsr({ name: "csr", signerName: "example.com/something" });
    await world.send("POST", CSRS, { body: csr });
    await grant("exact", "approve", "approval", "example.com/something");
    await grant("domain", "approve", "approval", "example.com/*");
    await grant("other", "approve", "approval", "example.com/not-something");
    await grant("signer", "sign", "status", "example.com/something");
    await grant("wrong", "sign", "status", "example.com/not-something");
    const put = (user: string, subresource: string, type: string) =>
      world.send("PUT", `${CSRS}/csr/${subresource}?dryRun=All`, {
        body: {
          ...csr,
          spec: { ...csr.spec, signerName: "example.com/not-something" },
          status: { conditions: [{ type, status: "True" }] },
        },
        user: createUser(user),
      });
    assert.equal((await put("exact", "approval", "Approved")).code, 200);
    assert.equal((await put("domain", "approval", "Approved")).code, 200);
    const approving = await put("other", "approval", "Approved");
    assert.equal(approving.code, 403);
    assert.equal(
      approving.at("message"),
      'certificatesigningrequests.certificates.k8s.io "csr" is forbidden: user not permitted to approve requests with ' +
        'signerName "example.com/something"',
    );
    assert.equal((await put("signer", "status", "Failed")).code, 200);
    assert.match(
      String((await put("wrong", "status", "Failed")).at("message")),
      /user not permitted to sign requests with signerName "example\.com\/something"$/,
    );
    const unchanged = await world.send("PUT", `${CSRS}/csr/status`, { body: csr, user: createUser("wrong") });
    assert.equal(unchanged.code, 200);
    assert.equal((await put("nobody", "approval", "Approved")).code, 403);
  });

  test("create refuses system:masters for API clients, and the names of other nodes for nodes", async () => {
    const masters = await buildCsr({
      organizations: ["system:masters"],
      signerName: "kubernetes.io/kube-apiserver-client",
    });
    const refused = await app.send("POST", CSRS, { body: masters });
    assert.equal(refused.code, 403);
    assert.equal(
      refused.at("message"),
      'certificatesigningrequests.certificates.k8s.io "csr-1" is forbidden: use of kubernetes.io/kube-apiserver-client ' +
        "signer with system:masters group is not allowed",
    );
    const node = createUser("system:node:mynode", "system:nodes");
    const post = async (name: string, commonName: string, signerName: string) =>
      await app.send("POST", CSRS, { body: await buildCsr({ name, commonName, signerName }), user: node });
    assert.equal((await post("own", "system:node:mynode", "kubernetes.io/kubelet-serving")).code, 201);
    assert.equal((await post("free", "system:node:other", "example.com/x")).code, 201);
    const other = await post("other", "system:node:other", "kubernetes.io/kubelet-serving");
    assert.equal(
      other.at("message"),
      'certificatesigningrequests.certificates.k8s.io "other" is forbidden: can only create a node CSR with ' +
        "CN=system:node:mynode",
    );
  });

  /** Grants a user a rule in all namespaces, or in one. */
  async function grant(username: string, rule: object, namespace = ""): Promise<void> {
    const rbac = "/apis/rbac.authorization.k8s.io/v1";
    const below = namespace === "" ? rbac : `${rbac}/namespaces/${namespace}`;
    const kind = namespace === "" ? "ClusterRole" : "Role";
    const metadata = { name: `grant-${username}` };
    const role = await app.send("POST", `${below}/${kind.toLowerCase()}s`, { body: { metadata, rules: [rule] } });
    assert.equal(role.code, 201);
    const binding = await app.send("POST", `${below}/${kind.toLowerCase()}bindings`, {
      body: {
        metadata,
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind, name: metadata.name },
        subjects: [{ kind: "User", apiGroup: "rbac.authorization.k8s.io", name: username }],
      },
    });
    assert.equal(binding.code, 201);
  }

  const NESTED = "/api/v1/namespaces/default/namespaces";
  const OTHER = { metadata: { name: "other" } };

  for (
    const [method, path, body] of [
      ["GET", NESTED],
      ["GET", `${NESTED}?watch=1`],
      ["POST", NESTED, OTHER],
      ["DELETE", NESTED],
      ["GET", `${NESTED}/kube-system`],
      ["PUT", `${NESTED}/kube-system`, { metadata: { name: "kube-system" } }],
      ["DELETE", `${NESTED}/kube-node-lease`],
      ["PUT", `${NESTED}/kube-system/finalize`, { metadata: { name: "kube-system" } }],
    ] as const
  ) {
    test(`${method} ${path} is not a path: permissions in one namespace do not apply to others`, async () => {
      const answer = await app.send(method, path, body === undefined ? {} : { body });
      assert.equal(answer.code, 404);
    });
  }

  test("permission to watch everything does not allow reviews for other users through the legacy watch path", async () => {
    await grant("watcher", { apiGroups: ["*"], resources: ["*"], verbs: ["list", "watch"] });
    const body = { spec: { user: "jane", resourceAttributes: { verb: "get", resource: "secrets" } } };
    const user = createUser("watcher");
    assert.equal((await app.send("POST", `${REVIEWS}/watch/subjectaccessreviews`, { user, body })).code, 404);
  });

  test("a PUT that creates an object requires permission to create in addition to update", async () => {
    const leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
    const body = { metadata: { name: "put" }, spec: {} };
    const rule = { apiGroups: ["coordination.k8s.io"], resources: ["leases"] };
    await grant("updater", { ...rule, verbs: ["update"] }, "default");
    const refused = await app.send("PUT", `${leases}/put`, { user: createUser("updater"), body });
    assert.equal(refused.code, 403);
    assert.equal(
      refused.at("message"),
      'leases.coordination.k8s.io "put" is forbidden: User "updater" cannot create resource "leases" in API group "coordination.k8s.io" in the namespace "default"',
    );
    await grant("creator", { ...rule, verbs: ["update", "create"] }, "default");
    assert.equal((await app.send("PUT", `${leases}/put`, { user: createUser("creator"), body })).code, 201);
  });
});
