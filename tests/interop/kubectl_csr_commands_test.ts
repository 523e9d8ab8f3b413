/**
 * The classic TLS bootstrapping walkthrough with kubectl against `up --token-auth-file`, and commands that wait for its
 * signer. `kubectl_comparison_test.ts` compares every other command with kube-apiserver.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { assertNodePair, csrManifest, readMode } from "../support/interop/openssl.ts";
import { type RunningInstance, startInstance } from "../support/interop/instance.ts";
import { createKubectl, type Kubectl, waitForCsr } from "../support/interop/kubectl.ts";
import { KUBERNETES_RELEASES } from "../support/peers/go.ts";

const TOKEN = "02b50b05283e98dd0fd71db496ef01e8";
const KIND = "certificatesigningrequest.certificates.k8s.io";
const BINDING = "kubelet-bootstrap";
const GRANT = [
  ...["create", "clusterrolebinding", BINDING],
  ...["--clusterrole=system:node-bootstrapper", "--group=system:bootstrappers"],
];

let instance: RunningInstance;
let kubectl: Kubectl;

describe("kubectl against up", () => {
  before(async () => {
    instance = await startInstance({ tokens: [`${TOKEN},kubelet-bootstrap,10001,"system:bootstrappers"`] });
    kubectl = instance.kubectl;
    const config = (...args: string[]) => kubectl.run("config", ...args, "--kubeconfig=bootstrap.kubeconfig");
    await config(
      ...["set-cluster", "lab", `--certificate-authority=${instance.caPath}`, "--embed-certs=true"],
      `--server=${instance.server}`,
    );
    await config("set-credentials", "kubelet-bootstrap", `--token=${TOKEN}`);
    await config("set-context", "default", "--cluster=lab", "--user=kubelet-bootstrap");
    await config("use-context", "default");
  });
  after(() => instance[Symbol.asyncDispose]());

  for (const release of KUBERNETES_RELEASES) testWalkthrough(release);

  test("the walkthrough revokes the permissions of a group: without the binding the next request gets 403", async () => {
    const bootstrapper = kubectl.as(instance.folder.join("bootstrap.kubeconfig"));
    const canRequest = () =>
      bootstrapper.try("auth", "can-i", "create", "certificatesigningrequests.certificates.k8s.io");

    assert.equal((await canRequest()).stdout, "no\n");
    {
      await using _grant = await grant();
      assert.equal((await canRequest()).stdout, "yes\n");
    }
    assert.equal((await canRequest()).stdout, "no\n");

    const { code, stderr } = await startClient("n3").finished();
    assert.notEqual(code, 0);
    assert.match(
      stderr,
      /certificatesigningrequests\.certificates\.k8s\.io is forbidden: User "kubelet-bootstrap" cannot create resource/,
    );
    assert.equal(await kubectl.run("get", "csr", "--output=name"), "");
  });

  test("kubectl get csr NAME --watch prints each change once", async () => {
    await kubectl.create(await csrManifest("w1", { metadata: { labels: { turn: "0" } } }));
    await using watch = kubectl.start("get", "csr", "w1", "--watch", "--no-headers", "--label-columns=turn");
    await watch.waitFor(/Pending +0\n/);
    // kubectl prints the request, then watches without the first event: it misses changes before the watch is open.
    let turn = 0;
    await eventually("the watch is open", async () => {
      await kubectl.run("label", "--overwrite", "csr", "w1", `turn=${++turn}`);
      return /Pending +[1-9]\d*\n/.test(watch.stdout()) || undefined;
    });
    await kubectl.run("certificate", "approve", "w1");
    await watch.waitFor(/Approved,Issued.*\n/);
    const lines = watch.stdout().trim().split("\n").map((line) => line.split(/ +/).slice(-2).join(" "));
    const first = Number(lines[1]?.split(" ")[1]);
    const turns = Array.from({ length: turn - first + 1 }, (_, index) => `Pending ${first + index}`);
    assert.deepEqual(lines, ["Pending 0", ...turns, `Approved ${turn}`, `Approved,Issued ${turn}`]);
  });

  test("kubectl get csr --watch --output-watch-events streams whole objects, including deleted ones", async () => {
    await using watch = kubectl.start(
      ...["get", "csr", "--watch", "--output-watch-events"],
      '--output=jsonpath={.type} {.object.metadata.name}{"\\n"}',
    );
    await kubectl.create(await csrManifest("w2"));
    await watch.waitFor(/^ADDED w2$/m);
    await kubectl.run("delete", "csr", "w2");
    await watch.waitFor(/^DELETED w2$/m);
  });

  test("kubectl wait returns at creation, at approval and at deletion", async () => {
    await using created = kubectl.start("wait", "csr/w3", "--for=create");
    await kubectl.create(await csrManifest("w3"));
    assert.deepEqual(await created.finished(), { code: 0, stdout: `${KIND}/w3 condition met\n`, stderr: "" });

    await using approved = kubectl.start("wait", "csr/w3", "--for=condition=Approved");
    await using deleted = kubectl.start("wait", "csr/w3", "--for=delete");
    await kubectl.run("certificate", "approve", "w3");
    assert.deepEqual(await approved.finished(), { code: 0, stdout: `${KIND}/w3 condition met\n`, stderr: "" });
    await kubectl.run("delete", "csr", "w3");
    assert.equal((await deleted.finished()).code, 0);
  });

  test("kubectl delete --cascade=orphan returns without a garbage collector", async () => {
    await kubectl.create(await csrManifest("w4"));
    assert.equal(await kubectl.run("delete", "csr", "w4", "--cascade=orphan"), `${KIND} "w4" deleted\n`);
  });
});

/** Binds the group of the token to the role of bootstrappers; disposing it removes the binding and all requests. */
async function grant(client = kubectl): Promise<AsyncDisposable> {
  assert.match(
    await client.run(...GRANT),
    /^clusterrolebinding\.rbac\.authorization\.k8s\.io\/kubelet-bootstrap created/,
  );
  return {
    async [Symbol.asyncDispose]() {
      await client.run("delete", "clusterrolebinding", BINDING);
      await client.run("delete", "csr", "--all");
    },
  };
}

