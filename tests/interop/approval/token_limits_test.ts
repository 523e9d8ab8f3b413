/** Bootstrap tokens for one machine: with stock kubelets, with three servers on one etcd, and with a kube-apiserver. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { createSystemClock } from "../../../cli/system.ts";
import { createApiClient } from "../../../client/objects/api.ts";
import { createConnector } from "../../../client/transport/connect.ts";
import { createFilePort } from "../../../client/files.ts";
import { AppError } from "../../../core/errors.ts";
import { Secret } from "../../../core/lib/brand.ts";
import { generatePrivateKey } from "../../../core/pki/keys/keys.ts";
import { encodePem } from "../../../core/pki/asn1/pem.ts";
import { createCertificationRequest } from "../../../core/pki/x509/pkcs10.ts";
import { spawnTlsbootToEnd, succeedTlsboot } from "../../support/child.ts";
import { buildCsr } from "../../support/csr_builder.ts";
import { eventually } from "../../support/eventually.ts";
import { controllerRbac, startApprover, startSigner } from "../../support/interop/controller_rbac.ts";
import { startEtcd, STEADY_LEADER } from "../../support/interop/etcd.ts";
import { type RunningInstance, startInstance } from "../../support/interop/instance.ts";
import { startKubelet } from "../../support/interop/kubelet.ts";
import { assertNodePair } from "../../support/interop/openssl.ts";
import { startServers } from "../../support/interop/servers.ts";
import { sharedControlPlane } from "../../support/interop/shared.ts";

const quiet = new AbortController().signal;
const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

test("stock kubelets join with their own files, and a kubelet with a copied file is refused and reported", async () => {
  await using instance = await startInstance();
  const machines = "apiVersion: tlsboot/v1alpha1\nkind: Inventory\nnodes:\n- name: n1\n- name: n2\n- name: n3\n";
  await writeFile(instance.folder.join("machines.yaml"), machines);
  await instance.succeed(
    ...["token", "create", "--for-inventory", "machines.yaml", "--out", "join", "--approve", "--ttl", "1h"],
    ...["--server", instance.server, "--data-dir", instance.dataDir],
  );
  for (const node of ["n1", "n2", "n3"]) {
    await using kubelet = await startKubelet(instance.folder, node, instance.folder.join("join", `${node}.kubeconfig`));
    await kubelet.running.finished();
    await assertNodePair(instance.caPath, kubelet.currentPair, node);
    assert.match(
      await instance.kubectl.as(kubelet.kubeconfig).run("auth", "whoami"),
      new RegExp(`Username +system:node:${node}\n`),
    );
  }
  const copied = await readFile(instance.folder.join("join", "n1.kubeconfig"), "utf8");
  await writeFile(instance.folder.join("copy.kubeconfig"), copied, { mode: 0o600 });
  await using thief = await startKubelet(instance.folder, "n4", instance.folder.join("copy.kubeconfig"));
  await eventually("an event reports the copy", async () => {
    const events = await instance.kubectl.run("get", "events", "-n", "kube-system");
    return /Warning +BootstrapTokenRefused +secret\/bootstrap-token-\w{6} .*the token is used/.test(events) ||
      undefined;
  });
  thief.running.kill("SIGKILL");
  const listed = await instance.tlsboot("token", "list", "--data-dir", instance.dataDir);
  assert.equal(listed.stdout.match(/ used 1\/1 /g)?.length, 3, listed.stdout);
  const names = await instance.kubectl.run(
    "get",
    "csr",
    '--output=jsonpath={range .items[*]}{.spec.username}{"\\n"}{end}',
  );
  assert.equal(names.match(/^system:bootstrap:/gm)?.length, 3, names);
});

/** Creates a request for a node with a new key at one server, and returns the status code of the answer. */
async function submit(instance: RunningInstance, token: string, node: string): Promise<number> {
  const key = await generatePrivateKey("ecdsa-p256");
  const subject = { commonName: `system:node:${node}`, organizations: ["system:nodes"] };
  const request = btoa(encodePem("CERTIFICATE REQUEST", createCertificationRequest({ subject }, key)));
  const name = `${node}-${crypto.randomUUID()}`;
  const { spec: { username: _username, groups: _groups, ...spec }, status: _status, ...csr } = await buildCsr({
    name,
    request,
  });
  const connect = createConnector({ files: createFilePort(), clock: createSystemClock(), userAgent: "test" });
  const ca = { kind: "pem", pem: await readFile(instance.caPath, "utf8") } as const;
  await using transport = await connect({
    server: instance.server,
    insecureSkipTlsVerify: false,
    ca,
    token: new Secret(token),
  });
  const api = createApiClient(transport, { clock: createSystemClock() });
  try {
    await api.requestJson({ method: "POST", path: CSRS, body: { ...csr, spec } }, quiet);
    return 201;
  } catch (error) {
    assert.ok(error instanceof AppError && error.code === "access_denied", String(error));
    return 403;
  }
}

