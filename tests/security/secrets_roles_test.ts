/**
 * No secret is printed by backups, by restores or by the roles as separate processes, even with wrong files of secrets
 * and with an audit policy that logs every body.
 */
import assert from "node:assert/strict";
import { readFile, rename, writeFile } from "node:fs/promises";
import { get } from "node:http";
import { test } from "node:test";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import type { Running } from "../support/child.ts";
import { writeKeyProgram } from "../support/key_program.ts";
import { ask, type Pair, provoke, readPair, recordObjects } from "../support/secret_provocations.ts";
import { createSecretRun, type SecretRun } from "../support/secret_search.ts";
import { createSigningCa } from "../support/signing_ca.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";
import { WEB } from "../support/test_profiles.ts";

const PASSPHRASE = "walrus-Copper+lantern/52";
const WRONG_PASSPHRASE = "beetle-Granite+compass/68";
const BACKUP_PASSPHRASE = "heron-Amber+clockwork/94";
const TOKEN_FILE_SECRET = "static-Token+of/b=user-4711";
const WRONG_TOKEN = "zzzzzz.falsefalsefalse1";
const MALFORMED = "malformed header clandestine-Word";
const SECRET_DATA = "body-Of+a/Secret=under-policy";
/** The length of the prefix that all secret keys of age have. */
const IDENTITY_START = "AGE-SECRET-KEY-1".length;

/** An audit policy that logs every body. */
const AUDIT_POLICY = `apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- level: RequestResponse
`;
/** The role bindings that an administrator creates for `serve`, which creates none. */
const BINDINGS = {
  "system:node-bootstrapper": "system:bootstrappers",
  "system:certificates.k8s.io:certificatesigningrequests:nodeclient": "system:bootstrappers",
  "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient": "system:nodes",
};

interface Setup {
  readonly folder: TempFolder;
  readonly run: SecretRun;
  /** The public key of the identity of age. */
  readonly recipient: string;
  write(name: string, text: string): Promise<void>;
}

/** Writes files with secrets to a folder. */
async function begin(folder: TempFolder): Promise<Setup> {
  const run = createSecretRun(folder.path);
  const write = (name: string, text: string) => writeFile(folder.join(name), text, { mode: 0o600 });
  const [identity, other] = [await generateX25519Identity(), await generateX25519Identity()];
  run.know("the passphrase of the CA", PASSPHRASE);
  run.know("a wrong passphrase", WRONG_PASSPHRASE);
  run.know("the passphrase of a backup", BACKUP_PASSPHRASE);
  run.know("a token of the token file", TOKEN_FILE_SECRET);
  run.know("a wrong token", WRONG_TOKEN.slice(7));
  run.know("a malformed Authorization header", MALFORMED.split(" ").at(-1)!);
  run.know("the data of a Secret", SECRET_DATA);
  run.know("an identity of age", identity.slice(IDENTITY_START));
  run.know("another identity of age", other.slice(IDENTITY_START));
  await write("passphrase", `${PASSPHRASE}\n`);
  await write("wrong-passphrase", `${WRONG_PASSPHRASE}\n`);
  await write("backup-passphrase", `${BACKUP_PASSPHRASE}\n`);
  await write("identity", `# created: now\n${identity}\n`);
  await write("wrong-identity", `${other}\n`);
  await write("broken-identity", `${identity.slice(0, -1)}\n`);
  await write("tokens.csv", `${TOKEN_FILE_SECRET},alice,1,"developers"\n`);
  return { folder, run, recipient: await identityToRecipient(identity), write };
}

