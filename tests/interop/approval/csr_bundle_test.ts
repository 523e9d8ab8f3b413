/**
 * A real kube-apiserver without a signer: a CA without any network, not even loopback, signs its requests, and the
 * answers are imported with the permissions that `--print-rbac` prints. kubectl, openssl and kube-apiserver check
 * the certificates.
 */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import type { CertificateSigningRequest } from "../../../core/kube/kinds/certificates_v1.ts";
import { runProgram, spawnTlsbootToEnd, succeedTlsboot, tlsbootCommand } from "../../support/child.ts";
import { connectWith } from "../../support/instance_process.ts";
import { csrManifest, openssl } from "../../support/interop/openssl.ts";
import { type Kubectl, waitForCertificate } from "../../support/interop/kubectl.ts";
import { type SharedControlPlane, sharedControlPlane } from "../../support/interop/shared.ts";
import { waitForFailure } from "../../support/interop/web_signer.ts";

const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const ACCOUNT = "tlsboot-csr-import";

let plane: SharedControlPlane;
let kubectl: Kubectl;
let kubeconfig: string;
/** Runs tlsboot in its own network namespace, in which not even loopback is up. */
async function withoutNetwork(...args: readonly string[]) {
  const [command, all] = tlsbootCommand(args);
  return await runProgram("unshare", ["--net", command, ...all], { cwd: plane.folder.path });
}

function tlsboot(...args: readonly string[]) {
  return spawnTlsbootToEnd(args, { cwd: plane.folder.path });
}

const exportTo = (file: string, ...args: readonly string[]) =>
  save(file, tlsboot("offline", "export", "--kubeconfig", kubeconfig, "--bundle-key", "bundle.key", ...args));

async function save(file: string, running: ReturnType<typeof tlsboot>) {
  const finished = await running;
  await writeFile(plane.folder.join(file), finished.stdout);
  return finished;
}

const signTo = (file: string, from: string, ...args: readonly string[]) =>
  save(
    file,
    withoutNetwork(
      ...["sign", from, ...plane.caFlags],
      ...["--issued-log", "ca.jsonl", ...args],
    ),
  );

const importFrom = (file: string) =>
  tlsboot("offline", "import", file, "--kubeconfig", kubeconfig, "--bundle-key", "bundle.key");

describe("the requests of a real cluster", () => {
  before(async () => {
    plane = await sharedControlPlane();
    kubectl = plane.kubectl;
    const manifest = await succeedTlsboot(["offline", "import", "--print-rbac"]);
    await kubectl.given({ stdin: manifest.stdout }).run("apply", "-f", "-");
    const token = (await kubectl.run("create", "token", ACCOUNT, "--namespace=kube-system")).trim();
    kubeconfig = await plane.kubeconfigWithToken("importer", token);
  });
  after(() => plane[Symbol.asyncDispose]());

  test("requests of a real cluster are signed without a network, and imported with the permissions of --print-rbac", async () => {
    await kubectl.create(await csrManifest("alice"));
    const wrong = await csrManifest("wrong", { spec: { usages: ["digital signature", "server auth"] } });
    await kubectl.create(wrong);
    await kubectl.run("certificate", "approve", "alice", "wrong");
    const exported = await exportTo("requests.tlsb");
    assert.equal(exported.code, 0, exported.stderr);
    const [flag = "", pin = ""] = /(--trust-exporter) (sha256:\S+)/.exec(exported.stderr)?.slice(1) ?? [];
    const signed = await signTo("signed.tlsb", "requests.tlsb", flag, pin);
    assert.equal(signed.code, 3, signed.stderr);
    const imported = await importFrom("signed.tlsb");
    assert.equal(imported.code, 0, imported.stderr);

    await writeFile(plane.folder.join("alice.crt"), await waitForCertificate(kubectl, "alice"));
    assert.match(await openssl(["verify", "-CAfile", plane.caPath, plane.folder.join("alice.crt")], ""), /: OK/);
    assert.match(await waitForFailure(kubectl, "wrong"), /invalid usage for client certificate/);
    assert.match(await kubectl.run("get", "csr"), /alice .*Approved,Issued\n[^]*wrong .*Approved,Failed\n/);
    const records = (await readFile(plane.folder.join("ca.jsonl"), "utf8")).trimEnd().split("\n");
    assert.deepEqual(records.map((line) => JSON.parse(line).spec.approval.reason), ["KubectlApprove"]);
    assert.equal((await importFrom("signed.tlsb")).code, 3);
  });

  test("a thousand requests travel in one bundle", async () => {
    const csr = JSON.parse(await csrManifest("one", { subject: "/O=system:nodes/CN=system:node:n1" }));
    const spec = { ...csr.spec, signerName: "kubernetes.io/kube-apiserver-client-kubelet" };
    await using admin = await connectWith(plane.adminKubeconfig);
    const quiet = new AbortController().signal;
    const waiting = Array.from({ length: 1_000 }, (_, at) => `n${String(at).padStart(4, "0")}`).values();
    const create = async () => {
      for (const name of waiting) {
        const body = { ...csr, metadata: { name, labels: { batch: "one" } }, spec };
        const created = await admin.api.requestObject<CertificateSigningRequest>(
          { method: "POST", path: CSRS, body },
          quiet,
        );
        const conditions = [{ type: "Approved", status: "True", reason: "Test", message: "by a test" }];
        const approved = { ...created, status: { conditions } };
        await admin.api.requestObject({ method: "PUT", path: `${CSRS}/${name}/approval`, body: approved }, quiet);
      }
    };
    await Promise.all(Array.from({ length: 16 }, create));
    const exported = await exportTo("thousand.tlsb", "--selector", "batch=one");
    assert.match(exported.stderr, /^exported 1000 requests as [0-9a-f]{32}$/m);
    const signed = await signTo("thousand.signed", "thousand.tlsb");
    assert.equal(signed.code, 0, signed.stderr.slice(-500));
    const imported = await importFrom("thousand.signed");
    assert.equal(imported.code, 0, imported.stderr.slice(-500));
    assert.equal(imported.stdout.match(/ issued$/gm)?.length, 1_000);
    const log = await tlsboot("verify", "certificates", "ca.jsonl", "--ca-file", plane.caPath);
    assert.match(log.stdout, /1001 records are intact/);
    assert.equal((await kubectl.run("get", "csr", "--selector=batch=one")).match(/Approved,Issued/g)?.length, 1_000);
  });
});
