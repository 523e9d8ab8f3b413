/**
 * No secret of a run stands in anything that the run tells: the whole story and its failures at the highest verbosity,
 * then everything that was told is searched for each secret in each form that it could have.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createPrivateKey } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { join } from "node:path";
import { test } from "node:test";
import { parseKubeconfig } from "../../core/kube/kubeconfig.ts";
import { type Finished, type Running, runTlsboot, startTlsboot } from "../support/child.ts";
import { createTempFolder } from "../support/temp.ts";

/** A secret, and where it came from. */
interface Known {
  readonly name: string;
  readonly value: Value;
}

/** Text, or bytes. */
type Value = string | Buffer;

/** Something that was told, and by whom. */
interface Told {
  readonly where: string;
  readonly text: string;
}

/** No shorter piece of a secret counts; whoever has twelve characters has not got them by chance. */
const PIECE = 12;
const PASSPHRASE = "kangaroo-Velvet+umbrella/31";
const WRONG_PASSPHRASE = "giraffe-Marble+telescope/77";
const TOKEN_FILE_SECRET = "static-Token+of/a=user-0815";
const WRONG_TOKEN = "zzzzzz.wrongwrongwrong1";
const MALFORMED = "malformed header secretive-Word";
const SECRET_DATA = "data-Of+a/Secret=in-the-store";

/** The forms of a secret: as it is, base64 at each of its three offsets, hexadecimal, in URLs, in JSON. */
function formsOf(value: Value): readonly string[] {
  const bytes = typeof value === "string" ? Buffer.from(value, "utf8") : value;
  const base64 = [0, 1, 2].flatMap((skip) => {
    const cut = bytes.subarray(skip, bytes.length - ((bytes.length - skip) % 3));
    return [cut.toString("base64"), cut.toString("base64url")];
  });
  const hex = bytes.toString("hex");
  const text = typeof value === "string" ? [value, encodeURIComponent(value), JSON.stringify(value).slice(1, -1)] : [];
  return [...text, ...base64, hex, hex.toUpperCase()];
}

/** Pieces of a form that would give it away: overlapping, so that any long run of it holds one. */
function piecesOf(form: string): readonly string[] {
  if (form.length <= PIECE) return [form];
  const pieces: string[] = [];
  for (let at = 0; at + PIECE <= form.length; at++) pieces.push(form.slice(at, at + PIECE));
  return pieces;
}

/**
 * The private parts of the keys in a text, each as its bytes and as it stands in PEM: around it stands the public key,
 * which may be told.
 */
function privateParts(text: string): readonly Value[] {
  const blocks = text.match(/-----BEGIN (?:EC )?PRIVATE KEY-----[^-]*-----END (?:EC )?PRIVATE KEY-----/g) ?? [];
  return blocks.flatMap((pem) => {
    const der = Buffer.from(pem.replace(/-----[^-]*-----/g, ""), "base64");
    const scalar = Buffer.from(createPrivateKey(pem).export({ format: "jwk" }).d ?? "", "base64url");
    const at = der.indexOf(scalar);
    assert.ok(scalar.length > 0 && at > 0, "a key that has no private scalar");
    const first = Math.ceil(at / 3) * 3;
    const inPem = der.subarray(first, first + Math.floor((at + scalar.length - first) / 3) * 3).toString("base64");
    return [scalar, inPem];
  });
}

/** Every piece of each secret, with the secret's name. */
function indexOf(secrets: readonly Known[]): ReadonlyMap<string, string> {
  const index = new Map<string, string>();
  for (const { name, value } of secrets) {
    for (const form of formsOf(value)) for (const piece of piecesOf(form)) index.set(piece, name);
  }
  return index;
}

function findSecrets(told: readonly Told[], secrets: readonly Known[]): readonly string[] {
  const index = indexOf(secrets);
  const found = new Map<string, string>();
  for (const { where, text } of told) {
    for (let at = 0; at + PIECE <= text.length; at++) {
      const name = index.get(text.slice(at, at + PIECE));
      const place = `${name} in ${where}`;
      if (name !== undefined && !found.has(place)) found.set(place, text.slice(Math.max(0, at - 80), at));
    }
  }
  return [...found].map(([place, before]) => `${place}, behind: ${before}`);
}

test("findSecrets() finds each form of a secret and a piece of it", () => {
  const secrets = [{ name: "s", value: PASSPHRASE }];
  for (const form of formsOf(PASSPHRASE)) {
    assert.equal(findSecrets([{ where: "log", text: `x ${form} y` }], secrets).length > 0, true, form);
  }
  assert.notDeepEqual(findSecrets([{ where: "log", text: PASSPHRASE.slice(5, 5 + PIECE) }], secrets), []);
  const shifted = Buffer.from(`ab${PASSPHRASE}cd`).toString("base64");
  assert.notDeepEqual(findSecrets([{ where: "log", text: shifted }], secrets), []);
  assert.deepEqual(findSecrets([{ where: "log", text: "nothing of the kind" }], secrets), []);
});

