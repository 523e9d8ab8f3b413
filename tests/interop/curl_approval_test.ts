/** Approving and denying without kubectl: a JSON PUT of a condition, sent by curl. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { runProgram } from "../support/child.ts";
import { csrManifest } from "../support/interop/csr_manifest.ts";
import { type RunningInstance, startInstance } from "../support/interop/instance.ts";

const TOKENS = ['approver-token,somebody,1,"system:masters"', 'plain-token,nobody,2,"staff"'];

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

async function put(
  instance: RunningInstance,
  name: string,
  object: unknown,
  token = "approver-token",
): Promise<Answer> {
  const body = instance.folder.join("body.json");
  await writeFile(body, JSON.stringify(object));
  const { code, stdout, stderr } = await runProgram("curl", [
    ...["--silent", "--show-error", "--cacert", instance.caPath, "--write-out", "\n%{http_code}"],
    ...["--request", "PUT", "--header", "Content-Type: application/json", "--header", `Authorization: Bearer ${token}`],
    ...["--data", `@${body}`],
    `${instance.server}/apis/certificates.k8s.io/v1/certificatesigningrequests/${name}/approval`,
  ]);
  assert.equal(code, 0, stderr);
  const [, text = "", status = ""] = stdout.match(/^([^]*)\n(\d+)$/) ?? [];
  return { status: Number(status), body: JSON.parse(text) };
}

async function createCsr(instance: RunningInstance, name: string): Promise<Record<string, unknown>> {
  await instance.kubectl.given({ stdin: await csrManifest(name) }).run("create", "-f", "-");
  return JSON.parse(await instance.kubectl.run("get", "csr", name, "--output=json"));
}

const withCondition = (csr: Record<string, unknown>, ...types: string[]) => ({
  ...csr,
  status: { conditions: types.map((type) => ({ type, status: "True", reason: "ByCurl", message: "by hand" })) },
});

test("curl approves with a JSON PUT of a condition, and the signer issues", async () => {
  await using instance = await startInstance({ tokens: TOKENS });
  const csr = await createCsr(instance, "h1");
  const { status } = await put(instance, "h1", withCondition(csr, "Approved"));
  assert.equal(status, 200);
  await instance.kubectl.run("wait", "csr/h1", "--for=jsonpath={.status.certificate}", "--timeout=30s");
  assert.match(await instance.kubectl.run("get", "csr", "h1"), / Approved,Issued\n$/);
});

test("curl denies permanently with a JSON PUT of a condition", async () => {
  await using instance = await startInstance({ tokens: TOKENS });
  const csr = await createCsr(instance, "h2");
  assert.equal((await put(instance, "h2", withCondition(csr, "Denied"))).status, 200);
  assert.match(await instance.kubectl.run("get", "csr", "h2"), / Denied\n$/);
  const denied = JSON.parse(await instance.kubectl.run("get", "csr", "h2", "--output=json"));
  const both = await put(instance, "h2", withCondition(denied, "Denied", "Approved"));
  assert.equal(both.status, 422);
  assert.match(String(both.body["message"]), /status\.conditions: Invalid value: .*: must specify at most one of: /);
});

test("curl gets 409 for an old resourceVersion, and without one needs none", async () => {
  await using instance = await startInstance({ tokens: TOKENS });
  const csr = await createCsr(instance, "h3");
  await instance.kubectl.run("label", "csr", "h3", "moved=on");
  const late = await put(instance, "h3", withCondition(csr, "Approved"));
  assert.equal(late.status, 409);
  assert.match(
    String(late.body["message"]),
    /the object has been modified; please apply your changes to the latest version and try again/,
  );
  const metadata = { name: "h3" };
  assert.equal((await put(instance, "h3", withCondition({ ...csr, metadata }, "Approved"))).status, 200);
});

test("curl is refused without the right to approve, and without a known user", async () => {
  await using instance = await startInstance({ tokens: TOKENS });
  const approved = withCondition(await createCsr(instance, "h4"), "Approved");
  const forbidden = await put(instance, "h4", approved, "plain-token");
  assert.equal(forbidden.status, 403);
  assert.match(
    String(forbidden.body["message"]),
    /User "nobody" cannot update resource "certificatesigningrequests\/approval" in API group "certificates\.k8s\.io" at the cluster scope/,
  );
  assert.equal((await put(instance, "h4", approved, "no-such-token")).status, 401);
  await instance.kubectl.run(
    ...[
      "create",
      "clusterrole",
      "updater",
      "--verb=update",
      "--resource=certificatesigningrequests.certificates.k8s.io/approval",
    ],
  );
  await instance.kubectl.run("create", "clusterrolebinding", "updater", "--clusterrole=updater", "--group=staff");
  const notForSigner = await put(instance, "h4", approved, "plain-token");
  assert.equal(notForSigner.status, 403);
  assert.match(
    String(notForSigner.body["message"]),
    /user not permitted to approve requests with signerName "kubernetes\.io\/kube-apiserver-client"/,
  );
});
