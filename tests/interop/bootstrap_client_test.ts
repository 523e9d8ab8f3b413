/**
 * `tlsboot bootstrap` with a real control plane and a real kubelet: both certificates, discovery, and files that one
 * adopts from the other.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";
import { type Child, spawnTlsboot, succeedProgram, succeedTlsboot } from "../support/child.ts";
import { createWorkplace } from "../support/instance_process.ts";
import type { ControlPlane } from "../support/interop/control_plane.ts";
import { startKubelet } from "../support/interop/kubelet.ts";
import type { Kubectl } from "../support/interop/kubectl.ts";
import { assertChain, assertKeyMatches, assertNodePair, readMode, readSubject } from "../support/interop/openssl.ts";
import { startPublishedCluster } from "../support/interop/published_cluster.ts";
import { startWholeKubelet, untilReady } from "../support/interop/whole_kubelet.ts";

/** Certificates are backdated by five minutes, so a rotating client renews at once. */
const SHORT_LIFE = "--cluster-signing-duration=60s";

/** Returns the arguments of the command that `token create -o command` prints, without paths. */
async function createJoinArgs(plane: ControlPlane): Promise<readonly string[]> {
  const { stdout } = await succeedTlsboot([
    ...["token", "create", "-o", "command", "--ttl", "1h"],
    ...["--server", plane.server, "--kubeconfig", plane.adminKubeconfig],
  ]);
  return stdout.split("\n")[0]?.split(" --kubeconfig ")[0]?.split(" ").slice(1) ?? [];
}

function paths(plane: ControlPlane, node: string): readonly string[] {
  return ["--kubeconfig", plane.folder.join(node, "kubeconfig"), "--cert-dir", plane.folder.join(node, "pki")]
    .concat("--hostname-override", node);
}

async function approveServing(kubectl: Kubectl, running: Child): Promise<void> {
  const [, name = ""] = await running.waitFor(/serving request (\S+) made/);
  await kubectl.run("certificate", "approve", name);
}

async function assertServingPair(caPath: string, pairPath: string, node: string): Promise<void> {
  await assertChain(caPath, pairPath, "sslserver");
  await assertKeyMatches(pairPath, pairPath);
  assert.equal(await readSubject(pairPath), `CN=system:node:${node},O=system:nodes`);
  assert.equal(await readMode(pairPath), 0o600);
}

test("kube-apiserver: bootstrap gets both certificates with the hash of the CA, and a kubelet runs on its files", async () => {
  await using plane = await startPublishedCluster();
  const { kubectl } = plane;
  const joinArgs = await createJoinArgs(plane);
  await using running = spawnTlsboot([...joinArgs, ...paths(plane, "n1"), "--serving", "--duration", "1h"]);
  await approveServing(kubectl, running);
  const { code, stderr } = await running.finished();
  assert.equal(code, 0, stderr);
  const folder = plane.folder.join("n1/pki");
  await assertNodePair(plane.caPath, `${folder}/kubelet-client-current.pem`, "n1");
  await assertServingPair(plane.caPath, `${folder}/kubelet-server-current.pem`, "n1");
  await succeedTlsboot(["doctor", plane.folder.join("n1")]);
  const lifetimes = await kubectl.run("get", "csr", "--output=jsonpath={.items[*].spec.expirationSeconds}");
  assert.equal(lifetimes, "3600 3600");
  const before = (await readdir(folder)).sort();

  await using kubelet = await startWholeKubelet(plane.folder, "n1");
  await untilReady(kubectl, "n1");
  const address = await kubectl.run(
    ...["get", "node", "n1", '--output=jsonpath={.status.addresses[?(@.type=="InternalIP")].address}'],
  );
  await succeedProgram("openssl", [
    ...["s_client", "-connect", `127.0.0.1:${kubelet.port}`, "-CAfile", plane.caPath, "-verify_return_error"],
    ...["-verify_ip", address, "-brief"],
  ]);
  assert.equal(kubelet.running.hasEnded(), false, kubelet.running.stderr());
  assert.deepEqual(
    (await readdir(folder)).sort(),
    before,
    "the kubelet made no request: names and lifetimes are as it expects",
  );
  assert.equal((await kubectl.run("get", "csr", "--output=name")).trim().split("\n").length, 2);
});

