/** Completion in bash, and output on a terminal of script(1). */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { type Child, type Finished, runProgram, runTlsboot, start, tlsbootCommand } from "../support/child.ts";
import { startInstance } from "../support/instance_process.ts";
import { createTempFolder } from "../support/temp.ts";

test("bash completes commands with the script of tlsboot completion bash", async () => {
  const { code, stdout } = await runTlsboot(["completion", "bash"]);
  assert.equal(code, 0);
  const [command, args] = tlsbootCommand([]);
  const words = [command, ...args].map((word) => `'${word}'`).join(" ");
  // Replaces bash-completion, so that the test needs only bash.
  const script = `
    _get_comp_words_by_ref() { cur="\${COMP_WORDS[COMP_CWORD]}"; words=("\${COMP_WORDS[@]}"); cword=$COMP_CWORD; }
    compopt() { :; }
    tlsboot() { ${words} "$@"; }
    ${stdout}
    COMP_WORDS=(tlsboot tok); COMP_CWORD=1; __tlsboot_complete; echo "\${COMPREPLY[@]}"
    COMP_WORDS=(tlsboot token ""); COMP_CWORD=2; __tlsboot_complete; echo "\${COMPREPLY[@]}"
  `;
  const completed = await runProgram("bash", ["-c", script]);
  assert.equal(completed.stderr, "");
  assert.deepEqual(completed.stdout.trim().split("\n"), ["token", "create list delete"]);
});

for (
  const { name, ampersand, want } of [
    { name: "draws its progress in the foreground", ampersand: "", want: true },
    { name: "leaves the line to the prompt in the background", ampersand: "& wait", want: false },
  ]
) {
  test(`the program on a terminal ${name}`, async () => {
    await using folder = await createTempFolder();
    const { code, stdout } = await runOnTerminal(["ca", "init", "--data-dir", folder.join("ca")], ampersand);
    assert.equal(code, 0, stdout);
    assert.match(stdout, /certificate: .*ca\.crt/);
    assert.equal(stdout.includes("Making the key"), want, stdout);
  });
}

test("the program on a terminal shows what it waits for, and the deadline", async () => {
  await using folder = await createTempFolder();
  await using instance = await startInstance(folder);
  const to = ["--data-dir", instance.data];
  const names = ["--subject", "CN=alice", "--signer", "kubernetes.io/kube-apiserver-client"];
  const out = ["--out", folder.join("alice")];
  await using request = startOnTerminal(["request", ...names, ...out, ...to]);
  const waiting = /request (alice-\S+) made[^]*⠋ waiting for approval, until (?:[\d-]+ )?\d\d:\d\d/;
  const [, name = ""] = await request.waitFor(waiting);
  await instance.succeed("deny", name, ...to);
  // The spinner is erased before the answer.
  const { stdout: requested } = await request.finished();
  assert.match(requested.split("\r\x1b[2K").at(-1) ?? "", /^[^⠋]*tlsboot: .*denied/);
  // The terminal of script(1) has width 0, so nothing is truncated.
  const listed = await runOnTerminal(["get", "csr", ...to]);
  assert.match(listed.stdout, /NAME +FOR +SIGNER +REQUESTED BY/);
  assert.doesNotMatch(listed.stdout, /…/);
  const secret = folder.join("secret");
  await writeFile(secret, "correct horse\n", { mode: 0o600 });
  const finished = await runOnTerminal(["ca", "init", "--data-dir", folder.join("ca"), "--ca-passphrase-file", secret]);
  assert.match(finished.stdout, /⠋ deriving the key from the passphrase/);
});

async function runOnTerminal(args: readonly string[], ampersand?: string): Promise<Finished> {
  await using running = startOnTerminal(args, ampersand);
  return await running.finished();
}

/**
 * Starts tlsboot on a new terminal of script(1) from util-linux, which merges stderr into stdout. `-m` gives each job of
 * the shell a process group, as in an interactive shell.
 */
function startOnTerminal(args: readonly string[], ampersand = ""): Child {
  const [command, all] = tlsbootCommand(args);
  const words = [command, ...all].map((word) => `'${word}'`).join(" ");
  return start("script", ["-qec", `sh -m -c "${words} ${ampersand}"`, "/dev/null"], { env: { TERM: "xterm" } });
}
