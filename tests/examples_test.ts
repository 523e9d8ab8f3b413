/** The programs of docs/examples, each as it stands, on this runtime and over real sockets. */
import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { connectToCluster, generatePrivateKey, KUBE_APISERVER_CLIENT_SIGNER, startTestServer } from "../mod.ts";
import { NODE_FLAGS, ROOT, type Running, runProgram, start } from "./support/child.ts";
import { createTempFolder, type TempFolder } from "./support/temp.ts";

const EXAMPLES = join(ROOT, "docs", "examples");
const MAX_LINES = 20;
const IS_DENO = process.versions["deno"] !== undefined;

/** Resolves the name of the package to this checkout, as deno.json does for Deno. */
const NODE_RESOLVER = `data:text/javascript,import { registerHooks } from "node:module";
registerHooks({ resolve: (name, context, next) =>
  next(name === "@tlsboot/tlsboot" ? "${pathToFileURL(join(ROOT, "mod.ts"))}" : name, context) });`;

let folder: TempFolder;
describe("the examples", () => {
  before(async () => {
    folder = await createTempFolder();
  });
  after(() => folder[Symbol.asyncDispose]());

  /** Returns the arguments that run an example, with those of its test runner when it is a test. */
  function argsFor(name: string): readonly string[] {
    const file = join(EXAMPLES, name);
    const isTest = name.endsWith("_test.ts");
    if (!IS_DENO) return [...NODE_FLAGS, "--import", NODE_RESOLVER, ...(isTest ? ["--test"] : []), file];
    return [isTest ? "test" : "run", "-A", "--no-check", "--quiet", "--config", join(ROOT, "deno.json"), file];
  }

  async function runExample(name: string): Promise<string> {
    const { code, stdout, stderr } = await runProgram(process.execPath, argsFor(name), { cwd: folder.path });
    assert.equal(code, 0, `${name}: ${stdout}${stderr}`);
    return stdout;
  }

  test("every example has at most 20 lines, and mod.ts one of at most 25", async () => {
    const names = (await readdir(EXAMPLES)).filter((name) => name.endsWith(".ts"));
    assert.ok(names.length >= 5);
    for (const name of names) {
      const lines = (await readFile(join(EXAMPLES, name), "utf8")).trimEnd().split("\n").length;
      assert.ok(lines <= MAX_LINES, `${name} has ${lines} lines`);
    }
    const [, example = ""] = /```ts\n([^]*?) \* ```\n/.exec(await readFile(join(ROOT, "mod.ts"), "utf8")) ?? [];
    assert.ok(example !== "" && example.trimEnd().split("\n").length <= 25);
  });

  test("sign_without_a_server.ts prints the subject of its certificate", async () => {
    assert.equal(await runExample("sign_without_a_server.ts"), "CN=jane\n");
  });

  test("bootstrap_a_machine.ts prints the name of its machine", async () => {
    assert.equal(await runExample("bootstrap_a_machine.ts"), "issued: system:node:node-1\n");
  });

  test("approver_test.ts passes", async () => {
    await runExample("approver_test.ts");
  });

  test("run_approver.ts approves, and watch_csrs.ts prints each phase, until they are interrupted", async () => {
    await using server = await startTestServer({ without: ["approver"] });
    const kubeconfig = folder.join("admin.kubeconfig");
    await writeFile(kubeconfig, server.kubeconfig, { mode: 0o600 });
    const options = { cwd: folder.path, env: { KUBECONFIG: kubeconfig } };
    const startExample = (name: string): Running => start(process.execPath, argsFor(name), options);
    await using approver = startExample("run_approver.ts");
    await using watch = startExample("watch_csrs.ts");
    await approver.waitFor(/working for https:/);
    await using cluster = await connectToCluster(kubeconfig);
    const key = await generatePrivateKey("ecdsa-p256");
    const request = { key, subject: { commonName: "web" }, signerName: KUBE_APISERVER_CLIENT_SIGNER };
    assert.match(await cluster.requestCertificate({ ...request, name: { prefix: "web-" } }), /BEGIN CERTIFICATE/);
    await watch.waitFor(/^web-\S+ issued$/m);
    for (const example of [approver, watch]) {
      example.kill("SIGINT");
      assert.equal((await example.finished()).code, 0);
    }
  });
});
