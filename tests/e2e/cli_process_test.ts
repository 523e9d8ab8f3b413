/** Tests what needs a real process: streams, exit codes and signals. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { runProgram, spawnTlsboot, spawnTlsbootToEnd, tlsbootCommand } from "../support/child.ts";
import { describeInstance } from "../support/instance_process.ts";
import { createTempFolder } from "../support/temp.ts";

test("the program answers on stdout and ends with 0", async () => {
  const { code, stdout, stderr } = await spawnTlsbootToEnd(["version", "-o", "json"]);
  assert.equal(code, 0);
  assert.equal(stderr, "");
  assert.equal(JSON.parse(stdout).kubernetesVersion, "v1.37.2");
});

test("the program reports wrong usage on stderr and ends with 2", async () => {
  const { code, stdout, stderr } = await spawnTlsbootToEnd(["verison"]);
  assert.equal(code, 2);
  assert.equal(stdout, "");
  assert.equal(
    stderr,
    'tlsboot: error: unknown command "verison" for "tlsboot"\ntlsboot: hint: did you mean version? see: tlsboot --help\n',
  );
});

test("the program reads stdin", async () => {
  await using folder = await createTempFolder();
  const { code } = await spawnTlsbootToEnd(["ca", "init", "--ca-passphrase-file", "-"], {
    cwd: folder.path,
    stdin: "eight words or more\n",
  });
  assert.equal(code, 0);
  assert.match(
    await readFile(folder.join("tlsboot-data/pki/ca.key"), "utf8"),
    /^-----BEGIN ENCRYPTED PRIVATE KEY-----/,
  );
});

test("the program stops quietly when its output pipe is closed", async () => {
  const [command, args] = tlsbootCommand(["--help"]);
  const words = [command, ...args].map((word) => `'${word}'`).join(" ");
  const { stdout, stderr } = await runProgram("sh", ["-c", `{ ${words}; echo "ended with $?" >&2; } | head -c 7`]);
  assert.deepEqual({ stdout, stderr }, { stdout: "tlsboot", stderr: "ended with 0\n" });
});

describeInstance("signals", {}, (instance) => {
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    test(`the program ends with 130 after ${name}`, async () => {
      const line = ["get", "csr", "-w", "-o", "name", "--debug", "--data-dir", instance.data];
      await using watch = spawnTlsboot(line);
      await watch.waitFor(/debug: --watch: true/);
      watch.kill(name);
      const { code, stderr } = await watch.finished();
      assert.equal(code, 130);
      assert.match(stderr, /tlsboot: interrupted\n$/);
    });
  }
});

test("tlsboot ends with 1 when its answer cannot be written", async () => {
  const [command, args] = tlsbootCommand(["version"]);
  const quoted = [command, ...args].map((word) => `'${word}'`).join(" ");
  const { code, stderr } = await runProgram("sh", ["-c", `${quoted} > /dev/full`]);
  assert.match(stderr, /^tlsboot: error: cannot write the answer: /m);
  assert.equal(code, 1);
});
