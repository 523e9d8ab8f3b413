/** No command quotes a secret from a file of the wrong kind in its error. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { run } from "../../cli/run.ts";
import { encodeBootstrapKubeconfig } from "../../core/token/join_material.ts";
import { Secret } from "../../core/lib/brand.ts";
import { createSystemClock, createSystemRandom } from "../../cli/system.ts";
import type { Finished } from "../support/child.ts";
import { createCapturedIo } from "../support/captured_io.ts";
import { buildRequest, fromBase64 } from "../support/csr_builder.ts";
import { createSecretRun } from "../support/secret_search.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";

const SECRET = "otter-Velvet_lantern_Quarry27";

/** A pin that matches no CA. */
const NO_CA = `sha256:${"0".repeat(64)}`;

/** Commands with FILE where a user could give the wrong file. */
const COMMANDS: readonly string[] = [
  "inspect FILE",
  "version --config FILE",
  "get csr --kubeconfig FILE",
  "sign FILE --data-dir data --signer kubernetes.io/kube-apiserver-client",
  "sign x.csr --data-dir FILE --signer kubernetes.io/kube-apiserver-client",
  "policy explain FILE --policy kubelet-serving-trusting",
  "policy explain x.csr --policy FILE",
  "policy explain x.csr --policy kubelet-serving --inventory FILE",
  "policy test FILE",
  "policy check FILE",
  "approver --kubeconfig FILE",
  "approver --kubeconfig data/admin.kubeconfig --policy FILE",
  "approver --kubeconfig data/admin.kubeconfig --policy kubelet-serving --inventory FILE",
  "signer --kubeconfig FILE --cluster-signing-cert-file data/pki/ca.crt --cluster-signing-key-file data/pki/ca.key",
  "signer --kubeconfig data/admin.kubeconfig --cluster-signing-cert-file FILE --cluster-signing-key-file FILE",
  "signer --kubeconfig data/admin.kubeconfig --cluster-signing-cert-file data/pki/ca.crt --cluster-signing-key-file FILE",
  "signer --kubeconfig data/admin.kubeconfig --cluster-signing-cert-file data/pki/ca.crt --signing-key-command FILE",
  "signer --kubeconfig data/admin.kubeconfig --signer example.com/a --profile FILE",
  "serve --data-dir data --secure-port 0 --audit-policy-file FILE --audit-log-path audit.log",
  "serve --data-dir data --secure-port 0 --client-ca-file FILE",
  "serve --data-dir data --secure-port 0 --tls-cert-file FILE --tls-private-key-file FILE",
  "serve --data-dir data --secure-port 0 --tls-cert-file data/pki/ca.crt --tls-private-key-file FILE",
  "ca sign FILE --data-dir data --out signed.crt",
  "ca import --data-dir other --ca-cert FILE --ca-key FILE",
  "ca import --data-dir other --ca-cert data/pki/ca.crt --ca-key FILE",
  "request --kubeconfig data/admin.kubeconfig --signer a.b/c --dns a.example.com --out out --key FILE",
  "bootstrap --bootstrap-kubeconfig FILE --kubeconfig k --cert-dir c --hostname-override n1",
  "bootstrap --bootstrap-kubeconfig data/bootstrap.kubeconfig --kubeconfig FILE --cert-dir c --hostname-override n1",
  "kubeconfig admin --data-dir data --out FILE",
  "token create --kubeconfig FILE -o kubeconfig",
  "token create --kubeconfig data/admin.kubeconfig --public-key FILE",
  "token create --kubeconfig data/admin.kubeconfig --for-inventory FILE --out join",
  `bootstrap --server https://127.0.0.1:1 --token-file FILE --kubeconfig k --cert-dir c --ca-cert-hash ${NO_CA}`,
  "token list --kubeconfig FILE",
];

/** Contents of files of the wrong kind, with a secret. */
const CONTENTS: Readonly<Record<string, (secret: string) => string>> = {
  "a bare line": (secret) => `${secret}\n`,
  "a broken mapping": (secret) => `apiVersion: v1\nkind: {Config: ${secret}\n`,
  "a line after a document": (secret) => `{apiVersion: v1}\n${secret}\n`,
  "an alias": (secret) => `apiVersion: *${secret.replace(/\W/g, "_")}\n`,
  "a tag": (secret) => `apiVersion: !${secret.replace(/\W/g, "_")} v1\n`,
  "a directive": (secret) => `%${secret}\n---\na: 1\n`,
  "a quote without end": (secret) => `token: "${secret}\nb: 1\n`,
  "a value of another kind": (secret) =>
    `users: ${secret}\nclusters: [${secret}]\nrules: {a: ${secret}}\ntoken: ${secret}\n`,
  "a certificate request": (secret) => `-----BEGIN CERTIFICATE REQUEST-----\n${secret}\n`,
  "a private key": (secret) => `-----BEGIN PRIVATE KEY-----\n${btoa(secret)}\n-----END PRIVATE KEY-----\n`,
  "a certificate": (secret) => `-----BEGIN CERTIFICATE-----\n${secret}\n-----END CERTIFICATE-----\n`,
  "a kubeconfig": (secret) => createKubeconfig(`token: ${JSON.stringify(`${secret}\u0001\u00e9\u{1f511}`)}`),
  "a kubeconfig with a key": (secret) =>
    createKubeconfig(`client-certificate-data: ${btoa(secret)}, client-key-data: ${btoa(secret)}`),
  "a kubeconfig with invalid base64": (secret) => createKubeconfig(`client-key-data: "%${secret}"`),
  "a kubeconfig with a password": (secret) => createKubeconfig(`username: u, password: "${secret}"`),
};