function startClient(node: string) {
  return instance.spawnTlsboot(
    ...["bootstrap", "--bootstrap-kubeconfig", "bootstrap.kubeconfig", "--kubeconfig", `${node}.kubeconfig`],
    ...["--cert-dir", `${node}-pki`, "--hostname-override", node],
  );
}

function testWalkthrough(release: string): void {
  test(`the walkthrough leads from a token to a working kubeconfig, with certificate approve of kubectl ${release}`, async () => {
    const { folder, adminKubeconfig, caPath } = instance;
    const kubectl = createKubectl(folder, adminKubeconfig, { release });
    const node = `approved-${release}`;
    await using _grant = await grant(kubectl);
    await using client = startClient(node);
    const name = await waitForCsr(kubectl);
    assert.match(
      await kubectl.run("get", "csr"),
      /^NAME +AGE +SIGNERNAME +REQUESTOR +REQUESTEDDURATION +CONDITION\nnode-csr-\S{43} +\d+s +kubernetes\.io\/kube-apiserver-client-kubelet +kubelet-bootstrap +<none> +Pending\n$/,
    );
    const described = await kubectl.run("describe", "csr", name);
    assert.match(described, /^Requesting User: +kubelet-bootstrap$/m);
    assert.match(described, /^Status: +Pending$/m);
    assert.match(described, new RegExp(`Common Name: +system:node:${node}`));
    assert.match(described, /Organization: +system:nodes/);

    assert.equal(await kubectl.run("certificate", "approve", name), `${KIND}/${name} approved\n`);
    const { code, stderr } = await client.finished();
    assert.equal(code, 0, stderr);
    assert.match(await kubectl.run("get", "csr", name), / Approved,Issued\n$/);

    await assertNodePair(caPath, folder.join(`${node}-pki`, "kubelet-client-current.pem"), node);
    const kubeconfig = folder.join(`${node}.kubeconfig`);
    assert.equal(await readMode(kubeconfig), 0o600);
    const asNode = kubectl.as(kubeconfig);
    assert.equal(
      await asNode.run("auth", "whoami", "--output=jsonpath={.status.userInfo.username} {.status.userInfo.groups}"),
      `system:node:${node} ["system:nodes","system:authenticated"]`,
    );
    assert.match(await asNode.run("get", "csr", name, "--output=name"), /node-csr-/);
    assert.match(await kubectl.run("version"), new RegExp(`^Client Version: ${release}\n`));
  });

  test(`the walkthrough ends with a clear refusal after certificate deny of kubectl ${release}, and writes nothing usable`, async () => {
    const { folder, adminKubeconfig } = instance;
    const kubectl = createKubectl(folder, adminKubeconfig, { release });
    const node = `denied-${release}`;
    await using _grant = await grant(kubectl);
    await using client = startClient(node);
    const name = await waitForCsr(kubectl);
    assert.equal(await kubectl.run("certificate", "deny", name), `${KIND}/${name} denied\n`);
    const { code, stderr } = await client.finished();
    assert.equal(code, 3, stderr);
    assert.match(stderr, /denied/);
    assert.equal(existsSync(folder.join(`${node}.kubeconfig`)), false);
    assert.equal(existsSync(folder.join(`${node}-pki`, "kubelet-client-current.pem")), false);
    assert.match(await kubectl.run("get", "csr", name), / Denied\n$/);
  });
}
