/** The permissions to approve and sign, and the CSR fields that only the server sets (`pkg/registry/certificates`). */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { before, test } from "node:test";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { buildCsr, type CsrOptions } from "../support/csr_builder.ts";
import type { Identity } from "../support/privilege/identities.ts";
import { MASTERS } from "../support/privilege/identities.ts";
import {
  certified,
  CSRS,
  describeTestedInstance,
  MERGE,
  RBAC,
  type TestedReply,
} from "../support/privilege/tested_instance.ts";

const GROUP = { apiGroups: ["certificates.k8s.io"] };
const requests = { ...GROUP, resources: ["certificatesigningrequests"] };
const KUBELET = "kubernetes.io/kube-apiserver-client-kubelet";
const SERVING = "kubernetes.io/kubelet-serving";
const CLIENT = "kubernetes.io/kube-apiserver-client";

const exact = certified("approves-exactly");
const domain = certified("approves-a-domain");
const other = certified("approves-another");
const withoutUpdate = certified("approves-without-update");
const signs = certified("signs");
const edits = certified("edits");
const requester = certified("requester");
const n1 = certified("system:node:n1", "system:nodes");
const nameless = certified("system:node:", "system:nodes");
const updatesStatus = certified("updates-status");
const USERS = [exact, domain, other, withoutUpdate, signs, edits, requester, n1, nameless, updatesStatus];

function signer(verb: string, ...resourceNames: readonly string[]): object {
  return { ...GROUP, resources: ["signers"], resourceNames, verbs: [verb] };
}

function onSubresource(name: string): object {
  return { ...GROUP, resources: [`certificatesigningrequests/${name}`], verbs: ["update", "patch"] };
}

const approved = { conditions: [{ type: "Approved", status: "True", reason: "R", message: "m" }] };
const denied = { conditions: [{ type: "Denied", status: "True", reason: "R", message: "m" }] };
const failed = { conditions: [{ type: "Failed", status: "True", reason: "R", message: "m" }] };
const NOT_APPROVE = 'user not permitted to approve requests with signerName "example.com/something"';
const NOT_SIGN = 'user not permitted to sign requests with signerName "example.com/something"';

