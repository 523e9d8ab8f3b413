/** Tests `tlsboot bootstrap --server … --token … --ca-cert-hash …` against `tlsboot up`. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { type Running, runTlsboot, type StartOptions } from "../support/child.ts";
import {
  connectWith,
  describeInstance,
  machineFlags,
  type SharedInstance,
  startInstance,
  whoIs,
} from "../support/instance_process.ts";
import { createTempFolder } from "../support/temp.ts";
import { formatInventory } from "../support/test_profiles.ts";

interface Join {
  readonly token: string;
  readonly hash: string;
  /** The arguments of the printed command, with the paths of this test. */
  readonly words: readonly string[];
  readonly kubeadm: string;
}

async function join({ answer, url, port }: SharedInstance): Promise<Join> {
  const stdout = await answer("token", "create", "-o", "command", "--ttl", "1h", "--server", url);
  const [line = "", kubeadm = ""] = stdout.split("\n");
  const [, token = "", hash = ""] = /--token (\S+) --ca-cert-hash (\S+) --kubeconfig /.exec(line) ?? [];
  assert.match(line, /^tlsboot bootstrap --server https:\/\/127\.0\.0\.1:\d+ --token /);
  assert.equal(
    kubeadm,
    `kubeadm join 127.0.0.1:${port} --token ${token} --discovery-token-ca-cert-hash ${hash}`,
  );
  return { token, hash, words: line.split(" --kubeconfig ")[0]?.split(" ").slice(1) ?? [], kubeadm };
}

describeInstance("tlsboot bootstrap --ca-cert-hash", { args: ["--auto-approve"] }, (instance) => {
  const { tlsboot } = instance;

  async function listIds(): Promise<readonly string[]> {
    const { stdout } = await tlsboot("token", "list", "-o", "json");
    return JSON.parse(stdout).map(({ id }: { readonly id: string }) => id);
  }

  test("tlsboot bootstrap finds the cluster by the hash of its CA, with the token from each source", async () => {
    const { folder } = instance;
    const { token, hash, words } = await join(instance);
    const known = ["bootstrap", "--server", `127.0.0.1:${instance.port}`, "--ca-cert-hash", hash.toUpperCase()];
    await writeFile(folder.join("token"), `${token}\n`);
    const sources: readonly (readonly [string, readonly string[], StartOptions])[] = [
      ["line", words, {}],
      ["file", [...known, "--token-file", "token"], {}],
      ["stdin", [...known, "--token", "-"], { stdin: `${token}\n` }],
      ["env", known, { env: { TLSBOOT_TOKEN: token } }],
    ];
    for (const [node, args, options] of sources) {
      const { code, stdout, stderr } = await runTlsboot([...args, ...machineFlags(node), "--debug"], {
        cwd: folder.path,
        ...options,
      });
      assert.equal(code, 0, stderr);
      assert.match(stdout, new RegExp(`^certificate of ${node} issued`));
      assert.match(stderr, /cluster-info is signed with the token, and its CA has the hash/);
      assert.ok(!stderr.includes(token.slice(7)) && !stdout.includes(token.slice(7)), "no secret is shown");
      const kubeconfig = await readFile(folder.join(node, "kubeconfig"), "utf8");
      assert.ok(!kubeconfig.includes(token.slice(7)));
      assert.match(kubeconfig, new RegExp(`server: https://127\\.0\\.0\\.1:${instance.port}\n`));
      assert.equal(await whoIs(folder.join(node, "kubeconfig")), `system:node:${node}`);
    }
  });

  test("tlsboot bootstrap refuses a wrong hash, token or server, and writes nothing", async () => {
    const { token, hash } = await join(instance);
    const server = ["bootstrap", "--server", instance.url];
    const wrongHash = `sha256:${"0".repeat(64)}`;
    const wrongSecret = `${token.slice(0, 7)}0123456789abcdef`;
    const cases: readonly (readonly [string, readonly string[], RegExp])[] = [
      [
        "hash",
        [...server, "--token", token, "--ca-cert-hash", wrongHash],
        /error: cannot trust cluster-info of ".*": its CA has the hash sha256:[0-9a-f]{64}, which was not given\n/,
      ],
      [
        "secret",
        [...server, "--token", wrongSecret, "--ca-cert-hash", hash],
        /error: cannot trust cluster-info of ".*": its signature for "\w{6}" was not made with the token's secret\n/,
      ],
      [
        "unknown",
        [...server, "--token", "aaaaaa.0123456789abcdef", "--ca-cert-hash", hash],
        /error: cannot trust cluster-info of ".*": it has no signature for token "aaaaaa", so the token is wrong, has expired or is used up, or was made a moment ago\ntlsboot: hint: make another token/,
      ],
      [
        "away",
        ["bootstrap", "--server", "https://127.0.0.1:1", "--token", token, "--ca-cert-hash", hash],
        /error: cannot read cluster-info of "https:\/\/127\.0\.0\.1:1": cannot reach .*: connection refused\n/,
      ],
    ];
    for (const [node, args, message] of cases) {
      // A run that is not refused retries until its timeout.
      const tried = (running: Running) => running.waitFor(/trying again: .*(?:connection refused|token "aaaaaa")/);
      const { code, stdout, stderr } = await instance.timeOut(tried, ...args, ...machineFlags(node));
      assert.deepEqual([code, stdout], [1, ""], stderr);
      assert.match(stderr, message);
      assert.ok(!stderr.includes(token.slice(7)));
      assert.equal(existsSync(instance.folder.join(node)), false, node);
    }
  });

  test("no command gives a machine a loopback address without --server", async () => {
    const { folder } = instance;
    const before = await listIds();
    await writeFile(folder.join("machines.yaml"), formatInventory("- name: n1"));
    for (
      const args of [
        ["token", "create", "-o", "command"],
        ["token", "create", "--for-inventory", "machines.yaml", "--out", "join"],
        ["token", "create", "-o", "kubeconfig"],
        ["token", "create", "--node", "n1", "-o", "pack", "--out", "n1.pack"],
      ]
    ) {
      assert.match(
        await instance.refuse(1, ...args),
        /^tlsboot: error: cannot let a machine join: https:\/\/127\.0\.0\.1:\d+ is an address of this machine alone: .*\ntlsboot: hint: open the server to the network with: tlsboot up --bind-address 0\.0\.0\.0 --advertise-address \S+.* --server/,
      );
    }
    assert.deepEqual([existsSync(folder.join("join")), existsSync(folder.join("n1.pack"))], [false, false]);
    assert.equal((await tlsboot("token", "create", "-o", "command", "--server", "https://x;reboot")).code, 2);
    assert.deepEqual(await listIds(), before);
  });
});

