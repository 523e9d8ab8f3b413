/** Text from requests is escaped in the server's log and its audit log, on a terminal and in a file. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { run } from "../../cli/run.ts";
import { createSystemClock } from "../../cli/system.ts";
import { Secret } from "../../core/lib/brand.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { encodeKubeconfig } from "../../core/kube/kubeconfig/kubeconfig.ts";
import { createCapturedIo } from "../support/captured_io.ts";
import { buildCsr, condition } from "../support/csr_builder.ts";
import { eventually } from "../support/eventually.ts";
import { assertShown, FORGING, HOSTILE } from "../support/hostile_text.ts";
import { sendRaw } from "../support/raw_http.ts";
import { connectWith, describeInstance } from "../support/instance_process.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";

const signal = new AbortController().signal;
const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const TOKEN = "hostile-token";
const SIGNER = "example.com/hostile";
/** A rule that matches the request, so that the approver logs it. */
const POLICY = `apiVersion: tlsboot/v1alpha1
kind: ApprovalPolicy
name: hostile
rules:
  - name: hostile
    match: { signerNames: ["${SIGNER}"] }
    then: pending
`;
const AUDIT_POLICY = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{ level: RequestResponse }]\n";

/** The time limit for a server or its approver on a busy machine. */
const START_MS = 180_000;

const FLAGS: readonly string[] = [
  ...["--token-auth-file", "tokens.csv", "--policy", "policy.yaml", "-v", "4"],
  ...["--audit-policy-file", "audit.yaml", "--audit-log-path", "audit.log"],
];

/** Writes the files of the flags. */
async function prepare(folder: TempFolder): Promise<void> {
  await writeFile(folder.join("tokens.csv"), `${TOKEN},"${FORGING}",1,"system:masters"\n`, { mode: 0o600 });
  await writeFile(folder.join("policy.yaml"), POLICY);
  await writeFile(folder.join("audit.yaml"), AUDIT_POLICY);
}

/** Sends hostile text wherever a server may print it. `logged` resolves when the approver has logged the request. */
async function attack(folder: TempFolder, port: number, logged: () => Promise<unknown>): Promise<void> {
  const kubeconfig = folder.join("hostile.kubeconfig");
  const ca = await readFile(folder.join("data", "pki", "ca.crt"), "utf8");
  await writeFile(
    kubeconfig,
    encodeKubeconfig({
      clusters: [{ name: "c", cluster: { server: `https://127.0.0.1:${port}`, certificateAuthorityData: ca } }],
      contexts: [{ name: "c", context: { cluster: "c", user: "c" } }],
      users: [{ name: "c", user: { token: new Secret(TOKEN) } }],
      currentContext: "c",
    }),
    { mode: 0o600 },
  );
  await using hostile = await connectWith(kubeconfig);
  const raw = Buffer.from(
    `GET /\u009b31m\u202e HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer wrong\r\n\r\n`,
  );
  await sendRaw(port, raw);
  const csr = await buildCsr({
    name: "hostile",
    signerName: SIGNER,
    commonName: FORGING,
    organizations: [HOSTILE, FORGING],
    metadata: { annotations: { "example.com/a": FORGING } },
  });
  const misnamed = { ...csr, metadata: { name: FORGING } };
  await assert.rejects(hostile.api.requestJson({ method: "POST", path: CSRS, body: misnamed }, signal));
  const made = await hostile.api.requestObject<CertificateSigningRequest>(
    { method: "POST", path: CSRS, body: csr },
    signal,
  );
  assert.equal(made.spec.username, FORGING);
  await logged();
  const denial = { ...condition("Denied"), reason: HOSTILE, message: FORGING };
  const denied = { ...made, status: { conditions: [denial] } };
  await hostile.api.requestJson({ method: "PUT", path: `${CSRS}/hostile/approval`, body: denied }, signal);
}

/** Asserts that the log names the request and contains no terminal control characters. */
function assertLogged(stderr: string, isTerminal: boolean): void {
  assertShown(stderr, isTerminal, "log");
  const line = stderr.split("\n").find((text) => text.includes("CSR left pending")) ?? "";
  assert.match(line, /\\u001b\[2J.*\\u009b31m.*\\u202eevil/, "the requester is shown");
}

async function assertAudited(folder: TempFolder): Promise<void> {
  const text = await readFile(folder.join("audit.log"), "utf8");
  assertShown(text.replaceAll("\n", ""), false, "audit log");
  const events = text.trimEnd().split("\n").map((line) => JSON.parse(line));
  const made = events.find(({ verb, objectRef, responseStatus }) =>
    verb === "create" && objectRef?.name === "hostile" && responseStatus?.code === 201
  );
  assert.equal(made.user.username, FORGING, "the value is the same");
  assert.equal(made.requestObject.metadata.annotations["example.com/a"], FORGING);
  const denied = events.find(({ objectRef, stage }) =>
    objectRef?.subresource === "approval" && stage === "ResponseComplete"
  );
  assert.equal(denied.requestObject.status.conditions[0].message, FORGING);
}

for (const format of ["text", "json"] as const) {
  const args = [...FLAGS, "--logging-format", format];
  describeInstance(`the text of hostile requests in logs as ${format}`, { args, prepare }, (instance) => {
    test("up escapes it in its log, and in its audit log", async () => {
      const { folder, running } = instance;
      await attack(folder, instance.port, () => running.waitFor(/CSR left pending/, START_MS, "stderr"));
      const { code, stderr } = await instance.end("SIGTERM");
      assert.equal(code, 0, stderr);
      assertLogged(stderr, false);
      await assertAudited(folder);
    });
  });
}

test("up escapes the text of hostile requests in its log on a terminal", async () => {
  await using folder = await createTempFolder();
  await prepare(folder);
  const stop = new AbortController();
  const io = createCapturedIo({ isTerminal: true, cwd: folder.path, clock: createSystemClock() });
  const running = run(["up", "--data-dir", "data", "--secure-port", "0", ...FLAGS], io, stop.signal);
  try {
    const port = await eventually(
      "up serves",
      () => Promise.resolve(/is up at https:\/\/\S+:(\d+)/.exec(io.stdoutText())?.[1]),
      START_MS,
    );
    const logged = () => Promise.resolve(io.stderrText().includes("CSR left pending") || undefined);
    await attack(folder, Number(port), () => eventually("the approver has logged it", logged, START_MS));
  } finally {
    stop.abort();
    await running;
  }
  assertLogged(io.stderrText(), true);
  assertShown(io.stdoutText(), true, "stdout");
  await assertAudited(folder);
});