test("a whole run tells no secret in logs, events, metrics, audit lines and errors, at the highest verbosity", async () => {
  await using folder = await createTempFolder();
  const told: Told[] = [];
  const secrets: Known[] = [
    { name: "the passphrase of the CA", value: PASSPHRASE },
    { name: "a wrong passphrase", value: WRONG_PASSPHRASE },
    { name: "a token of the token file", value: TOKEN_FILE_SECRET },
    { name: "a wrong token", value: WRONG_TOKEN.slice(7) },
    { name: "a malformed Authorization header", value: MALFORMED.split(" ").at(-1)! },
    { name: "the data of a Secret", value: SECRET_DATA },
  ];
  const at = (name: string) => folder.join(name);
  const write = (name: string, text: string) => writeFile(at(name), text, { mode: 0o600 });
  await write("passphrase", `${PASSPHRASE}\n`);
  await write("wrong-passphrase", `${WRONG_PASSPHRASE}\n`);
  await write("tokens.csv", `${TOKEN_FILE_SECRET},alice,1,"developers"\n`);
  // The answer is what was asked for, and may hold a secret; everything else may not.
  const tlsboot = async (words: string, answer: "public" | "secret" = "public", stdin = ""): Promise<Finished> => {
    const finished = await runTlsboot([...words.split(" "), "--debug"], { cwd: folder.path, stdin });
    told.push({ where: `stderr of ${words}`, text: finished.stderr });
    if (answer === "public") told.push({ where: `stdout of ${words}`, text: finished.stdout });
    return finished;
  };
  const fails = async (words: string, stdin = ""): Promise<void> => {
    assert.notEqual((await tlsboot(words, "public", stdin)).code, 0, words);
  };
  const succeeds = async (words: string, answer: "public" | "secret" = "public"): Promise<string> => {
    const { code, stdout, stderr } = await tlsboot(words, answer);
    assert.equal(code, 0, `${words}: ${stderr}`);
    return stdout;
  };

  await succeeds("ca init --data-dir data --ca-passphrase-file passphrase");
  await fails("up --data-dir data --secure-port 0 --ca-passphrase-file wrong-passphrase");
  await using up: Running = startTlsboot([
    ...["up", "--data-dir", "data", "--secure-port", "0", "--ca-passphrase-file", "passphrase", "--auto-approve"],
    ...["--token-auth-file", "tokens.csv", "--audit-log-path", "audit.log", "--debug"],
  ], { cwd: folder.path });
  const [, port = ""] = await up.waitFor(/is up at https:\/\/\S+:(\d+)/);

  const made = (await succeeds("token create --data-dir data --description d", "secret")).trim();
  secrets.push({ name: "a new token", value: made.slice(7) });
  const shown = await succeeds("token list --data-dir data --show-secrets", "secret");
  for (const token of shown.match(/\b[a-z0-9]{6}\.[a-z0-9]{16}\b/g) ?? []) {
    secrets.push({ name: "a listed token", value: token.slice(7) });
  }
  await succeeds("token list --data-dir data");
  await succeeds("token list --data-dir data -o json");
  const bootstrap = "--cert-dir n1/pki --kubeconfig n1/kubeconfig --hostname-override n1";
  await succeeds(`bootstrap --bootstrap-kubeconfig data/bootstrap.kubeconfig ${bootstrap}`);
  await succeeds("kubeconfig user bob --data-dir data");
  await succeeds(
    "request --kubeconfig data/admin.kubeconfig --signer-name example.com/a --subject CN=a --out out --no-wait",
  );
  await succeeds("get csr --data-dir data -o yaml");
  const names = (await succeeds("get csr --data-dir data -o name")).trim().split("\n");
  for (const name of names) await succeeds(`describe csr ${name.split("/")[1]} --data-dir data`);
  await succeeds("inspect data/admin.kubeconfig data/bootstrap.kubeconfig n1/kubeconfig data/pki/ca.key");

  // What goes wrong, and would like to show why.
  const answers = await Promise.all([
    ...[
      `Bearer ${WRONG_TOKEN}`,
      MALFORMED,
      `Bearer  ${TOKEN_FILE_SECRET}`,
      `Basic ${TOKEN_FILE_SECRET}`,
      `Bearer ${TOKEN_FILE_SECRET}`,
    ]
      .map((authorization) => ask(port, "GET", "/api/v1/namespaces/kube-system/secrets", { authorization })),
    ask(port, "POST", "/api/v1/namespaces/default/secrets", { authorization: `Bearer ${TOKEN_FILE_SECRET}` }, {
      metadata: { name: "x" },
      stringData: { a: SECRET_DATA },
    }),
  ]);
  told.push(...answers.map((text, index) => ({ where: `refusal ${index}`, text })));
  await write("broken.kubeconfig", `apiVersion: v1\nkind: Config\nusers: [{name: u, user: {token: ${SECRET_DATA}}}\n`);
  await fails("get csr --kubeconfig broken.kubeconfig");
  await tlsboot("inspect broken.kubeconfig");
  const good = await readFile(at("data/bootstrap.kubeconfig"), "utf8");
  await write("wrong.kubeconfig", good.replace(/token: .*/, `token: ${WRONG_TOKEN}`));
  await fails("get csr --kubeconfig wrong.kubeconfig");
  await fails(`bootstrap --bootstrap-kubeconfig wrong.kubeconfig --wait 2s ${bootstrap.replaceAll("n1", "n2")}`);
  await write(
    "strange.kubeconfig",
    good.replace(/certificate-authority-data: .*/, `certificate-authority-data: ${strangeCa()}`),
  );
  await fails("get csr --kubeconfig strange.kubeconfig");
  await fails(
    `bootstrap --server https://127.0.0.1:${port} --token ${WRONG_TOKEN} --ca-cert-hash sha256:${
      "0".repeat(64)
    } --wait 2s ${bootstrap.replaceAll("n1", "n3")}`,
  );
  await fails(
    `bootstrap --server https://127.0.0.1:${port} --token ${WRONG_TOKEN}x --ca-cert-hash sha256:${
      "0".repeat(64)
    } ${bootstrap}`,
  );
  await fails("kubeconfig bootstrap --data-dir data --out b2 --token -", `${WRONG_TOKEN}x\n`);
  await fails("sign nothing.csr --data-dir data --ca-passphrase-file wrong-passphrase");
  await tlsboot("ca init --data-dir other --ca-passphrase-file -", "public", `${WRONG_PASSPHRASE}\n`);
  await write("key-as-config.yaml", privateKeyText(await readFile(at("n1/kubeconfig"), "utf8")));
  await fails("version --config key-as-config.yaml");

  const admin = await adminOf(at("data/admin.kubeconfig"));
  told.push({ where: "/metrics", text: await ask(port, "GET", "/metrics", {}, undefined, admin) });
  await ask(port, "POST", "/api/v1/namespaces/default/secrets", {}, {
    metadata: { name: "s" },
    stringData: { a: SECRET_DATA },
  }, admin);
  // Whoever may patch an object is answered with it, and is told what they made of it; nobody else is.
  await ask(port, "PATCH", "/api/v1/namespaces/default/secrets/s", { "content-type": "application/merge-patch+json" }, {
    stringData: { a: [SECRET_DATA] },
  }, admin);
  for (const resource of ["events", "configmaps", "serviceaccounts"]) {
    told.push({ where: resource, text: await ask(port, "GET", `/api/v1/${resource}`, {}, undefined, admin) });
  }
  told.push({
    where: "csrs",
    text: await ask(port, "GET", "/apis/certificates.k8s.io/v1/certificatesigningrequests", {}, undefined, admin),
  });
  up.kill("SIGTERM");
  const { stdout, stderr } = await up.finished();
  told.push({ where: "stdout of up", text: stdout }, { where: "stderr of up", text: stderr });
  told.push({ where: "audit.log", text: await readFile(at("audit.log"), "utf8") });

  for (const path of await filesBelow(folder.path)) {
    const text = await readFile(path, "latin1");
    const config = /kubeconfig$/.test(path) ? parseKubeconfig(text, path) : undefined;
    const embedded = config?.ok === true ? config.value.users[0]?.user.clientKeyData?.reveal() ?? "" : "";
    for (const value of privateParts(text + embedded)) secrets.push({ name: `a key in ${path}`, value });
  }
  assert.ok(secrets.filter(({ name }) => name.startsWith("a key")).length >= 10, "keys of the run are known");
  assert.ok(
    told.find(({ where }) => where === "audit.log")!.text.includes("/certificatesigningrequests"),
    "the audit log is there",
  );
  assert.match(stderr, /bootstrap token refused|not authenticated/, "the log is there");
  assert.deepEqual(findSecrets(told, secrets), []);
});