describeTestedInstance("permissions of approvers and signers", USERS, (instance) => {
  let certificate = "";
  let made = 0;

  before(async () => {
    certificate = Buffer.from(instance.server.clientCaPem, "utf8").toString("base64");
    await instance.grant("approves-exactly", onSubresource("approval"), signer("approve", "example.com/something"));
    await instance.grant("approves-a-domain", onSubresource("approval"), signer("approve", "example.com/*"));
    await instance.grant("approves-another", onSubresource("approval"), signer("approve", "example.com/not-something"));
    await instance.grant("approves-without-update", signer("approve", "example.com/something"));
    await instance.grant("signs", onSubresource("status"), signer("sign", "example.com/something"));
    await instance.grant("edits", { ...requests, verbs: ["update", "patch", "create"] });
    await instance.grant("requester", { ...requests, verbs: ["create", "get"] });
  });

  async function submit(options: CsrOptions = {}, who: Identity = MASTERS): Promise<CertificateSigningRequest> {
    const csr = await buildCsr({ name: `csr-${++made}`, signerName: "example.com/something", ...options });
    const reply = await instance.as(who, "POST", CSRS, csr);
    assert.equal(reply.code, 201, reply.text);
    return JSON.parse(reply.text) as CertificateSigningRequest;
  }

  function put(
    who: Identity,
    csr: CertificateSigningRequest,
    sub: string,
    status: object,
    spec: object = {},
  ): Promise<TestedReply> {
    const body = { ...csr, spec: { ...csr.spec, ...spec }, status: { ...csr.status, ...status } };
    return instance.as(who, "PUT", `${CSRS}/${csr.metadata.name}${sub === "" ? "" : `/${sub}`}`, body);
  }

  for (
    const { name, who, status, code, message } of [
      { name: "who may approve for the exact signer", who: exact, status: approved, code: 200 },
      { name: "who may approve for its domain", who: domain, status: approved, code: 200 },
      { name: "who may approve for another signer", who: other, status: approved, code: 403, message: NOT_APPROVE },
      { name: "who denies for another signer", who: other, status: denied, code: 403, message: NOT_APPROVE },
      { name: "who may approve but not update /approval", who: withoutUpdate, status: approved, code: 403 },
      { name: "who may only sign", who: signs, status: approved, code: 403 },
      { name: "who is the requester", who: requester, status: approved, code: 403 },
    ]
  ) {
    test(`PUT /approval by a user ${name} gets ${code}`, async () => {
      const csr = await submit({}, who === requester ? requester : MASTERS);
      const reply = await put(who, csr, "approval", status);
      assert.equal(reply.code, code, reply.text);
      if (message !== undefined) {
        const subject = `certificatesigningrequests.certificates.k8s.io "${csr.metadata.name}"`;
        assert.equal(reply.message, `${subject} is forbidden: ${message}`);
      }
    });
  }

  test("the permission to approve is checked for the stored signer, not for the signer in the body", async () => {
    const csr = await submit();
    const reply = await put(other, csr, "approval", approved, { signerName: "example.com/not-something" });
    assert.equal(reply.code, 403, reply.text);
  });

  test("a node does not approve its own request", async () => {
    const csr = await submit({ signerName: KUBELET }, n1);
    const reply = await put(n1, csr, "approval", approved);
    assert.equal(reply.code, 403, reply.text);
  });

  for (
    const { name, who, status, code } of [
      { name: "a certificate by a user who may sign", who: signs, status: () => ({ certificate }), code: 200 },
      { name: "a failure by a user who may sign", who: signs, status: () => failed, code: 200 },
      { name: "a certificate by a user who may only approve", who: exact, status: () => ({ certificate }), code: 403 },
      { name: "an approval by a user who may sign", who: signs, status: () => approved, code: 422 },
    ]
  ) {
    test(`PUT /status of ${name} gets ${code}`, async () => {
      const reply = await put(who, await submit(), "status", status());
      assert.equal(reply.code, code, reply.text);
    });
  }

  test("a user who may update /status but not sign can write annotations, but neither a certificate nor a failure", async () => {
    await instance.grant("updates-status", onSubresource("status"));
    const csr = await submit();
    const path = `${CSRS}/${csr.metadata.name}/status`;
    for (const status of [{ certificate }, failed]) {
      const reply = await instance.as(updatesStatus, "PUT", path, { ...csr, status });
      assert.equal(reply.code, 403, reply.text);
      assert.ok(reply.message.endsWith(NOT_SIGN), reply.message);
    }
    const annotated = { metadata: { annotations: { a: "b" } } };
    const reply = await instance.as(updatesStatus, "PATCH", path, annotated, MERGE);
    assert.equal(reply.code, 200, reply.text);
  });

  test("a certificate that is sent to /approval is dropped", async () => {
    const reply = await put(exact, await submit(), "approval", { ...approved, certificate });
    assert.equal(reply.code, 200, reply.text);
    assert.equal(reply.at("status/certificate"), undefined);
  });

  test("a dry run of signing does not change the request", async () => {
    const csr = await submit();
    const path = `${CSRS}/${csr.metadata.name}/status`;
    const dry = await instance.as(signs, "PUT", `${path}?dryRun=All`, { ...csr, status: { certificate } });
    assert.equal(dry.code, 200, dry.text);
    const real = await instance.as(signs, "PUT", path, { ...csr, status: { certificate } });
    assert.equal(real.code, 200, "the next writer with the same resourceVersion succeeds");
  });

  test("a new request belongs to its requester, and is pending and unsigned, whatever its body contains", async () => {
    const csr = await buildCsr({ name: "forged-status", signerName: "example.com/something" });
    const reply = await instance.as(requester, "POST", CSRS, {
      ...csr,
      spec: { ...csr.spec, username: "root", uid: "0", groups: ["system:masters"], extra: { a: ["b"] } },
      status: { ...approved, certificate },
    });
    assert.equal(reply.code, 201, reply.text);
    assert.equal(reply.at("spec/username"), "requester");
    assert.deepEqual(reply.at("spec/groups"), ["system:authenticated"]);
    assert.equal(reply.at("spec/uid"), undefined);
    assert.deepEqual(Object.keys(reply.at("spec/extra") as object), ["authentication.kubernetes.io/credential-id"]);
    assert.deepEqual(reply.at("status"), {});
  });

  test("PUT on the request itself changes neither spec nor status", async () => {
    const csr = await submit();
    const forged = { signerName: CLIENT, username: "root", groups: ["system:masters"], usages: ["cert sign"] };
    const reply = await put(edits, csr, "", { ...approved, certificate }, forged);
    assert.equal(reply.code, 200, reply.text);
    assert.deepEqual(reply.at("spec"), csr.spec);
    assert.deepEqual(reply.at("status"), {});
  });

  for (
    const { name, who, options, code, message } of [
      { name: "a node for its own client certificate", who: n1, options: { signerName: KUBELET }, code: 201 },
      {
        name: "a node for another node's client certificate",
        who: n1,
        options: { signerName: KUBELET, commonName: "system:node:n2" },
        code: 403,
        message: "can only create a node CSR with CN=system:node:n1",
      },
      {
        name: "a node for another node's serving certificate",
        who: n1,
        options: {
          signerName: SERVING,
          commonName: "system:node:n2",
          usages: ["digital signature", "server auth"],
          dnsNames: ["n2"],
        },
        code: 403,
        message: "can only create a node CSR with CN=system:node:n1",
      },
      {
        name: "a node for another user, from another signer",
        who: n1,
        options: { commonName: "another-user" },
        code: 201,
      },
      {
        name: "a node without a name",
        who: nameless,
        options: { signerName: KUBELET, commonName: "system:node:" },
        code: 403,
      },
      {
        name: "a user for an API client in system:masters",
        who: requester,
        options: { signerName: CLIENT, organizations: ["a", "system:masters"] },
        code: 403,
        message: `use of ${CLIENT} signer with system:masters group is not allowed`,
      },
      {
        name: "even the administrator for an API client in system:masters",
        who: MASTERS,
        options: { signerName: CLIENT, organizations: ["system:masters"] },
        code: 403,
        message: `use of ${CLIENT} signer with system:masters group is not allowed`,
      },
      {
        name: "a user for an API client in system:notmasters",
        who: requester,
        options: { signerName: CLIENT, organizations: ["system:notmasters"] },
        code: 201,
      },
    ] as readonly { name: string; who: Identity; options: CsrOptions; code: number; message?: string }[]
  ) {
    test(`a request by ${name} gets ${code}`, async () => {
      const csr = await buildCsr({ name: `asked-${++made}`, ...{ signerName: "example.com/something" }, ...options });
      const reply = await instance.as(who, "POST", CSRS, csr);
      assert.equal(reply.code, code, reply.text);
      if (message !== undefined) assert.ok(reply.message.endsWith(`is forbidden: ${message}`), reply.message);
    });
  }

  for (
    const { name, labels, taints, code } of [
      { name: "a role", labels: { "node-role.kubernetes.io/control-plane": "" }, code: 403 },
      { name: "a restricted label", labels: { "node-restriction.kubernetes.io/a": "" }, code: 403 },
      { name: "a label of its own", labels: { "example.com/a": "" }, code: 200 },
      { name: "other taints", taints: [{ key: "a", effect: "NoSchedule" }], code: 403 },
    ] as readonly { name: string; labels?: object; taints?: readonly object[]; code: number }[]
  ) {
    test(`a node that gives itself ${name} gets ${code}`, async () => {
      const exists = await instance.as(MASTERS, "GET", "/api/v1/nodes/n1");
      if (exists.code === 404) await instance.admin("POST", "/api/v1/nodes", { metadata: { name: "n1" } });
      const patch = { metadata: { labels: labels ?? {} }, ...(taints === undefined ? {} : { spec: { taints } }) };
      const reply = await instance.as(n1, "PATCH", "/api/v1/nodes/n1?dryRun=All", patch, MERGE);
      assert.equal(reply.code, code, reply.text);
    });
  }

  for (
    const { method, path } of [
      { method: "GET", path: "/api/v1/namespaces/kube-system/secrets" },
      { method: "GET", path: "/api/v1/namespaces/kube-system/secrets/any" },
      { method: "GET", path: "/api/v1/configmaps" },
      { method: "DELETE", path: "/api/v1/nodes/n1" },
      { method: "GET", path: "/metrics" },
    ]
  ) {
    test(`a node may not ${method} ${path}`, async () => {
      assert.equal((await instance.as(n1, method, path)).code, 403);
    });
  }

  test("system:masters may sign after the binding of cluster-admin is deleted", async () => {
    await instance.admin("DELETE", `${RBAC}/clusterrolebindings/cluster-admin`);
    const csr = await submit();
    const body = { ...csr, status: { certificate } };
    await instance.admin("PUT", `${CSRS}/${csr.metadata.name}/status?dryRun=All`, body);
  });
});
