/** The record of issued certificates, which is kept after their requests are deleted. */
import assert from "node:assert/strict";
import { readFile, stat } from "node:fs/promises";
import { test } from "node:test";
import type { CertificateSigningRequest } from "../../core/kube/certificates_v1.ts";
import { buildCsr, condition } from "../support/csr_builder.ts";
import { eventually } from "../support/eventually.ts";
import { type Connected, connectWith, startInstanceProcess } from "../support/instance_process.ts";
import { createTempFolder } from "../support/temp.ts";

const quiet = new AbortController().signal;
const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const SIGNER = "kubernetes.io/kube-apiserver-client";
const DAY_S = 86_400;

/** Gets a certificate for a number of days, and deletes its request. */
async function issueAndForget({ api }: Connected, name: string, days: number): Promise<void> {
  const body = await buildCsr({
    name,
    ...{ signerName: SIGNER, commonName: name, organizations: [], expirationSeconds: days * DAY_S },
  });
  const made = await api.requestObject<CertificateSigningRequest>({ method: "POST", path: CSRS, body }, quiet);
  const path = `${CSRS}/${name}`;
  const approved = { ...made, status: { conditions: [condition("Approved")] } };
  await api.requestJson({ method: "PUT", path: `${path}/approval`, body: approved }, quiet);
  await eventually(`${name} is issued`, async () => {
    const { status } = await api.requestObject<CertificateSigningRequest>({ method: "GET", path }, quiet);
    return status.certificate;
  });
  await api.requestJson({ method: "DELETE", path }, quiet);
}

async function countIssued({ api }: Connected): Promise<Readonly<Record<string, number>>> {
  const page = await api.requestText({ method: "GET", path: "/metrics" }, quiet);
  const line = new RegExp(`^tlsboot_issued_certificates\\{signer="${SIGNER}",ends_within="(\\w+)"\\} (\\d+)$`, "gm");
  return Object.fromEntries([...page.matchAll(line)].map(([, term, count]) => [term, Number(count)]));
}

test("up reports certificates whose requests were deleted, also after a restart", async () => {
  await using folder = await createTempFolder();
  const want = { "1h": 0, "1d": 0, "7d": 1, "30d": 1, "90d": 2, any: 2 };
  {
    await using instance = await startInstanceProcess(folder);
    await using admin = await connectWith(`${instance.data}/admin.kubeconfig`);
    await issueAndForget(admin, "short", 5);
    await issueAndForget(admin, "long", 60);
    // A second request with the same name replaces the first one.
    await issueAndForget(admin, "short", 6);
    assert.deepEqual(await countIssued(admin), want);
    assert.equal((await instance.end("SIGTERM")).code, 0);
  }
  const file = folder.join("data/issued-certificates.jsonl");
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.match(await readFile(file, "utf8"), /^\["kubernetes\.io\/kube-apiserver-client","CN=long",\d+,\d+\]$/m);
  await using again = await startInstanceProcess(folder);
  await using admin = await connectWith(`${again.data}/admin.kubeconfig`);
  assert.deepEqual(await countIssued(admin), want);
});
