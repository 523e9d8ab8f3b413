/** Tests the flags for the audit log and the process log. */
import assert from "node:assert/strict";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { connectWith, createWorkplace, startInstance } from "../support/instance_process.ts";

const signal = new AbortController().signal;
const POLICY = `apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- level: RequestResponse
  resources: [{group: "", resources: [configmaps]}]
  omitStages: [RequestReceived]
- level: None
`;

test("serve logs the requests that the policy selects, and rotates and compresses a full log", async () => {
  await using folder = await createWorkplace();
  const policy = folder.join("policy.yaml");
  await writeFile(policy, POLICY);
  const log = folder.join("audit/audit.log");
  const rotation = ["--audit-log-maxsize", "1", "--audit-log-maxbackup", "1", "--audit-log-compress"];
  const flags = ["--audit-policy-file", policy, "--audit-log-path", log, ...rotation];
  await using instance = await startInstance(folder, [...flags, "--logging-format", "text", "-v", "4"], "serve");
  await using admin = await connectWith(`${instance.data}/admin.kubeconfig`);
  const path = "/api/v1/namespaces/default/configmaps";
  const data = { text: "x".repeat(300_000) };
  for (let number = 0; number < 5; number += 1) {
    const body = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: `c${number}` }, data };
    await admin.api.requestJson({ method: "POST", path, body }, signal);
  }
  await admin.api.requestJson({ method: "GET", path: "/version" }, signal);
  const { code, stderr } = await instance.end("SIGTERM");
  assert.equal(code, 0);
  assert.match(stderr, /^\S+Z (?:INFO|DEBUG) /);

  const names = (await readdir(folder.join("audit"))).sort();
  assert.equal(names.length, 2);
  assert.match(names[0]!, /^audit-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}\.log\.gz$/);
  for (const name of names) assert.equal((await stat(folder.join("audit", name))).mode & 0o777, 0o600);
  const events = (await readFile(log, "utf8")).trimEnd().split("\n").map((line) => JSON.parse(line));
  for (const { objectRef, requestObject, stage } of events) {
    assert.deepEqual([objectRef.resource, requestObject.data.text.length, stage], [
      "configmaps",
      300_000,
      "ResponseComplete",
    ]);
  }
});

test("serve with an invalid audit policy reports every fault and creates nothing", async () => {
  await using folder = await createWorkplace();
  const policy = folder.join("policy.yaml");
  await writeFile(policy, POLICY.replace("omitStages", "omitStage").replace("None", "Non"));
  const data = ["--data-dir", folder.join("data"), "--secure-port", "0"];
  for (
    const [flags, code, fault] of [
      [
        ["--audit-policy-file", policy, "--audit-log-path", "-"],
        2,
        /omitStage: unknown key.*level: .*did you mean None/,
      ],
      [["--audit-policy-file", "missing", "--audit-log-path", "-"], 1, /cannot read audit policy "missing"/],
      [["--audit-policy-file", policy], 2, /--audit-policy-file needs --audit-log-path/],
      [["--audit-log-path", folder.path], 1, /cannot open audit log/],
      [["--audit-log-mode", "batch"], 2, /want one of blocking, blocking-strict/],
    ] as const
  ) {
    const got = await folder.tlsboot("serve", ...data, ...flags);
    assert.match(got.stderr, fault);
    assert.equal(got.code, code, flags.join(" "));
    assert.ok(!(await readdir(folder.path)).includes("data"));
  }
});
