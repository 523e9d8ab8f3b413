/**
 * No output of a run contains a secret: the run covers every command and its failures at the highest verbosity, and
 * then the whole output is searched for each secret in every encoding that it could have.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import type { Running } from "../support/child.ts";
import { provoke, readPair, recordObjects } from "../support/secret_provocations.ts";
import { createSecretRun, findSecrets, listForms, PIECE } from "../support/secret_search.ts";
import { createTempFolder } from "../support/temp.ts";

const PASSPHRASE = "kangaroo-Velvet+umbrella/31";
const WRONG_PASSPHRASE = "giraffe-Marble+telescope/77";
const TOKEN_FILE_SECRET = "static-Token+of/a=user-0815";
const WRONG_TOKEN = "zzzzzz.wrongwrongwrong1";
const MALFORMED = "malformed header secretive-Word";
const SECRET_DATA = "data-Of+a/Secret=in-the-store";

test("findSecrets() finds a secret in each encoding, and a piece of it", () => {
  const secrets = [{ name: "s", value: PASSPHRASE }];
  for (const form of listForms(PASSPHRASE)) {
    assert.equal(findSecrets([{ where: "log", text: `x ${form} y` }], secrets).length > 0, true, form);
  }
  assert.notDeepEqual(findSecrets([{ where: "log", text: PASSPHRASE.slice(5, 5 + PIECE) }], secrets), []);
  const shifted = Buffer.from(`ab${PASSPHRASE}cd`).toString("base64");
  assert.notDeepEqual(findSecrets([{ where: "log", text: shifted }], secrets), []);
  assert.deepEqual(findSecrets([{ where: "log", text: "nothing of the kind" }], secrets), []);
});

test("a whole run prints no secret in logs, events, metrics, audit lines and errors, at the highest verbosity", async () => {
  await using folder = await createTempFolder();
  const run = createSecretRun(folder.path);
  const { succeeds, fails, know } = run;
  const secret = { isAnswerSecret: true };
  know("the passphrase of the CA", PASSPHRASE);
  know("a wrong passphrase", WRONG_PASSPHRASE);
  know("a token of the token file", TOKEN_FILE_SECRET);
  know("a wrong token", WRONG_TOKEN.slice(7));
  know("a malformed Authorization header", MALFORMED.split(" ").at(-1)!);
  know("the data of a Secret", SECRET_DATA);
  const at = (name: string) => folder.join(name);
  const write = (name: string, text: string) => writeFile(at(name), text, { mode: 0o600 });
  await write("passphrase", `${PASSPHRASE}\n`);
  await write("wrong-passphrase", `${WRONG_PASSPHRASE}\n`);
  await write("tokens.csv", `${TOKEN_FILE_SECRET},alice,1,"developers"\n`);

  await succeeds("ca init --data-dir data --ca-passphrase-file passphrase");
  await fails("up --data-dir data --secure-port 0 --ca-passphrase-file wrong-passphrase");
  await using up: Running = run.start(
    "up --data-dir data --secure-port 0 --ca-passphrase-file passphrase --auto-approve --token-auth-file tokens.csv " +
      "--audit-log-path audit.log",
  );
  const [, port = ""] = await up.waitFor(/is up at https:\/\/\S+:(\d+)/);

  const made = (await succeeds("token create --data-dir data --description d", secret)).trim();
  know("a new token", made.slice(7));
  const shown = await succeeds("token list --data-dir data --show-secrets", secret);
  for (const token of shown.match(/\b[a-z0-9]{6}\.[a-z0-9]{16}\b/g) ?? []) know("a listed token", token.slice(7));
  await succeeds("token list --data-dir data");
  await succeeds("token list --data-dir data -o json");
  const bootstrap = "--cert-dir n1/pki --kubeconfig n1/kubeconfig --hostname-override n1";
  await succeeds(`bootstrap --bootstrap-kubeconfig data/bootstrap.kubeconfig ${bootstrap}`);
  await succeeds("kubeconfig user bob --data-dir data");
  await succeeds(
    "request --kubeconfig data/admin.kubeconfig --signer example.com/a --subject CN=a --out out --no-wait",
  );
  await succeeds("get csr --data-dir data -o yaml");
  const names = (await succeeds("get csr --data-dir data -o name")).trim().split("\n");
  for (const name of names) await succeeds(`describe csr ${name.split("/")[1]} --data-dir data`);
  await succeeds("inspect data/admin.kubeconfig data/bootstrap.kubeconfig n1/kubeconfig data/pki/ca.key");

  // Failures, whose messages might quote a secret.
  const admin = await readPair(at("data/admin.kubeconfig"));
  const sent = { token: TOKEN_FILE_SECRET, wrongToken: WRONG_TOKEN, malformed: MALFORMED, content: SECRET_DATA };
  await provoke(run, port, admin, sent);
  await write("broken.kubeconfig", `apiVersion: v1\nkind: Config\nusers: [{name: u, user: {token: ${SECRET_DATA}}}\n`);
  await fails("get csr --kubeconfig broken.kubeconfig");
  await run.tlsboot("inspect broken.kubeconfig");
  const good = await readFile(at("data/bootstrap.kubeconfig"), "utf8");
  await write("wrong.kubeconfig", good.replace(/token: .*/, `token: ${WRONG_TOKEN}`));
  await fails("get csr --kubeconfig wrong.kubeconfig");
  await fails(
    `bootstrap --bootstrap-kubeconfig wrong.kubeconfig --timeout 2s ${bootstrap.replaceAll("n1", "n2")}`,
  );
  await write(
    "broken-ca.kubeconfig",
    good.replace(/certificate-authority-data: .*/, `certificate-authority-data: ${formatBrokenCa()}`),
  );
  await fails("get csr --kubeconfig broken-ca.kubeconfig");
  await fails(
    `bootstrap --server https://127.0.0.1:${port} --token ${WRONG_TOKEN} --ca-cert-hash sha256:${
      "0".repeat(64)
    } --timeout 2s ${bootstrap.replaceAll("n1", "n3")}`,
  );
  await fails(
    `bootstrap --server https://127.0.0.1:${port} --token ${WRONG_TOKEN}x --ca-cert-hash sha256:${
      "0".repeat(64)
    } ${bootstrap}`,
  );
  await fails(`token create ${WRONG_TOKEN}x --data-dir data -o kubeconfig --out b2`);
  await fails("sign nothing.csr --data-dir data --ca-passphrase-file wrong-passphrase");
  await run.tlsboot("ca init --data-dir other --ca-passphrase-file -", { stdin: `${WRONG_PASSPHRASE}\n` });
  await write("key-as-config.yaml", formatKeyAsConfig(await readFile(at("n1/kubeconfig"), "utf8")));
  await fails("version --config key-as-config.yaml");

  await recordObjects(run, port, admin);
  const { stderr } = await run.end(up);
  run.record("audit.log", await readFile(at("audit.log"), "utf8"));
  assert.ok(await run.knowKeys(PASSPHRASE) >= 12, "keys of the run are known");
  assert.ok(run.getOutput("audit.log").includes("/certificatesigningrequests"), "the audit log is there");
  assert.match(stderr, /bootstrap token refused|not authenticated/, "the log is there");
  assert.deepEqual(run.found(), []);
});

/** Returns a CA certificate that cannot be parsed, in base64. */
function formatBrokenCa(): string {
  return Buffer.from("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n").toString("base64");
}

/** Returns the text of a file with secrets that is not a configuration. */
function formatKeyAsConfig(kubeconfig: string): string {
  return `key: "-----BEGIN PRIVATE KEY----- ${SECRET_DATA}"\ntoken: ${SECRET_DATA}\n${kubeconfig.slice(0, 50)}`;
}