/** A CA that the server is not of: the certificate of nobody in particular. */
function strangeCa(): string {
  return Buffer.from("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n").toString("base64");
}

/** A file that is no configuration but full of secrets. */
function privateKeyText(kubeconfig: string): string {
  return `key: "-----BEGIN PRIVATE KEY----- ${SECRET_DATA}"\ntoken: ${SECRET_DATA}\n${kubeconfig.slice(0, 50)}`;
}

async function filesBelow(root: string): Promise<readonly string[]> {
  const entries = await readdir(root, { withFileTypes: true, recursive: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

async function adminOf(path: string): Promise<{ readonly cert: string; readonly key: string }> {
  const config = parseKubeconfig(await readFile(path, "utf8"), path);
  assert.ok(config.ok);
  const user = config.value.users[0]!.user;
  return { cert: user.clientCertificateData ?? "", key: user.clientKeyData?.reveal() ?? "" };
}

/** The whole answer, headers too. */
function ask(
  port: string,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body?: object,
  pair: { readonly cert?: string; readonly key?: string } = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = request({
      ...{ host: "127.0.0.1", port, method, path, agent: false, rejectUnauthorized: false, ...pair },
      headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
    }, (response) => {
      let text = JSON.stringify(response.rawHeaders);
      response.setEncoding("utf8").on("data", (chunk: string) => void (text += chunk));
      response.once("end", () => resolve(text));
    });
    outgoing.once("error", reject);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