function createKubeconfig(user: string): string {
  return `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
users: [{name: u, user: {${user}}}]
current-context: c
`;
}

/** Commands that keep running when their kubeconfig is valid or does not exist yet. */
const STARTING = /^(?:approver|signer) --kubeconfig FILE|^bootstrap /;
/** What these commands print after their first attempt. */
const TRIED = /"level":"(?:WARN|ERROR)"|^waiting for /m;
/** An error that names FILE because of its content. */
const NAMES_FILE = /(?:^tlsboot: error: |"level":"(?:WARN|ERROR)").*FILE/m;

/** Runs a command in a folder. A command that keeps running is interrupted after its first attempt. */
async function tryOnce(cwd: string, words: string): Promise<Finished> {
  const io = createCapturedIo({ cwd, clock: createSystemClock(), random: createSystemRandom() });
  const stop = new AbortController();
  const write = (text: string): void => {
    io.stderr.write(text);
    if (STARTING.test(words) && TRIED.test(text)) setImmediate(() => stop.abort());
  };
  const late = AbortSignal.timeout(60_000);
  const signal = AbortSignal.any([stop.signal, late]);
  const code = await run([...words.split(" "), "--debug"], { ...io, stderr: { ...io.stderr, write } }, signal);
  assert.ok(!late.aborted, `${words}: no end in 60 s\n${io.stderrText()}`);
  return { code, stdout: io.stdoutText(), stderr: io.stderrText() };
}

describe("a secret in a file of the wrong kind", () => {
  let folder: TempFolder;
  before(async () => {
    folder = await createTempFolder();
    const { succeeds } = createSecretRun(folder.path);
    await succeeds("ca init --data-dir data");
    await writeFile(folder.join("x.csr"), fromBase64(await buildRequest({ subject: { commonName: "a" } })));
    await succeeds("kubeconfig admin --data-dir data");
    const cluster = { server: "https://127.0.0.1:1", caPem: await readFile(folder.join("data/pki/ca.crt"), "utf8") };
    const token = { id: "zzzzzz", secret: new Secret("falsefalsefalse1") };
    await writeFile(folder.join("data/bootstrap.kubeconfig"), encodeBootstrapKubeconfig(cluster, token));
  });
  after(() => folder[Symbol.asyncDispose]());

  test("no command prints the secret, and each command reads the file", async () => {
    const secrets = createSecretRun(folder.path);
    secrets.know("the secret", SECRET);
    // A command can detect a mistake only where it expects a certain kind of file.
    const naming = new Set<string>();
    for (const [what, formatContent] of Object.entries(CONTENTS)) {
      for (const words of COMMANDS) {
        await writeFile(folder.join("FILE"), formatContent(SECRET), { mode: 0o600 });
        const { code, stdout, stderr } = await tryOnce(folder.path, words);
        secrets.record(`${words}, where FILE is ${what}`, stdout + stderr);
        if (code !== 0 && NAMES_FILE.test(stderr)) naming.add(words);
      }
    }
    assert.deepEqual(secrets.found(), []);
    assert.deepEqual(COMMANDS.filter((words) => !naming.has(words)), []);
  });

  test("backup does not print a secret key that is given as a recipient", async () => {
    const secrets = createSecretRun(folder.path);
    const identity = `AGE-SECRET-KEY-1${"Q".repeat(58)}`;
    secrets.know("the identity", identity);
    for (const key of [identity, identity.toLowerCase(), `age1x,${identity}`]) {
      const { code, stderr } = await secrets.tlsboot(`backup b.backup --data-dir data --recipient ${key} --debug`);
      assert.equal(code, 2);
      assert.match(stderr, /--recipient: a secret key was given/);
      assert.ok(!stderr.toUpperCase().includes(identity), stderr);
    }
    assert.deepEqual(secrets.found(), []);
  });
});
