/**
 * What servers, requests and files say is shown and never obeyed: each command of people before a hostile server, and
 * before hostile files, on a terminal and off it.
 */
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { createSystemClock } from "../../cli/system.ts";
import { encodeKubeconfig } from "../../core/kube/kubeconfig.ts";
import { Secret } from "../../core/brand.ts";
import { buildCsr, sharedKey } from "../support/csr_builder.ts";
import { type FakeAnswer, type FakeApi, type FakeRequest, startFakeApi } from "../support/fake_api.ts";
import { assertShown, findObeyed, FORGING, HOSTILE } from "../support/hostile_text.ts";
import { base64Of } from "../support/issuing_ca.ts";
import { runCaptured } from "../support/run_captured.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";
import type { KubeObject } from "../../core/kube/meta.ts";

let folder: TempFolder;
let api: FakeApi;
let csr: KubeObject;
let token: KubeObject;

before(async () => {
  folder = await createTempFolder();
  api = await startFakeApi();
  const config = {
    clusters: [{ name: HOSTILE, cluster: { server: api.server, certificateAuthorityData: api.ca.caPem } }],
    contexts: [{ name: FORGING, context: { cluster: HOSTILE, user: HOSTILE } }],
    users: [{ name: HOSTILE, user: { token: new Secret("abcdef.0123456789abcdef") } }],
    currentContext: FORGING,
  };
  await writeFile(folder.join("admin.kubeconfig"), encodeKubeconfig(config), { mode: 0o600 });
  const key = await sharedKey();
  const certificate = await api.ca.issue({
    subject: { commonName: FORGING, organizations: [HOSTILE] },
    publicKeyDer: key.publicKeyDer(),
  });
  await writeFile(folder.join("hostile.crt"), certificate);
  const built = await buildCsr({
    name: FORGING,
    signerName: HOSTILE,
    usages: [FORGING],
    commonName: FORGING,
    organizations: [HOSTILE, FORGING],
    emailAddresses: ["a@b.example"],
    username: FORGING,
    groups: [HOSTILE, FORGING],
    metadata: { name: FORGING, labels: { [HOSTILE]: FORGING }, annotations: { [FORGING]: HOSTILE }, uid: "u" },
    conditions: [{
      type: "Approved",
      status: "True",
      reason: FORGING,
      message: FORGING,
      lastUpdateTime: "2026-01-01T00:00:00Z",
      lastTransitionTime: "2026-01-01T00:00:00Z",
    }],
    certificate: base64Of(certificate),
  });
  csr = { ...built, metadata: { ...built.metadata, resourceVersion: "7", creationTimestamp: "2026-01-01T00:00:00Z" } };
  await writeFile(folder.join("csr.yaml"), JSON.stringify(csr));
  token = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "bootstrap-token-abcdef", namespace: "kube-system" },
    type: "bootstrap.kubernetes.io/token",
    data: {
      "token-id": base64Of("abcdef"),
      "token-secret": base64Of("0123456789abcdef"),
      description: base64Of(FORGING),
      expiration: base64Of(FORGING),
      [`usage-bootstrap-${HOSTILE}`]: base64Of("true"),
      "auth-extra-groups": base64Of(FORGING),
    },
  } as KubeObject;
});
after(async () => {
  await api[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

/** Headers take no ASCII controls, but those above; ESC [ is one character there. */
const WARNING = '299 - "x\x9b31mevil\xad"';

/** A server that answers everything, with hostile text wherever text can be. */
function hostileAnswer({ method, path, headers }: FakeRequest): FakeAnswer {
  const respond = (body: unknown): FakeAnswer => ({ status: 200, headers: { warning: WARNING }, body });
  if (path.includes("/events")) {
    const event = {
      metadata: { name: "e", namespace: "default" },
      involvedObject: { name: FORGING, kind: "CertificateSigningRequest" },
      type: FORGING,
      reason: FORGING,
      message: FORGING,
      source: { component: FORGING },
      lastTimestamp: "2026-01-01T00:00:00Z",
    };
    return respond({ kind: "EventList", apiVersion: "v1", metadata: {}, items: [event] });
  }
  if (path.includes("/secrets")) {
    return respond({ kind: "SecretList", apiVersion: "v1", metadata: {}, items: [token] });
  }
  if (path.endsWith("/nodes")) return respond({ kind: "NodeList", apiVersion: "v1", metadata: {}, items: [] });
  if (path.endsWith("/version")) return respond({ gitVersion: HOSTILE, major: "1", minor: "37" });
  const wantsTable = String(headers.accept).includes("as=Table");
  if (method === "GET" && wantsTable) {
    const columns = [{ name: FORGING, type: "string" }, { name: HOSTILE, type: "string" }];
    const rows = [{ cells: [FORGING, HOSTILE], object: { metadata: csr.metadata } }, {
      cells: [{ [HOSTILE]: FORGING }, null],
      object: { metadata: csr.metadata },
    }];
    return respond({
      kind: "Table",
      apiVersion: "meta.k8s.io/v1",
      metadata: { resourceVersion: "7" },
      columnDefinitions: columns,
      rows,
    });
  }
  if (method === "GET" && path.endsWith("certificatesigningrequests")) {
    const metadata = { resourceVersion: "7" };
    return respond({
      kind: "CertificateSigningRequestList",
      apiVersion: "certificates.k8s.io/v1",
      metadata,
      items: [csr],
    });
  }
  return respond(csr);
}

/** A server whose every answer is a refusal. */
function refusal(code: number): () => FakeAnswer {
  const details = { name: HOSTILE, kind: FORGING, causes: [{ reason: HOSTILE, message: FORGING, field: HOSTILE }] };
  const reason = code === 401 ? "Unauthorized" : code === 403 ? "Forbidden" : HOSTILE;
  return () => ({
    status: code,
    headers: { warning: WARNING },
    body: {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: FORGING,
      reason,
      details,
      code,
    },
  });
}

/** Servers by what they do. */
const SERVERS: Readonly<Record<string, (request: FakeRequest) => FakeAnswer>> = {
  "answers with hostile objects": hostileAnswer,
  "refuses with 403": refusal(403),
  "refuses with 401": refusal(401),
  "fails with 500": refusal(500),
  "refuses with 422": refusal(422),
  "answers with a page": () => ({ status: 500, headers: { "content-type": "text/html" }, body: FORGING }),
  "answers with what is no JSON": () => ({ status: 200, body: FORGING }),
  "answers with another object": () => ({ status: 200, body: { kind: FORGING, apiVersion: HOSTILE } }),
  "closes": () => ({ status: 503, body: HOSTILE }),
};

/** Commands that ask a server; with `data` what they print off a terminal is data for programs, as it is. */
const COMMANDS: readonly { readonly args: readonly string[]; readonly isData?: boolean }[] = [
  { args: ["get", "csr"] },
  { args: ["get", "csr", "-o", "wide"] },
  { args: ["get", "csr", "-o", "json"] },
  { args: ["get", "csr", "-o", "name"] },
  { args: ["get", "csr", "-o", "yaml"], isData: true },
  { args: ["get", "csr", "-o", "jsonpath={.items[*].spec.username}"], isData: true },
  { args: ["get", "csr", "one"] },
  { args: ["describe", "csr", "one"] },
  { args: ["describe", "csr"] },
  { args: ["approve", "one"] },
  { args: ["deny", "one", "--reason", FORGING, "--message", HOSTILE] },
  { args: ["delete", "csr", "one"] },
  { args: ["token", "list"] },
  { args: ["token", "list", "-o", "json"] },
  { args: ["token", "list", "--show-secrets"] },
  { args: ["token", "create", "--description", HOSTILE] },
  { args: ["token", "delete", "abcdef"] },
  { args: ["approver", "explain", "one", "--policy", "kubelet-serving"] },
  { args: ["approver", "clear", FORGING] },
  { args: ["kubeconfig", "user", "bob", "--timeout", "1s"] },
  { args: ["request", "--signer-name", "example.com/a", "--subject", "CN=a", "--out", "out", "--no-wait"] },
  { args: ["inspect", "admin.kubeconfig"] },
];

for (const [server, intercept] of Object.entries(SERVERS)) {
  for (const { args, isData } of COMMANDS) {
    const name = args.filter((word) => /^[\w@.=[\]*{}/-]+$/.test(word)).join(" ");
    test(`tlsboot ${name} shows what a server says that ${server}`, async () => {
      api.intercept = intercept;
      for (const isTerminal of [false, true]) {
        for (const debug of [[], ["--debug"]]) {
          const run = await runCaptured(
            [...args, ...debug],
            {
              cwd: folder.path,
              isTerminal,
              clock: createImpatientClock(),
              env: { TLSBOOT_DATA_DIR: folder.path, TLSBOOT_KUBECONFIG: folder.join("admin.kubeconfig") },
            },
            AbortSignal.timeout(20_000),
          );
          const what = `${name}${debug.join(" ")} ${isTerminal ? "on a terminal" : "off it"}`;
          assertShown(run.stderr, isTerminal, `${what}: stderr`);
          // Data have lines of their own; what moves a terminal is not for one.
          if (isData === true) assert.equal(isTerminal ? findObeyed(run.stdout, true) : undefined, undefined, what);
          else assertShown(run.stdout, isTerminal, `${what}: stdout`);
        }
      }
    });
  }
}

/** Nobody waits between tries. */
function createImpatientClock(): ReturnType<typeof createSystemClock> {
  return { ...createSystemClock(), sleepUntil: (_, signal) => Promise.resolve(signal.throwIfAborted()) };
}

test("the hostile server was shown, not left out", async () => {
  api.intercept = hostileAnswer;
  const run = (...args: readonly string[]) =>
    runCaptured(args, { cwd: folder.path, env: { TLSBOOT_KUBECONFIG: folder.join("admin.kubeconfig") } });
  const described = await run("describe", "csr", "one");
  assert.equal(described.code, 0, described.stderr);
  for (const text of ["^[[2J", "\\u202eevil", "y^Iforged column^Jforged: line", "\\u009b31m"]) {
    assert.ok(described.stdout.includes(text), `${text} in ${described.stdout}`);
  }
  const got = await run("get", "csr");
  assert.ok(got.stdout.includes("^[]0;PWNED^G") && got.stdout.includes("\\u202eevil"), got.stdout);
  assert.match(described.stderr, /Warning: x.?\\u009b31mevil/, "runtimes differ in how they send bytes beyond ASCII");
  api.intercept = refusal(403);
  const refused = await run("get", "csr");
  assert.match(refused.stderr, /tlsboot: error: .*\^\[\[2J/);
  assert.match(refused.stderr, /tlsboot: error: forged: line/, "a message of two lines is two lines of an error");
});

/** Words and files that are hostile themselves. */
const LOCAL: readonly (readonly string[])[] = [
  [HOSTILE],
  ["get", HOSTILE],
  ["get", "csr", `--${HOSTILE}`],
  ["get", "csr", "--field-selector", HOSTILE],
  ["get", "csr", "-o", HOSTILE],
  ["get", "csr", "--kubeconfig", HOSTILE],
  ["get", "csr", "--kubeconfig", "broken.kubeconfig"],
  ["describe", "csr", FORGING, "--kubeconfig", "broken.kubeconfig"],
  ["inspect", "hostile.crt"],
  ["inspect", "hostile.crt", "-o", "json"],
  ["inspect", "csr.yaml"],
  ["inspect", "broken.kubeconfig"],
  ["inspect", "folder/x\x1b[2J\u202e.crt"],
  ["inspect", HOSTILE],
  ["version", "--config", "config.yaml"],
  ["version", "--config", HOSTILE],
  ["ca", "show", "--data-dir", HOSTILE],
  ["ca", "init", "--data-dir", "ca", "--common-name", `ca ${HOSTILE}`],
  ["sign", "csr.yaml", "--data-dir", "ca", "--signer-name", HOSTILE],
  ["approver", "explain", "csr.yaml", "--policy", "kubelet-serving"],
  ["approver", "explain", "csr.yaml", "--policy", "policy.yaml"],
  ["signer", "--check", "policy.yaml"],
  ["kubeconfig", "admin", "--data-dir", "ca", "--user", HOSTILE, "--out", `admin\x1b[2J.kubeconfig`],
  ["kubeconfig", "user", HOSTILE],
  ["bootstrap", "--bootstrap-kubeconfig", HOSTILE, "--kubeconfig", "k", "--cert-dir", "c"],
  ["bootstrap", "--hostname-override", HOSTILE, "--bootstrap-kubeconfig", "b", "--kubeconfig", "k", "--cert-dir", "c"],
  ["bootstrap", "--status", "--kubeconfig", "broken.kubeconfig", "--cert-dir", "folder"],
  ["request", "--signer-name", HOSTILE, "--subject", `CN=${HOSTILE}`, "--out", "o"],
  ["request", "--signer-name", "a.b/c", "--dns", HOSTILE, "--out", "o"],
  ["serve", "--token-auth-file", "tokens.csv", "--data-dir", "served"],
  ["serve", "--tls-san", HOSTILE, "--secure-port", HOSTILE],
];

for (const args of LOCAL) {
  const name = args.join(" ").replace(/[^\x20-\x7e]/g, "?");
  test(`tlsboot ${name} shows what its words and files say`, async () => {
    await writeHostileFiles();
    for (const isTerminal of [false, true]) {
      const run = await runCaptured([...args, "--debug"], {
        cwd: folder.path,
        isTerminal,
        env: { TLSBOOT_DURATION: HOSTILE },
      }, AbortSignal.timeout(20_000));
      assertShown(run.stderr, isTerminal, "stderr");
      assertShown(run.stdout, isTerminal, "stdout");
    }
  });
}

async function writeHostileFiles(): Promise<void> {
  await mkdir(folder.join("folder"), { recursive: true });
  const certificate = await api.ca.issue({
    subject: { commonName: HOSTILE },
    publicKeyDer: (await sharedKey()).publicKeyDer(),
  });
  await writeFile(folder.join("folder", "x\x1b[2J\u202e.crt"), certificate);
  const hostile = JSON.stringify(HOSTILE);
  await writeFile(
    folder.join("broken.kubeconfig"),
    `apiVersion: v1\nkind: Config\n${hostile}: 1\nclusters: ${hostile}\n`,
  );
  await writeFile(folder.join("config.yaml"), `${hostile}: ${hostile}\ndataDir: [1]\n`);
  await writeFile(folder.join("policy.yaml"), `apiVersion: ${hostile}\nkind: ${hostile}\n${hostile}: 1\n`);
  await writeFile(folder.join("tokens.csv"), `${HOSTILE},${HOSTILE}\n`, { mode: 0o600 });
}