test("without cluster-info, a join command is refused, and a kubeconfig has the CA of the operator's kubeconfig", async () => {
  await using folder = await createTempFolder();
  await using instance = await startInstance(folder, ["--auto-approve"]);
  await using admin = await connectWith(`${instance.data}/admin.kubeconfig`);
  const path = "/api/v1/namespaces/kube-public/configmaps/cluster-info";
  await admin.api.requestJson({ method: "DELETE", path }, new AbortController().signal);
  const args = ["token", "create", "aaaaaa.0123456789abcdef"];
  assert.match(
    await instance.refuse(1, ...args, "-o", "command"),
    /error: cannot let a machine join: the cluster publishes no cluster-info\n.*tlsboot token create -o kubeconfig\n/,
  );
  assert.match(
    await instance.refuse(1, ...args, "-o", "kubeconfig", "--out", "n1.kubeconfig"),
    /error: cannot let a machine join: https:\/\/127\.0\.0\.1:\d+ is an address of this machine alone: /,
  );
  assert.doesNotMatch(await instance.answer("token", "list"), /aaaaaa/);
  const made = await instance.tlsboot(
    ...[...args, "-o", "kubeconfig", "--server", instance.url, "--out", "n1.kubeconfig", "--debug"],
  );
  assert.equal(made.code, 0, made.stderr);
  assert.equal(made.stdout, "n1.kubeconfig\n");
  assert.doesNotMatch(made.stdout + made.stderr, /0123456789abcdef/);
  const text = await readFile(folder.join("n1.kubeconfig"), "utf8");
  assert.match(text, /^# This file lets machines join .*\n# On the machine: tlsboot bootstrap --boot.*\n# CA: sha256:/);
  assert.match(text, /users:\n- name: kubelet-bootstrap\n {2}user:\n {4}token: aaaaaa\.0123456789abcdef\n/);
  assert.match(await instance.answer("inspect", "n1.kubeconfig"), /Token: +bootstrap token aaaaaa\n/);
  const joined = ["bootstrap", "--bootstrap-kubeconfig", "n1.kubeconfig", ...machineFlags("n1")];
  assert.match(await instance.answer(...joined), /^certificate of n1 issued/);
});
