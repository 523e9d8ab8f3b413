/** The register of issued certificates with stock kubectl, and with three servers on one etcd. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { eventually } from "../../support/eventually.ts";
import { startControllerManager } from "../../support/interop/control_plane.ts";
import { csrManifest } from "../../support/interop/openssl.ts";
import { startEtcd, STEADY_LEADER } from "../../support/interop/etcd.ts";
import type { RunningInstance } from "../../support/interop/instance.ts";
import type { Kubectl } from "../../support/interop/kubectl.ts";
import { parseCertificates, readRegister } from "../../support/interop/register.ts";
import { startServers } from "../../support/interop/servers.ts";
import { sharedInstance } from "../../support/interop/shared.ts";

/** Requests certificates with kubectl, approves them, and returns them as PEM once they are issued. */
async function issue(kubectl: Kubectl, ...names: readonly string[]): Promise<readonly string[]> {
  const manifests = await Promise.all(names.map((name) => csrManifest(name)));
  await kubectl.create(manifests.join("\n"));
  await kubectl.run("certificate", "approve", ...names);
  return await eventually("the certificates are issued", async () => {
    const template = '{range .items[*]}{.metadata.name} {.status.certificate}{"\\n"}{end}';
    const lines = (await kubectl.run("get", "csr", "-o", `jsonpath=${template}`)).split("\n").map((line) =>
      line.split(" ")
    );
    const issued = lines.flatMap(([name = "", certificate = ""]) =>
      names.includes(name) && certificate !== "" ? [certificate] : []
    );
    return issued.length < names.length
      ? undefined
      : issued.map((certificate) => Buffer.from(certificate, "base64").toString());
  });
}

test("stock kubectl lists, watches and explains the register, and a user can have access to nothing else", async () => {
  await using instance = await sharedInstance();
  const { kubectl } = instance;
  await using watch = kubectl.start("get", "issuedcertificates", "--watch");
  await watch.waitFor(/CN=tlsboot-ca/);
  const [pem] = await issue(kubectl, "alice");
  const { serialNumber } = parseCertificates(pem!)[0]!;
  await watch.waitFor(new RegExp(`${serialNumber}\\s+CN=alice`));

  const table = await kubectl.run("get", "ic", "-o", "wide");
  assert.match(
    table,
    /^NAME\s+SERIAL\s+SUBJECT\s+SIGNER\s+EXPIRES\s+REVOKED\s+AGE\s+REQUESTOR\s+APPROVER\n0000000001 /,
  );
  assert.match(
    table,
    /^\d{10}\s+\w+\s+CN=alice\s+kubernetes\.io\/kube-apiserver-client\s.*kubernetes-admin\s+kubernetes-admin$/m,
  );
  const found = await kubectl.run("get", "ic", `--field-selector=spec.serialNumber=${serialNumber}`, "-o", "name");
  assert.match(found, /^issuedcertificate\.tlsboot\/\d{10}\n$/);
  assert.match(
    await kubectl.run("explain", "issuedcertificate.spec.requester.tokenID"),
    /Identifier of the bootstrap token/,
  );
  assert.match(
    await kubectl.run("api-resources", "--api-group=tlsboot"),
    /issuedcertificates\s+ic\s+tlsboot\/v1alpha1\s+false/,
  );
  assert.match((await kubectl.try("delete", "ic", found.trim().split("/")[1]!)).stderr, /does not allow this method/);

  const role = "--clusterrole=tlsboot:certificate-viewer";
  await kubectl.run("create", "clusterrolebinding", "auditors", role, "--user=eve");
  const asEve = (...args: readonly string[]) => kubectl.try(...args, "--as=eve");
  assert.equal((await asEve("get", "ic")).code, 0);
  assert.match((await asEve("get", "csr")).stderr, /Forbidden/);
  assert.match((await asEve("get", "secrets", "-A")).stderr, /Forbidden/);
  await kubectl.run("create", "clusterrolebinding", "views", "--clusterrole=view", "--user=bob");
  assert.equal((await kubectl.try("get", "cm", "-n", "default", "--as=bob")).code, 0);
  assert.match((await kubectl.try("get", "ic", "--as=bob")).stderr, /Forbidden/);
});

test("kube-controller-manager's controllers watch tlsboot's API group, and leave its objects alone", async () => {
  await using instance = await sharedInstance();
  const { kubectl } = instance;
  const list = async () => (await kubectl.run("get", "ic,requestrecords,revocations", "-o", "name")).trim().split("\n");
  const before = await list();
  const names = ["garbage-collector-controller", "namespace-controller"];
  await using controllers = startControllerManager(instance.adminKubeconfig, names, ["-v=4"]);
  await controllers.waitFor(/using a shared informer.*tlsboot\/v1alpha1, Resource=revocations/);
  await controllers.waitFor(/Garbage collector: all resource monitors have synced/);
  await kubectl.run("create", "namespace", "short");
  await kubectl.run("delete", "namespace", "short");
  const after = await list();
  assert.deepEqual(before.filter((name) => !after.includes(name)), []);
  assert.doesNotMatch(controllers.stderr(), /^[EW]\d{4} .*tlsboot/m);
});

test("three servers on an etcd keep one chain, even if the signing server is killed", async () => {
  await using etcd = await startEtcd({ members: 3, flags: STEADY_LEADER });
  await using servers = await startServers([etcd.urls, etcd.urls, etcd.urls]);
  const [a, b, c] = servers.instances as [RunningInstance, RunningInstance, RunningInstance];
  const names = (prefix: string) => Array.from({ length: 8 }, (_, index) => `${prefix}-${index}`);
  const pems = (await Promise.all([a, b, c].map(({ kubectl }, index) => issue(kubectl, ...names(`s${index}`))))).flat();

  // A server that stalls for too long loses the lease, and logs that.
  const leads = /"message":"leading"(?![^]*"message":"no longer leading")/;
  const leader = await eventually("one server leads", async () => {
    const leaders = servers.instances.filter(({ running }) => leads.test(running.stderr()));
    return leaders.length === 1 ? leaders[0] : undefined;
  });
  const [next] = servers.instances.filter((instance) => instance !== leader) as [RunningInstance];
  const late = issue(next.kubectl, ...names("late"));
  await eventually(
    "the leader signs",
    async () => (await next.kubectl.run("get", "ic", "-o", "json")).includes("CN=late-") || undefined,
  );
  leader.running.kill("SIGKILL");
  await leader.running.finished();
  pems.push(...await late);

  const { items: records } = await readRegister(next.kubectl, next.caPath);
  const recorded = records.filter(({ spec }) => spec.source === "CertificateSigningRequest");
  assert.deepEqual(
    recorded.map(({ spec }) => spec.fingerprint).toSorted(),
    pems.map((pem) => parseCertificates(pem)[0]!.sha256Fingerprint).toSorted(),
  );
  assert.ok(recorded.every(({ spec }) => spec.approval?.username === "kubernetes-admin"));
  // All servers have the same CA, and each has its own serving certificate.
  assert.deepEqual(
    ["ca", "serving"].map((source) => records.filter(({ spec }) => spec.source === source).length),
    [1, 3],
  );
});