test("serve, signer, approver and a renewing bootstrap print no secret, even in audit lines with every body", async () => {
  await using folder = await createTempFolder();
  const { run, recipient, write } = await begin(folder);
  const { succeeds, fails } = run;
  await write("audit.yaml", AUDIT_POLICY);
  await write("web.yaml", WEB);
  const ca = await createSigningCa();
  await write("held.crt", ca.certificatePem);
  await rename(await writeKeyProgram(folder, ca.keyPem), folder.join("hsm"));

  await succeeds("ca init --data-dir data --ca-passphrase-file passphrase");
  await using serve: Running = run.start(
    "serve --data-dir data --secure-port 0 --ca-passphrase-file passphrase --token-auth-file tokens.csv -v 10 " +
      "--audit-log-path audit.log --audit-policy-file audit.yaml",
  );
  const [, port = ""] = await serve.waitFor(/serves https:\/\/\S+:(\d+)/);
  const admin = await readPair(folder.join("data/admin.kubeconfig"));
  for (const [role, group] of Object.entries(BINDINGS)) await bind(port, admin, role, group);
  await succeeds(`token create --data-dir data -o kubeconfig --server https://127.0.0.1:${port} --out b.kubeconfig`);
  const [, secret = ""] = /token: \w{6}\.(\w{16})\n/.exec(await readFile(folder.join("b.kubeconfig"), "utf8")) ?? [];
  run.know("a token", secret);

  const distant = "--kubeconfig data/admin.kubeconfig --metrics-bind-address 127.0.0.1:0 -v 10";
  await using signer = run.start(
    `signer ${distant} --cluster-signing-cert-file data/pki/ca.crt --cluster-signing-key-file data/pki/ca.key ` +
      "--ca-passphrase-file passphrase --cluster-signing-duration 20s",
  );
  await using web = run.start(
    `signer ${distant} --signer example.com/web --profile web.yaml --cluster-signing-cert-file held.crt ` +
      "--signing-key-command hsm",
  );
  await using approver = run.start(`approver ${distant} --policy kubelet-serving-trusting`);
  const pages = new Map<string, string>();
  for (const [name, role] of Object.entries({ signer, web, approver })) {
    const [, listening = ""] = await role.waitFor(/"message":"metrics".*"port":(\d+)/);
    pages.set(name, `http://127.0.0.1:${listening}/metrics`);
  }
  await using rotating = run.start(
    "bootstrap --bootstrap-kubeconfig b.kubeconfig --kubeconfig n1/kubeconfig --cert-dir n1/pki " +
      "--hostname-override n1 --rotate-certificates",
  );
  await provoke(run, port, admin, {
    token: TOKEN_FILE_SECRET,
    wrongToken: WRONG_TOKEN,
    malformed: MALFORMED,
    content: SECRET_DATA,
  });
  const request = "request --kubeconfig data/admin.kubeconfig --signer example.com/web --dns a.example.com --out a";
  await succeeds(`${request} --no-wait -o json`).then(async (answer) => {
    await succeeds(`approve ${JSON.parse(answer).request.name} --data-dir data`);
  });
  await succeeds(`${request} --timeout 120s`);
  await succeeds(`backup live.backup --data-dir data --recipient ${recipient}`);
  await rotating.waitFor(/certificate renewed/);

  for (const [name, page] of pages) {
    run.record(`metrics of ${name}`, await fetchPlain(page));
    assert.match(run.getOutput(`metrics of ${name}`), /rest_client_requests_total/);
  }
  const alone = "--cluster-signing-cert-file data/pki/ca.crt --cluster-signing-key-file data/pki/ca.key";
  const wrong = "--ca-passphrase-file wrong-passphrase";
  assert.match(
    await fails(`signer --kubeconfig data/admin.kubeconfig ${alone} ${wrong}`),
    /the passphrase does not fit/,
  );
  await fails(`serve --data-dir data --secure-port 0 ${wrong}`);
  await recordObjects(run, port, admin);
  for (const role of [rotating, approver, web, signer, serve]) {
    assert.match((await run.end(role)).stderr, /debug: --debug: true[^]*"level":"/, "the log is there");
  }

  const audit = await readFile(folder.join("audit.log"), "utf8");
  run.record("audit.log", audit);
  const lines = audit.trim().split("\n").map((line) => JSON.parse(line));
  const withBody = lines.filter((line) => line.requestObject !== undefined || line.responseObject !== undefined);
  const resources = new Set(withBody.map((line) => line.objectRef?.resource));
  for (const resource of ["certificatesigningrequests", "leases", "events"]) {
    assert.ok(resources.has(resource), `bodies of ${resource} are there`);
  }
  assert.ok(lines.some((line) => line.objectRef?.resource === "secrets" && line.verb === "create"));
  assert.ok(lines.some((line) => line.requestURI === "/tlsboot/snapshot"));
  run.record("the backup", await readFile(folder.join("live.backup"), "latin1"));
  assert.ok(await run.knowKeys(PASSPHRASE) >= 12, "keys of the run are known");
  assert.deepEqual(run.found(), []);
});

async function bind(port: string, admin: Pair, role: string, group: string): Promise<void> {
  const apiGroup = "rbac.authorization.k8s.io";
  const answer = await ask(port, "POST", `/apis/${apiGroup}/v1/clusterrolebindings`, {}, {
    metadata: { generateName: "test-" },
    subjects: [{ kind: "Group", apiGroup, name: group }],
    roleRef: { apiGroup, kind: "ClusterRole", name: role },
  }, admin);
  assert.match(answer, /"uid"/, `${role} is bound`);
}

function fetchPlain(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, (response) => {
      let text = JSON.stringify(response.rawHeaders);
      response.setEncoding("utf8").on("data", (chunk: string) => void (text += chunk));
      response.once("end", () => resolve(text));
    }).once("error", reject);
  });
}

test("backup and restore print no passphrase, identity or key, neither valid ones nor wrong ones", async () => {
  await using folder = await createTempFolder();
  const { run, recipient, write } = await begin(folder);
  const { succeeds, fails } = run;
  {
    await using serve = run.start("serve --data-dir data --secure-port 0");
    await serve.waitFor(/serves https/);
    await run.end(serve);
  }
  const pass = "--passphrase-file backup-passphrase";
  await succeeds(`backup pass.backup --data-dir data ${pass}`);
  await succeeds(`backup key.backup --data-dir data --recipient ${recipient}`);
  await succeeds(`backup pass.backup --verify ${pass}`);
  await succeeds("backup key.backup --verify --identity identity");
  await succeeds("restore pass.backup --data-dir restored --passphrase-file -", {
    stdin: `${BACKUP_PASSPHRASE}\n`,
  });
  await succeeds("restore key.backup --data-dir restored --force --identity identity");
  await write("cut.backup", (await readFile(folder.join("key.backup"), "latin1")).slice(0, 3000));
  const wrong = "--passphrase-file wrong-passphrase";
  assert.match(await fails(`backup pass.backup --verify ${wrong}`), /the passphrase is wrong/);
  for (
    const words of [
      `restore pass.backup --data-dir new ${wrong}`,
      "backup pass.backup --verify --identity identity",
      `restore key.backup --data-dir new ${pass}`,
      "backup key.backup --verify --identity wrong-identity",
      "restore key.backup --data-dir new --identity broken-identity",
      "restore key.backup --data-dir new --identity passphrase",
      "restore key.backup --data-dir new --passphrase-file identity",
      "restore cut.backup --data-dir new --identity identity",
      "restore identity --data-dir new --identity identity",
      `backup other.backup --data-dir data ${pass} --recipient ${recipient}`,
    ]
  ) await fails(words);
  for (const name of ["pass.backup", "key.backup"]) run.record(name, await readFile(folder.join(name), "latin1"));
  assert.ok(await run.knowKeys(PASSPHRASE) >= 12, "keys of the run are known");
  assert.deepEqual(run.found(), []);
});