test("of many keys that race for one token at three servers on one etcd, exactly one wins", async () => {
  await using etcd = await startEtcd({ members: 3, flags: STEADY_LEADER });
  await using servers = await startServers([etcd.urls, etcd.urls, etcd.urls]);
  const [first] = servers.instances as [RunningInstance];
  for (let round = 1; round <= 5; round++) {
    const node = `n${round}`;
    const made = await first.succeed("token", "create", "--node", node, "--kubeconfig", first.adminKubeconfig);
    const token = made.stdout.trim();
    const codes = await Promise.all(
      Array.from({ length: 24 }, (_, index) => submit(servers.instances[index % 3]!, token, node)),
    );
    assert.equal(codes.filter((code) => code === 201).length, 1, codes.join(" "));
    const stored = await first.kubectl.run("get", "csr", "--output=name");
    assert.equal(stored.match(new RegExp(`/${node}-`, "g"))?.length, 1, stored);
    const bound = "--output=jsonpath={.metadata.annotations.tlsboot/bound-keys}";
    const keys = await first.kubectl.run(
      "get",
      "secret",
      "-n",
      "kube-system",
      `bootstrap-token-${token.slice(0, 6)}`,
      bound,
    );
    assert.match(keys, /^sha256:[0-9a-f]{64}$/);
  }
});

test("with a kube-apiserver our approver enforces node and key, and token create warns about limits that are not enforced", async () => {
  await using plane = await sharedControlPlane();
  const { kubectl } = plane;
  // With these bindings any holder of a token may request any node's certificate, and the approver would approve it.
  await kubectl.create(controllerRbac());
  await kubectl.run("create", "role", "tokens", "-n", "kube-system", "--verb=get,update", "--resource=secrets");
  await kubectl.run(
    ...["create", "rolebinding", "tokens", "-n", "kube-system", "--role=tokens", "--group=tlsboot-approvers"],
  );
  await using _signer = await startSigner(plane);
  await using _approver = await startApprover(plane, "--token-limits");
  const limits = ["--node", "n1", "--approve", "--cidr", "192.0.2.0/24"];
  const made = await succeedTlsboot(["token", "create", ...limits, "--kubeconfig", plane.adminKubeconfig]);
  assert.match(made.stderr, /v1\.37\.2 does not enforce --cidr: it accepts the token from any address/);
  assert.match(made.stderr, /does not enforce the node and the number of keys.* run tlsboot approver --token-limits/);
  const bootstrap = await plane.kubeconfigWithToken("n1", made.stdout.trim());

  const join = (machine: string, node: string) =>
    spawnTlsbootToEnd([
      ...["bootstrap", "--bootstrap-kubeconfig", bootstrap, "--hostname-override", node, "--timeout", "60s"],
      ...["--kubeconfig", plane.folder.join(machine, "kubeconfig"), "--cert-dir", plane.folder.join(machine, "pki")],
    ]);
  const other = await join("other", "n2");
  assert.equal(other.code, 3, other.stderr);
  assert.match(other.stderr, /the token is only for the client certificate of node "n1"/);
  const joined = await join("n1", "n1");
  assert.equal(joined.code, 0, joined.stderr);
  await assertNodePair(plane.caPath, plane.folder.join("n1", "pki", "kubelet-client-current.pem"), "n1");
  const copy = await join("copy", "n1");
  assert.equal(copy.code, 3, copy.stderr);
  assert.match(copy.stderr, /another key has used the token, which is for 1/);
  const csrs = await kubectl.run("get", "csr", "--output=json");
  assert.match(csrs, /Approved by bootstrap token \\"\w{6}\\", which user \\"\S+\\" created to approve node \\"n1\\"/);
});
