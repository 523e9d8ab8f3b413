/**
 * Tests the shortcuts for k9s: their file matches k9s' schema, and each shortcut runs as k9s would run it, in the
 * context of k9s and for a request with a hostile name. k9s 0.50 itself was tested by hand, because it takes minutes to
 * build.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { before, test } from "node:test";
import { createFilePort } from "../../client/files.ts";
import { readKubeconfig } from "../../client/transport/connect.ts";
import { isRecord } from "../../core/lib/record.ts";
import { readYaml } from "../../core/lib/yaml/document.ts";
import { encodeKubeconfig } from "../../core/kube/kubeconfig/kubeconfig.ts";
import type { Finished } from "../support/child.ts";
import { describeInstance } from "../support/instance_process.ts";
import { submitFirstRequest } from "../support/node_requests.ts";
import { runInShell } from "../support/shell.ts";

interface Plugin {
  readonly shortCut: string;
  readonly scopes: readonly string[];
  readonly command: string;
  readonly args: readonly string[];
  readonly dangerous?: boolean;
}

/** The keys of a plugin and their types (`internal/config/json/schemas/plugins.json` of k9s 0.50). */
const KEYS: Readonly<Record<string, string>> = {
  shortCut: "string",
  override: "boolean",
  description: "string",
  confirm: "boolean",
  dangerous: "boolean",
  scopes: "strings",
  command: "string",
  background: "boolean",
  overwriteOutput: "boolean",
  args: "strings",
};
const REQUIRED = ["shortCut", "description", "scopes", "command"];
/** The keys that every list in k9s 0.50 uses itself. */
const TAKEN = ["c", "d", "e", "l", "n", "r", "s", "u", "v", "y", "z", "Shift-A", "Shift-N", "Shift-P", "Shift-J"];
/** Matches a variable in an argument (`internal/view/env.go`). */
const VARIABLE = /\$!?([\w-]+)|\$\{!?([\w\-%/: ]+)\}/g;

