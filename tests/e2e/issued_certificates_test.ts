/** Tests the register of issued certificates, which outlives their requests. */
import assert from "node:assert/strict";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { test } from "node:test";
import type { IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { verifyRecords } from "../../core/register/verify.ts";
import {
  type Connected,
  connectWith,
  createWorkplace,
  spawnInstance,
  startInstance,
} from "../support/instance_process.ts";
import { grant, requestAndApprove } from "../support/node_requests.ts";
import { readCa } from "../support/signing_ca.ts";
import { findServerPort } from "../support/temp.ts";

const signal = new AbortController().signal;
const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const SIGNER = "kubernetes.io/kube-apiserver-client";
const DAY_S = 86_400;

/** Issues a certificate for a number of days, and deletes its request. */
async function issueAndForget({ api }: Connected, name: string, days: number): Promise<void> {
  const life = { organizations: [], expirationSeconds: days * DAY_S };
  const csr = await requestAndApprove(api, { name, signerName: SIGNER, commonName: name, ...life });
  assert.ok(csr.status.certificate !== undefined);
  await api.requestJson({ method: "DELETE", path: `${CSRS}/${name}` }, signal);
}

async function countIssued({ api }: Connected): Promise<Readonly<Record<string, number>>> {
  const page = await api.requestText({ method: "GET", path: "/metrics" }, signal);
  const line = new RegExp(`^tlsboot_issued_certificates\\{signer="${SIGNER}",ends_within="(\\w+)"\\} (\\d+)$`, "gm");
  return Object.fromEntries([...page.matchAll(line)].map(([, term, count]) => [term, Number(count)]));
}

/** Reads the whole register, and checks it with the CA of the instance. */
async function readRegister({ api }: Connected, data: string) {
  const ca = await readCa(`${data}/pki/ca.crt`);
  const list = await api.requestJson({ method: "GET", path: "/apis/tlsboot/v1alpha1/issuedcertificates" }, signal);
  const { items } = list as { readonly items: readonly IssuedCertificate[] };
  return { items, report: await verifyRecords(items, { cas: [ca] }) };
}

test("up records and counts every certificate, even of deleted requests, across a restart and a kill", async () => {
  await using folder = await createWorkplace();
  // Each start has a new port. One that the system chooses could be the same again.
  const findPort = async () => ["--secure-port", String(await findServerPort())];
  const want = { "1h": 0, "1d": 0, "7d": 1, "30d": 1, "90d": 2, any: 2 };
  {
    await using instance = await startInstance(folder, await findPort());
    await using admin = await connectWith(`${instance.data}/admin.kubeconfig`);
    await issueAndForget(admin, "short", 5);
    await issueAndForget(admin, "long", 60);
    // A second request with the same name replaces the first one.
    await issueAndForget(admin, "short", 6);
    assert.deepEqual(await countIssued(admin), want);
    const { items, report } = await readRegister(admin, instance.data);
    assert.equal(report.fault, undefined);
    assert.deepEqual(items.map(({ spec }) => [spec.source, spec.subject]), [
      ["ca", "CN=tlsboot-ca"],
      ["serving", "CN=tlsboot"],
      ["kubeconfig", "CN=kubernetes-admin,O=system:masters"],
      ...["short", "long", "short"].map((name) => ["CertificateSigningRequest", `CN=${name}`]),
    ]);
    const [ca] = items;
    assert.ok(items.every(({ spec }) => spec.issuerFingerprint === ca?.spec.fingerprint));
    const { requester, approval } = items[3]!.spec;
    assert.deepEqual([requester?.username, requester?.address], ["kubernetes-admin", "127.0.0.1"]);
    assert.deepEqual([approval?.username, approval?.address], ["kubernetes-admin", "127.0.0.1"]);
    assert.equal((await instance.end("SIGTERM")).code, 0);
  }
  {
    await using instance = await spawnInstance(folder, await findPort());
    await using admin = await connectWith(`${instance.data}/admin.kubeconfig`);
    assert.deepEqual(await countIssued(admin), want);
    const { items, report } = await readRegister(admin, instance.data);
    // The new port needs a new kubeconfig. The certificates of the first run are not recorded again.
    assert.deepEqual(items.slice(6).map(({ spec }) => [spec.source, spec.replaces]), [["kubeconfig", "0000000003"]]);
    assert.deepEqual([report.fault, report.sealedUpTo?.name], [undefined, "0000000006"]);
    // A kill leaves the register intact; the next server seals it later.
    await issueAndForget(admin, "bob", 5);
    await instance.end("SIGKILL");
  }
  await using instance = await startInstance(folder, await findPort());
  await using admin = await connectWith(`${instance.data}/admin.kubeconfig`);
  const { items, report } = await readRegister(admin, instance.data);
  assert.deepEqual([items.length, report.fault, report.sealedUpTo?.name], [9, undefined, "0000000006"]);
});

test("up migrates the list of an earlier build into the register", async () => {
  await using folder = await createWorkplace();
  const now = Math.floor(Date.now() / 1000);
  const lines = [
    JSON.stringify({ format: 1, writtenAt: now * 1000 }),
    JSON.stringify([SIGNER, "CN=old", now, now + 5 * DAY_S]),
    "damaged",
  ];
  await mkdir(folder.join("data"), { mode: 0o700 });
  await writeFile(folder.join("data/issued-certificates.jsonl"), lines.join("\n"), { mode: 0o600 });
  await using instance = await startInstance(folder);
  await using admin = await connectWith(`${instance.data}/admin.kubeconfig`);
  assert.equal((await countIssued(admin))["any"], 1);
  const { items, report } = await readRegister(admin, instance.data);
  assert.equal(report.fault, undefined);
  assert.equal(items.filter(({ spec }) => spec.source === "migration").length, 1);
  const files = await readdir(instance.data);
  assert.deepEqual(files.filter((name) => name.startsWith("issued")), ["issued-certificates.jsonl.rejected"]);
  await instance.running.waitFor(/lines of the earlier list of issued certificates cannot be read/);
});

test("a user may read the register and nothing else", async () => {
  await using folder = await createWorkplace();
  await writeFile(folder.join("tokens.csv"), "auditor-token,auditor,,\nother-token,other,,\n", { mode: 0o600 });
  await using instance = await startInstance(folder, ["--token-auth-file", folder.join("tokens.csv")]);
  await using admin = await connectWith(`${instance.data}/admin.kubeconfig`);
  await grant(admin.api, "auditor", { kind: "User", name: "auditor" }, "tlsboot:certificate-viewer");
  const ca = await readFile(`${instance.data}/pki/ca.crt`);
  const send = async (token: string, method: string, path: string): Promise<number | undefined> => {
    const headers = { authorization: `Bearer ${token}` };
    const sent = request({ host: "127.0.0.1", port: instance.port, ca, method, path, headers }).end();
    const [answer] = await once(sent, "response") as [IncomingMessage];
    answer.resume();
    return answer.statusCode;
  };
  const group = "/apis/tlsboot/v1alpha1";
  assert.equal(await send("auditor-token", "GET", `${group}/issuedcertificates`), 200);
  assert.equal(await send("auditor-token", "GET", `${group}/revocations`), 200);
  assert.equal(await send("auditor-token", "GET", `${group}/requestrecords`), 200);
  assert.equal(await send("auditor-token", "GET", CSRS), 403);
  assert.equal(await send("auditor-token", "GET", "/api/v1/secrets"), 403);
  assert.equal(await send("other-token", "GET", `${group}/issuedcertificates`), 403);
  assert.equal(await send("auditor-token", "DELETE", `${group}/issuedcertificates/0000000001`), 403);
});