test("kube-apiserver: bootstrap adopts the files of a kubelet and renews them, and the kubeconfig still works", async () => {
  await using plane = await startPublishedCluster([SHORT_LIFE]);
  const { kubectl, folder } = plane;
  const token = (await createJoinArgs(plane)).join(" ").match(/--token (\S+)/)?.[1] ?? "";
  const bootstrap = await plane.kubeconfigWithToken("bootstrap", token);
  await using kubelet = await startKubelet(folder, "n2", bootstrap);
  await kubelet.running.finished();
  await assertNodePair(plane.caPath, kubelet.currentPair, "n2");
  const written = await readFile(kubelet.kubeconfig, "utf8");

  const files = ["--kubeconfig", kubelet.kubeconfig, "--cert-dir", kubelet.certDir, "--hostname-override", "n2"];
  await using running = spawnTlsboot(["bootstrap", ...files, "--serving", "--rotate-certificates"]);
  await running.waitFor(/^nothing to do: .*kubeconfig of system:node:n2 is valid until /m);
  await approveServing(kubectl, running);
  await running.waitFor(/serving certificate of \S+, \S+ issued, valid until /);
  // The pair is checked before it expires, because no one approves the next request.
  await assertServingPair(plane.caPath, `${kubelet.certDir}/kubelet-server-current.pem`, "n2");
  await running.waitFor(/(?:^certificate renewed, valid until [^]*){2}/m);
  running.kill("SIGKILL");
  await running.finished();
  await assertNodePair(plane.caPath, kubelet.currentPair, "n2");
  assert.equal(await readFile(kubelet.kubeconfig, "utf8"), written, "the kubeconfig has changed");
  assert.match(await kubectl.as(kubelet.kubeconfig).run("auth", "whoami"), /Username +system:node:n2\n/);
  const requesters = await kubectl.run("get", "csr", '--output=jsonpath={range .items[*]}{.spec.username}{"\\n"}{end}');
  assert.ok((requesters.match(/^system:node:n2$/gm)?.length ?? 0) >= 3, requesters);
});

test("kube-apiserver: discovery refuses a wrong CA hash, a wrong token secret, and a token without a signature in cluster-info", async () => {
  await using plane = await startPublishedCluster();
  const joinArgs = await createJoinArgs(plane);
  const changed = (flag: string, value: string) => joinArgs.map((arg, at) => joinArgs[at - 1] === flag ? value : arg);
  const token = joinArgs[joinArgs.indexOf("--token") + 1] ?? "";
  const files = paths(plane, "n3");
  await using place = await createWorkplace();
  for (
    const [{ code, stderr }, message] of [
      [
        await place.tlsboot(...changed("--ca-cert-hash", `sha256:${"0".repeat(64)}`), ...files),
        /its CA has the hash sha256:[0-9a-f]{64}, which was not given/,
      ],
      [
        await place.tlsboot(...changed("--token", `${token.slice(0, 7)}0123456789abcdef`), ...files),
        /was not made with the token's secret/,
      ],
      [
        await place.timeOut(
          (running) => running.waitFor(/has no signature for token/),
          ...changed("--token", "aaaaaa.0123456789abcdef"),
          ...files,
        ),
        /^tlsboot: error: .* has no signature for token "aaaaaa"/m,
      ],
    ] as const
  ) {
    assert.equal(code, 1, stderr);
    assert.match(stderr, message);
    assert.equal(existsSync(plane.folder.join("n3")), false);
  }
  await succeedTlsboot([...joinArgs, ...paths(plane, "n3")]);
  await assertNodePair(plane.caPath, plane.folder.join("n3/pki/kubelet-client-current.pem"), "n3");
});
