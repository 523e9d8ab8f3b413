/** Runs the programs in docs/examples unchanged, on this runtime and over real sockets. */
import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { connectToCluster, generatePrivateKey, KUBE_APISERVER_CLIENT_SIGNER, startTestServer } from "../mod.ts";
import { NODE_FLAGS, ROOT, type Running, start } from "./support/child.ts";
import { createTempFolder, type TempFolder } from "./support/temp.ts";

const EXAMPLES = join(ROOT, "docs", "examples");
const MAX_LINES = 20;
const IS_DENO = process.versions["deno"] !== undefined;
const DENO_FLAGS = ["-A", "--no-check", "--quiet", "--config", join(ROOT, "deno.json")];

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

  /** Starts one program for several examples, because loading the library takes longer than running them. */
  async function startExamples(names: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Running> {
    const program = folder.join(`${names.join("-")}.ts`);
    const imports = names.map((name) => `import(${JSON.stringify(pathToFileURL(join(EXAMPLES, name)))})`);
    await writeFile(program, `await Promise.all([${imports.join(", ")}]);\n`);
    const flags = IS_DENO
      ? [names.every((name) => name.endsWith("_test.ts")) ? "test" : "run", ...DENO_FLAGS]
      : [...NODE_FLAGS, "--import", NODE_RESOLVER];
    return start(process.execPath, [...flags, program], { cwd: folder.path, env });
  }

  test("every example has at most 20 lines, and the one in mod.ts at most 25", async () => {
    const names = (await readdir(EXAMPLES)).filter((name) => name.endsWith(".ts"));
    assert.ok(names.length >= 5);
    for (const name of names) {
      const lines = (await readFile(join(EXAMPLES, name), "utf8")).trimEnd().split("\n").length;
      assert.ok(lines <= MAX_LINES, `${name} has ${lines} lines`);
    }
    const [, example = ""] = /```ts\n([^]*?) \* ```\n/.exec(await readFile(join(ROOT, "mod.ts"), "utf8")) ?? [];
    assert.ok(example !== "" && example.trimEnd().split("\n").length <= 25);
  });

  test("sign_without_a_server.ts prints the subject of its certificate, and bootstrap_a_machine.ts the name of its machine", async () => {
    await using examples = await startExamples(["sign_without_a_server.ts", "bootstrap_a_machine.ts"]);
    const { code, stdout, stderr } = await examples.finished();
    assert.equal(code, 0, stderr);
    assert.deepEqual(stdout.trimEnd().split("\n").sort(), ["CN=jane", "issued: system:node:node-1"]);
  });

  test("approver_test.ts passes", async () => {
    await using example = await startExamples(["approver_test.ts"]);
    const { code, stdout, stderr } = await example.finished();
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /the approver approves a request/);
  });

  test("run_approver.ts approves, and watch_csrs.ts prints each phase, until they are interrupted", async () => {
    await using server = await startTestServer({ without: ["approver"] });
    const kubeconfig = folder.join("admin.kubeconfig");
    await writeFile(kubeconfig, server.kubeconfig, { mode: 0o600 });
    await using examples = await startExamples(["run_approver.ts", "watch_csrs.ts"], { KUBECONFIG: kubeconfig });
    await examples.waitFor(/working for https:/);
    await using cluster = await connectToCluster(kubeconfig);
    const key = await generatePrivateKey("ecdsa-p256");
    const request = { key, subject: { commonName: "web" }, signerName: KUBE_APISERVER_CLIENT_SIGNER };
    assert.match(await cluster.requestCertificate({ ...request, name: { prefix: "web-" } }), /BEGIN CERTIFICATE/);
    await examples.waitFor(/^web-\S+ issued$/m);
    examples.kill("SIGINT");
    assert.equal((await examples.finished()).code, 0);
  });
});
