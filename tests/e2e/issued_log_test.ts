/** Tests the issued log: what `sign`, `kubeconfig admin` and `signer` record before they hand out a certificate. */
import assert from "node:assert/strict";
import { appendFile, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { test } from "node:test";
import type { IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { parseKubeconfig } from "../../core/kube/kubeconfig/kubeconfig.ts";
import { encodePem } from "../../core/pki/asn1/pem.ts";
import { createCertificationRequest } from "../../core/pki/x509/pkcs10.ts";
import { type CheckedRecord, verifyRecords } from "../../core/register/verify.ts";
import { fromBase64, sharedKey } from "../support/csr_builder.ts";
import { getRecordedSerial } from "../support/issued_records.ts";
import { connectWith, createWorkplace, startInstance, type Workplace } from "../support/instance_process.ts";
import { requestAndApprove } from "../support/node_requests.ts";
import { readCa } from "../support/signing_ca.ts";
import type { TempFolder } from "../support/temp.ts";

const signal = new AbortController().signal;
const SIGN = ["sign", "alice.csr", "--signer", "kubernetes.io/kube-apiserver-client", "--data-dir", "data"];

async function setUp(): Promise<Workplace> {
  const folder = await createWorkplace();
  const der = createCertificationRequest({ subject: { commonName: "alice" } }, await sharedKey());
  await writeFile(folder.join("alice.csr"), encodePem("CERTIFICATE REQUEST", der));
  await folder.answer("ca", "init", "--data-dir", "data");
  return folder;
}

/** Reads a log, and verifies its chain and seals. */
async function readLog(folder: TempFolder, path = "data/issued.jsonl"): Promise<readonly CheckedRecord["spec"][]> {
  const text = await readFile(folder.join(path), "utf8");
  const records = text.trimEnd().split("\n").map((line): CheckedRecord => JSON.parse(line));
  const report = await verifyRecords(records, { cas: [await readCa(folder.join("data/pki/ca.crt"))] });
  assert.equal(report.fault, undefined);
  assert.deepEqual([report.sealedUpTo?.name, report.uncheckedSeals], [report.head?.name, 0]);
  return records.map(({ spec }) => spec);
}

test("sign and kubeconfig admin record what they sign in issued.jsonl of the data directory", async () => {
  await using folder = await setUp();
  const signed = await folder.answer(...SIGN);
  await folder.answer("kubeconfig", "admin", "--data-dir", "data", "--user", "ops", "--out", "ops.kubeconfig");
  const config = parseKubeconfig(await readFile(folder.join("ops.kubeconfig"), "utf8"), "ops");
  assert.ok(config.ok);
  const admin = config.value.users[0]?.user.clientCertificateData ?? "";
  const records = await readLog(folder);
  assert.deepEqual(
    records.map(({ serialNumber, source, subject, signerName }) => ({ serialNumber, source, subject, signerName })),
    [
      {
        serialNumber: getRecordedSerial(signed),
        source: "sign",
        subject: "CN=alice",
        signerName: "kubernetes.io/kube-apiserver-client",
      },
      {
        serialNumber: getRecordedSerial(admin),
        source: "kubeconfig",
        subject: "CN=ops,O=system:masters",
        signerName: undefined,
      },
    ],
  );
  assert.equal((await stat(folder.join("data/issued.jsonl"))).mode & 0o777, 0o600);
});

test("sign records in the file of --issued-log; without it, only what the CA of --data-dir signs", async () => {
  await using folder = await setUp();
  await folder.answer(...SIGN, "--issued-log", "mine.jsonl");
  assert.equal((await readLog(folder, "mine.jsonl")).length, 1);
  const ca = ["--cluster-signing-cert-file", "data/pki/ca.crt", "--cluster-signing-key-file", "data/pki/ca.key"];
  await folder.answer(...SIGN, ...ca);
  await assert.rejects(stat(folder.join("data/issued.jsonl")), { code: "ENOENT" });
  await folder.answer(...SIGN, ...ca, "--issued-log", "mine.jsonl");
  assert.equal((await readLog(folder, "mine.jsonl")).length, 2);
});

test("concurrent runs of sign lose or tear no record", async () => {
  await using folder = await setUp();
  const signed = await Promise.all(Array.from({ length: 6 }, () => folder.answer(...SIGN)));
  const serials = (await readLog(folder)).map(({ serialNumber }) => serialNumber);
  assert.deepEqual([...serials].sort(), signed.map((pem) => getRecordedSerial(pem)).sort());
});

test("sign hands out no certificate that it cannot record, and repairs a torn last line", async () => {
  await using folder = await setUp();
  await symlink("/dev/full", folder.join("full.jsonl"));
  const full = await folder.tlsboot(...SIGN, "--issued-log", "full.jsonl");
  assert.deepEqual([full.code, full.stdout], [1, ""]);
  assert.match(full.stderr, /error: cannot record a certificate in issued log ".*full\.jsonl": .*no space left/i);
  assert.match(full.stderr, /hint: free some space: a certificate that cannot be recorded is not given out/);

  const admin = ["kubeconfig", "admin", "--data-dir", "data", "--out", "a.kubeconfig", "--issued-log", "full.jsonl"];
  await folder.fail(1, ...admin);
  await assert.rejects(stat(folder.join("a.kubeconfig")), { code: "ENOENT" });

  await folder.answer(...SIGN);
  await appendFile(folder.join("data/issued.jsonl"), '{"spec":{"sequence":2,"prev');
  const repaired = await folder.succeed(...SIGN);
  assert.match(repaired.stderr, /warning: the last line of ".*issued\.jsonl" was incomplete and is cut off/);
  assert.equal((await readLog(folder)).length, 2);

  await appendFile(folder.join("data/issued.jsonl"), "something else\n");
  assert.match(await folder.refuse(1, ...SIGN), /cannot append to issued log .*its last line is not a record/);
});

test("up imports the records of issued.jsonl into its register once", async () => {
  await using folder = await setUp();
  const signed = await folder.answer(...SIGN);
  for (const _ of ["first", "second"]) {
    await using instance = await startInstance(folder);
    await using admin = await connectWith(`${instance.data}/admin.kubeconfig`);
    const path = "/apis/tlsboot/v1alpha1/issuedcertificates";
    const { items } = await admin.api.requestList<IssuedCertificate>({ method: "GET", path }, signal);
    const taken = items.filter(({ spec }) => spec.source === "sign");
    assert.deepEqual(taken.map(({ spec }) => [spec.serialNumber, spec.subject]), [[
      getRecordedSerial(signed),
      "CN=alice",
    ]]);
    assert.equal(
      (await verifyRecords(items, { cas: [await readCa(folder.join("data/pki/ca.crt"))] })).fault,
      undefined,
    );
  }
});

test("signer records each certificate, with the requester and the approval, before the request gets it", async () => {
  await using folder = await createWorkplace();
  await using instance = await startInstance(folder, [], "serve");
  const kubeconfig = `${instance.data}/admin.kubeconfig`;
  const line = [
    ...["signer", "--kubeconfig", kubeconfig, "--issued-log", "issued.log", "--leader-elect=false"],
    ...["--cluster-signing-cert-file", "data/pki/ca.crt", "--cluster-signing-key-file", "data/pki/ca.key"],
  ];
  await using _signer = folder.start(...line);
  await using admin = await connectWith(kubeconfig);
  const { metadata, status } = await requestAndApprove(admin.api, {
    name: "alice",
    ...{ signerName: "kubernetes.io/kube-apiserver-client", commonName: "alice", organizations: [] },
  });
  const [record, ...others] = await readLog(folder, "issued.log");
  assert.deepEqual(others, []);
  assert.equal(record?.serialNumber, getRecordedSerial(fromBase64(status.certificate ?? "")));
  assert.deepEqual(record?.request, { name: "alice", uid: metadata.uid });
  assert.equal(record?.requester?.username, "kubernetes-admin");
  assert.deepEqual([record?.approval?.reason, record?.approval?.message], ["Test", "by the test"]);
});

test("signer does not start with a log that it cannot write", async () => {
  await using folder = await setUp();
  const line = [
    ...["signer", "--kubeconfig", "none", "--issued-log", "nowhere/issued.log"],
    ...["--cluster-signing-cert-file", "data/pki/ca.crt", "--cluster-signing-key-file", "data/pki/ca.key"],
  ];
  const stderr = await folder.refuse(1, ...line);
  assert.match(stderr, /cannot record a certificate in issued log ".*nowhere\/issued\.log": .*no such file/);
  assert.match(stderr, /hint: create its folder, or name another file with --issued-log/);
});
