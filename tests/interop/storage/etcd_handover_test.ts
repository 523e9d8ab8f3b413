/** Runs docs/guides/etcd.md unchanged: servers share an etcd with a kube-apiserver, which then replaces them. */
import assert from "node:assert/strict";
import { cp } from "node:fs/promises";
import { test } from "node:test";
import { readGuide } from "../../support/guide.ts";
import { createTempFolder, findServerPort } from "../../support/temp.ts";
import { GUIDE_ETCD_SERVERS, startApiserver } from "../../support/interop/apiserver.ts";
import { startControllerManager } from "../../support/interop/control_plane.ts";
import { startEtcd } from "../../support/interop/etcd.ts";
import { waitUntilUp } from "../../support/interop/instance.ts";
import { createKubectl } from "../../support/interop/kubectl.ts";
import { CA_EXTENSIONS, makeCertificate } from "../../support/interop/openssl.ts";
import { createShell } from "../../support/interop/shell.ts";

test("a kube-apiserver with the instance's CA accepts its kubeconfigs, first with two tlsboot servers and then instead of them", async () => {
  await using folder = await createTempFolder();
  const shell = await createShell(folder);
  const work = (path: string) => folder.join("work", path);
  const bothUsages = "extendedKeyUsage=serverAuth,clientAuth";
  await makeCertificate(folder, { name: "etcd-ca", extensions: CA_EXTENSIONS });
  await makeCertificate(folder, {
    name: "etcd",
    issuer: "etcd-ca",
    extensions: ["subjectAltName=IP:127.0.0.1", bothUsages],
  });
  await makeCertificate(folder, { name: "client", issuer: "etcd-ca", extensions: ["extendedKeyUsage=clientAuth"] });
  for (const file of ["etcd-ca.crt", "client.crt", "client.key"]) await cp(folder.join(file), work(file));
  await using etcd = await startEtcd({
    members: 3,
    isTls: true,
    flags: [
      ...[`--cert-file=${folder.join("etcd.crt")}`, `--key-file=${folder.join("etcd.key")}`],
      ...["--client-cert-auth", `--trusted-ca-file=${folder.join("etcd-ca.crt")}`],
    ],
  });
  const urls = etcd.urls.join(",");

  const { blocks } = await readGuide("etcd");
  assert.equal(blocks.length, 3);
  const [up, copy] = blocks as [string, string, string];
  const startServer = (name: string, port: number) =>
    shell.start(
      up.trimEnd()
        .replace("/var/lib/tlsboot", name)
        .replace("0.0.0.0", "127.0.0.1")
        .replace("boot.example.com", "127.0.0.1")
        .replace("6443", String(port))
        .replace(GUIDE_ETCD_SERVERS, urls) + " --auto-approve",
    );
  const port = await findServerPort();
  await using first = startServer("first", port);
  await waitUntilUp(first);
  await shell.succeed(
    `set -e\n${copy.replaceAll("first:/var/lib/tlsboot", work("first")).replaceAll("/var/lib/tlsboot", "next")}`,
  );
  await using next = startServer("next", await findServerPort());
  await waitUntilUp(next);

  const kubectl = createKubectl(folder, work("first/admin.kubeconfig"));
  const bootstrap = async (name: string) =>
    await shell.succeed(
      `tlsboot bootstrap --bootstrap-kubeconfig first/bootstrap.kubeconfig --hostname-override ${name} ` +
        `--kubeconfig ${name}/kubeconfig --cert-dir ${name}/pki`,
    );
  await bootstrap("n1");
  await kubectl.run("create", "cm", "ours");
  assert.match(await kubectl.as(work("next/admin.kubeconfig")).run("get", "cm", "--output=name"), /configmap\/ours/);

  const apiserverPort = await findServerPort();
  await using apiserver = await startApiserver({ dataDir: work("first") }, urls, apiserverPort);
  const atApiserver = ["--server", `https://127.0.0.1:${apiserverPort}`];
  await kubectl.run(...atApiserver, "create", "cm", "theirs");
  assert.match(await kubectl.run("get", "cm", "--output=name"), /configmap\/ours\nconfigmap\/theirs/);
  // Each server accepts the service account tokens of the other.
  await kubectl.run("create", "serviceaccount", "app");
  for (const [issuer, verifier] of [[[], atApiserver], [atApiserver, []]] as const) {
    const token = (await kubectl.run(...issuer, "create", "token", "app")).trim();
    const review = { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token } };
    const user = await kubectl.given({ stdin: JSON.stringify(review) })
      .run(...verifier, "create", "-f", "-", "--output=jsonpath={.status.user.username}{.status.error}");
    assert.equal(user, "system:serviceaccount:default:app");
  }
  // kube-apiserver accepts the certificate of a node that joined tlsboot.
  const node = kubectl.as(work("n1/kubeconfig"));
  assert.match(await node.run(...atApiserver, "auth", "whoami"), /system:node:n1/);
  for (const server of [apiserver, next, first]) {
    server.kill("SIGTERM");
    await server.finished();
  }

  // Clients know only the address, which is now that of kube-apiserver.
  await using _instead = await startApiserver({ dataDir: work("first") }, urls, port);
  await using _signer = startControllerManager(
    work("first/admin.kubeconfig"),
    ["certificatesigningrequest-approving-controller", "certificatesigningrequest-signing-controller"],
    [
      `--cluster-signing-cert-file=${work("first/pki/ca.crt")}`,
      `--cluster-signing-key-file=${work("first/pki/ca.key")}`,
    ],
  );
  assert.match(await node.run("auth", "whoami"), /system:node:n1/);
  await bootstrap("n2");
});
