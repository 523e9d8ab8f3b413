/**
 * Tests `tlsboot approve -i`: its questions and answers in a pipe and on a terminal, and requests that change
 * meanwhile.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createSystemClock, createTools } from "../../cli/system.ts";
import { connect } from "../../cli/connection.ts";
import { run } from "../../cli/run.ts";
import { createCapturedIo } from "../support/captured_io.ts";
import { runTlsboot, startTlsboot } from "../support/child.ts";
import type { CsrOptions } from "../support/csr_builder.ts";
import { describeInstance } from "../support/instance_process.ts";
import { submitFirstRequest } from "../support/node_requests.ts";
import { runCaptured } from "../support/run_captured.ts";

const signal = new AbortController().signal;
const clock = createSystemClock();
const OTHER_KEY: CsrOptions = { keyAlgorithm: "ecdsa-p384" };
const PROMPT = "approve? [y]es / [n]o / [s]kip / [w]hy / [q]uit: ";

describeInstance("tlsboot approve -i", {}, (instance) => {
  const { tlsboot } = instance;

  /** Sends the request of a machine with a token of the instance. */
  async function request(name: string, node: string, edit: CsrOptions = {}): Promise<void> {
    await submitFirstRequest(`${instance.data}/admin.kubeconfig`, name, node, signal, edit);
  }

  async function readConditions(name: string): Promise<string> {
    const template = "{range .status.conditions[*]}{.type} {.reason} {.message};{end}";
    return (await tlsboot("get", "csr", name, "-o", `jsonpath=${template}`)).stdout;
  }

  test("tlsboot approve -i asks about each pending request in a pipe, and keeps the reason of a denial", async () => {
    for (const [index, name] of ["p1", "p2", "p3", "p4"].entries()) {
      await request(`csr-${name}`, name, index === 3 ? OTHER_KEY : {});
    }
    const { code, stdout, stderr } = await runTlsboot(["approve", "-i"], {
      cwd: instance.folder.path,
      env: { TLSBOOT_DATA_DIR: "data" },
      stdin: "w\ny\nwhat?\nn\nNot a machine of ours.\ns\nq\n",
    });
    assert.deepEqual([code, stderr], [0, ""]);
    // deno-lint-ignore no-control-regex -- a pipe gets none
    assert.doesNotMatch(stdout, /\x1b/);
    assert.match(
      stdout,
      /^Request 1 of 4: csr-p1, \d+s ago\n\nNode p1, with the token abcdef, which no longer exists, asks for its first client certificate, for as long as the signer allows\.\n\nWarning: the token abcdef no longer exists: /,
    );
    assert.match(stdout, /\nAllows to: {2}act at the API as node p1: /);
    assert.match(
      stdout,
      /\nRules: {6}left pending: the requester has no permission for it\n\napprove\? [^\n]*: w\n\nIdentity: +Requested +Requester\n/,
    );
    assert.match(stdout, /\n {2}rule nodeclient: passes it on\n/);
    assert.match(stdout, /: y\napproved: csr-p1\n\nRequest 2 of 4: csr-p2, /);
    assert.match(stdout, /: what\?\nanswer y to approve, n to deny, /);
    assert.match(stdout, /\(may be empty\): Not a machine of ours\.\ndenied: csr-p2\n\nRequest 3 of 4: csr-p3, /);
    assert.match(stdout, /: s\nRequest 4 of 4: csr-p4, [^]*: q\n1 approved, 1 denied, 1 skipped, 1 not reviewed\n$/);
    assert.match(
      await readConditions("csr-p1"),
      /^Approved TlsbootApprove This CSR was approved by user "kubernetes-admin" with tlsboot approve -i\.;$/,
    );
    assert.match(
      await readConditions("csr-p2"),
      /^Denied TlsbootDeny Not a machine of ours\. \(denied by user "kubernetes-admin" with tlsboot approve -i\);$/,
    );
    assert.equal(await readConditions("csr-p3") + await readConditions("csr-p4"), "");
    await tlsboot("deny", "csr/csr-p3", "csr/csr-p4");
  });

  test("tlsboot approve -i decides nothing at the end of its input, and a denial needs no reason", async () => {
    await request("csr-e1", "e1");
    const review = (stdin: string) =>
      runTlsboot(["approve", "-i", "e1"], { cwd: instance.folder.path, env: { TLSBOOT_DATA_DIR: "data" }, stdin });
    const ended = await review("");
    assert.equal(ended.code, 0);
    assert.ok(ended.stdout.endsWith(`${PROMPT}\n1 not reviewed\n`), ended.stdout);
    assert.equal(await readConditions("csr-e1"), "");
    assert.match((await review("no")).stdout, /\n1 denied\n$/);
    assert.match(await readConditions("csr-e1"), /^Denied TlsbootDeny This CSR was denied by /);
    const again = await review("y\n");
    assert.deepEqual([again.code, again.stdout], [0, ""]);
    assert.equal(again.stderr, "csr-e1 is not pending: Denied\nNo pending requests\n");
  });

  test("tlsboot approve -i NAME asks about every request of a machine, and warns that two keys claim it", async () => {
    await request("csr-m1-a", "m1");
    await request("csr-m1-b", "m1", OTHER_KEY);
    const { code, stdout } = await runCaptured(["approve", "-i", "m1"], {
      cwd: instance.folder.path,
      clock,
      env: { TLSBOOT_DATA_DIR: "data" },
      stdin: "s\nn\n\n",
    });
    assert.equal(code, 0);
    assert.match(
      stdout,
      /^Request 1 of 2: csr-m1-a, [^]*Warning: another open request asks for node m1 with another key/,
    );
    assert.match(stdout, /\nAlso open: {2}csr-m1-b, for node m1, with another key\n/);
    assert.match(stdout, /\ndenied: csr-m1-b\n\n1 denied, 1 skipped\n$/);
    await tlsboot("deny", "csr/csr-m1-a");
  });

  test("tlsboot approve -i shows a changed request again, and skips one that someone else decided", async () => {
    await request("csr-c1", "c1");
    await request("csr-c2", "c2");
    const io = createCapturedIo({ cwd: instance.folder.path, clock, env: { TLSBOOT_DATA_DIR: "data" } });
    const changes = [
      async () => {
        const csr = JSON.parse((await tlsboot("get", "csr", "csr-c1", "-o", "json")).stdout);
        assert.equal(csr.metadata.labels, undefined);
        await patchLabels("csr-c1");
        return "y";
      },
      () => Promise.resolve("y"),
      async () => {
        await tlsboot("deny", "csr/csr-c2");
        return "y";
      },
    ];
    const code = await run(["approve", "-i", "csr/csr-c1", "csr/csr-c2"], {
      ...io,
      stdin: { ...io.stdin, readLine: () => changes.shift()?.() ?? Promise.resolve(undefined) },
    }, signal);
    assert.equal(code, 0);
    assert.match(
      io.stdoutText(),
      /Request 1 of 2: csr-c1[^]*Request 1 of 2: csr-c1[^]*approved: csr-c1\n\nRequest 2 of 2: csr-c2[^]*: y\n1 approved\n$/,
    );
    assert.match(io.stderrText(), /"csr-c1" has changed since it was shown: nothing was decided\n/);
    assert.match(io.stderrText(), /\ncsr-c2 is no longer pending: Denied\n$/);
  });

  test("tlsboot approve -i on a terminal wraps lines, and has colours unless NO_COLOR or TERM=dumb is set", async () => {
    await request("csr-t1", "t1");
    const review = (env: Readonly<Record<string, string>>, columns: number) =>
      runCaptured(["approve", "-i", "t1"], {
        cwd: instance.folder.path,
        clock,
        env: { TLSBOOT_DATA_DIR: "data", ...env },
        isTerminal: true,
        columns,
        stdin: "q\n",
      });
    const coloured = await review({}, 60);
    assert.match(
      coloured.stdout,
      // deno-lint-ignore no-control-regex -- a bold sentence in two lines, and a yellow warning
      /\n\x1b\[1mNode t1, with [^\n]{20,60}\x1b\[0m\n\x1b\[1m[^\n]*\x1b\[0m\n[^]*\n\x1b\[33mWarning: /,
    );
    for (const env of [{ NO_COLOR: "1" }, { TERM: "dumb" }]) {
      const { stdout } = await review(env, 60);
      // deno-lint-ignore no-control-regex -- there must be none
      assert.doesNotMatch(stdout, /\x1b/);
      const long = stdout.replace(PROMPT, "").split("\n").filter((text) => text.length > 60);
      // Only a single long word may exceed the width.
      assert.deepEqual(long.filter((text) => text.trim().includes(" ")), [], stdout);
    }
    await tlsboot("deny", "csr/csr-t1");
  });

  test("tlsboot approve -i --watch continues with new requests in order", async () => {
    await request("csr-w1", "w1");
    await using reviewing = startTlsboot(["approve", "-i", "--watch"], {
      cwd: instance.folder.path,
      env: { TLSBOOT_DATA_DIR: "data" },
      stdin: "s\nn\nno\nq\n",
    });
    await reviewing.waitFor(/Request 1: csr-w1, /);
    await reviewing.waitFor(/waiting for requests; stop with Ctrl-C\n/);
    await request("csr-w2", "w2");
    await reviewing.waitFor(/denied: csr-w2\n/);
    await request("csr-w3", "w3");
    const { code, stdout } = await reviewing.finished();
    assert.equal(code, 0);
    assert.match(stdout, /Request 2: csr-w2, [^]*Request 3: csr-w3, [^]*: q\n1 denied, 1 skipped\n$/);
    await tlsboot("deny", "csr/csr-w1", "csr/csr-w3");
  });

  test("tlsboot describe csr compares a request with the last certificate, and omits what the user may not read", async () => {
    await request("csr-h1", "h1");
    assert.equal((await tlsboot("approve", "csr/csr-h1", "--yes")).code, 0);
    await request("csr-h1-again", "h1", { usages: ["digital signature", "key encipherment", "client auth"] });
    const { stdout } = await tlsboot("describe", "csr", "csr-h1-again");
    assert.match(
      stdout,
      /\nSummary: +node h1, with the token abcdef, which no longer exists, asks for another client cert/,
    );
    assert.match(stdout, /\nLast certificate:\n {2}State: +valid, from \S+ to \S+\n {2}Serial number: +[0-9a-f]+\n/);
    assert.match(
      stdout,
      /\n {2}Differences: +Before +Now\n {4}usages +digital signature, client auth +digital signature, key encipherment, client auth\n\n/,
    );
    assert.equal((await tlsboot("kubeconfig", "user", "eve", "--role", "viewer")).code, 0);
    const seen = await instance.succeed("describe", "csr", "csr-h1-again", "--kubeconfig", "eve.kubeconfig");
    assert.match(seen.stdout, /\nSummary: +node h1, with the token abcdef, asks for another client certificate/);
    await tlsboot("deny", "csr/csr-h1-again");
  });

  for (
    const [args, want] of [
      [["approve", "-i", "n1", "--watch"], /NAME and --watch exclude each other/],
      [["approve", "-i", "n1", "-l", "team=blue"], /NAME and --selector exclude each other/],
      [["approve", "-i", "--yes"], /--interactive and --yes exclude each other/],
      [["approve", "n1", "--field-selector", "a=b"], /--field-selector needs --interactive/],
    ] as const
  ) {
    test(`tlsboot ${args.join(" ")} is refused`, async () => {
      const { code, stdout, stderr } = await tlsboot(...args);
      assert.notEqual(code, 0);
      assert.equal(stdout, "");
      assert.match(stderr, want);
    });
  }

  /** Changes a request without deciding it. */
  async function patchLabels(name: string): Promise<void> {
    const tools = createTools(createCapturedIo({ cwd: instance.folder.path, clock }), signal, false);
    await using connection = await connect({ kubeconfig: undefined, dataDir: instance.data }, tools);
    await connection.api.requestJson({
      method: "PATCH",
      path: `/apis/certificates.k8s.io/v1/certificatesigningrequests/${name}`,
      contentType: "application/merge-patch+json",
      body: { metadata: { labels: { seen: "yes" } } },
    }, signal);
  }
});