const HOSTILE = 'n; touch pwned; "$(touch pwned)';
const signal = new AbortController().signal;
describeInstance("shortcuts for k9s", {}, (instance) => {
  const { tlsboot } = instance;

  let plugins: Readonly<Record<string, Plugin>>;

  before(async () => {
    const { folder, data } = instance;
    plugins = readPlugins(await readFile("packaging/k9s/plugins.yaml", "utf8"));
    // The token whose user sends the requests.
    await instance.succeed("token", "create", "abcdef.0123456789abcdef");
    const config = await readKubeconfig(`${data}/admin.kubeconfig`, createFilePort());
    const text = encodeKubeconfig({
      ...config,
      currentContext: "closed",
      contexts: [
        ...config.contexts.map(({ context }) => ({ name: "tlsboot", context })),
        { name: "closed", context: { cluster: "closed", user: "nobody" } },
      ],
      clusters: [...config.clusters, { name: "closed", cluster: { server: "https://127.0.0.1:1" } }],
      users: [...config.users, { name: "nobody", user: {} }],
    });
    await mkdir(folder.join(".kube"));
    for (const name of ["two contexts", ".kube/config"]) await writeFile(folder.join(name), text, { mode: 0o600 });
  });

  function readPlugins(text: string): Readonly<Record<string, Plugin>> {
    const file = readYaml(text);
    assert.ok(file.ok && isRecord(file.value) && isRecord(file.value["plugins"]));
    return file.value["plugins"] as unknown as Record<string, Plugin>;
  }

  /** Runs a shortcut as k9s does, which replaces the variables that it knows in each argument. */
  function press(
    plugin: string,
    name: string,
    { kubeconfig = instance.folder.join("two contexts"), stdin = "\n" } = {},
  ): Promise<Finished> {
    const { command, args } = plugins[plugin]!;
    const known = new Map(
      Object.entries({ NAME: name, KUBECONFIG: kubeconfig, CONTEXT: "tlsboot", USER: "u", CLUSTER: "c" }),
    );
    const replaced = args.map((arg) =>
      arg.replaceAll(
        VARIABLE,
        (all, plain?: string, braced?: string) => known.get((plain ?? braced ?? "").toUpperCase()) ?? all,
      )
    );
    assert.equal(command, "sh");
    const [, script = "", ...words] = replaced;
    const { path } = instance.folder;
    return runInShell(script, { cwd: path, env: { HOME: path }, stdin, args: words });
  }

  async function readConditions(name: string): Promise<string> {
    const template = "{range .status.conditions[*]}{.type} {.message};{end}";
    return (await tlsboot("get", "csr", "-o", `jsonpath=${template}`, "--", name)).stdout;
  }

  test("the file for k9s matches its schema, and no script contains a variable", () => {
    const taken = new Set(TAKEN);
    for (const [name, plugin] of Object.entries(plugins)) {
      for (const key of REQUIRED) assert.ok(key in plugin, `${name} has ${key}`);
      for (const [key, value] of Object.entries(plugin)) {
        const isList = Array.isArray(value) && value.every((item) => typeof item === "string");
        assert.equal(isList ? "strings" : typeof value, KEYS[key], `${name}: ${key}`);
      }
      assert.ok(!taken.has(plugin.shortCut), `${name}: ${plugin.shortCut} is taken`);
      taken.add(plugin.shortCut);
      assert.deepEqual(plugin.scopes, ["certificatesigningrequests"]);
      assert.equal("background" in plugin, false);
      assert.equal(plugin.dangerous ?? false, name !== "tlsboot-describe", "only describe is not dangerous");
      const [flag, script = "", ...words] = plugin.args;
      assert.deepEqual([plugin.command, flag], ["sh", "-c"]);
      assert.match(script, /2>&1/, "revoke asks on a terminal only");
      assert.doesNotMatch(script, /\$\{?!?(?:NAME|NAMESPACE|CONTEXT|CLUSTER|USER|GROUPS|KUBECONFIG|COL-|FILTER|POD)/i);
      assert.deepEqual(words, ["$KUBECONFIG", "csr/$NAME", "--context", "$CONTEXT"]);
    }
  });

  test("k9s' shortcuts describe and approve in the context of k9s, whatever the request's name", async () => {
    await submitFirstRequest(`${instance.data}/admin.kubeconfig`, HOSTILE, "k1", signal);
    const { stdout } = await press("tlsboot-describe", HOSTILE);
    await press("tlsboot-approve", HOSTILE, { stdin: "\n\n" });
    assert.equal(await readConditions(HOSTILE), "");
    assert.match(stdout, /node k1, with the token /);
    const approved = await press("tlsboot-approve", HOSTILE, { kubeconfig: "", stdin: "y\n\n" });
    assert.match(approved.stdout, / approved\n/);
    assert.match(await readConditions(HOSTILE), /^Approved .* with tlsboot approve\.;$/);
    assert.equal(existsSync(instance.folder.join("pwned")), false);
  });

  test("k9s' shortcuts review, deny with a reason, and revoke; without an answer, nothing is denied", async () => {
    const admin = `${instance.data}/admin.kubeconfig`;
    for (const [name, node] of [["csr-k2", "k2"], ["csr-k3", "k3"]] as const) {
      await submitFirstRequest(admin, name, node, signal);
    }
    await press("tlsboot-deny", "csr-k2", { stdin: "" });
    assert.equal(await readConditions("csr-k2"), "");
    const reason = '--yes "$(touch pwned)" \\n';
    await press("tlsboot-deny", "csr-k2", { stdin: `${reason}\n\n` });
    assert.ok((await readConditions("csr-k2")).startsWith(`Denied ${reason} (denied by user`));
    const { stdout } = await press("tlsboot-review", "csr-k3", { stdin: "y\n\n" });
    assert.match(stdout, /\napproved: csr-k3\n/);
    assert.match(await readConditions("csr-k3"), /^Approved .* with tlsboot approve -i\.;$/);
    const revoked = await press("tlsboot-revoke", "csr-k3");
    assert.match(revoked.stdout, / revoked: 1 certificate affected/);
    assert.equal(existsSync(instance.folder.join("pwned")), false);
  });

  test("--context chooses the context of the kubeconfig, and a wrong one is refused", async () => {
    const get = (...args: readonly string[]) => tlsboot("get", "csr", "--kubeconfig", "two contexts", ...args);
    assert.equal((await get("--context", "tlsboot")).code, 0);
    assert.match((await get("--context", "other")).stderr, /context was not found for specified context: other\n/);
    assert.match((await get()).stderr, /127\.0\.0\.1:1/);
  });
});
