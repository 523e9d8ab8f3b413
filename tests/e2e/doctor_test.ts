/**
 * `tlsboot doctor`: each case breaks exactly one thing of a real instance, reads the finding, runs its fix unchanged in a
 * shell, and sees the finding gone.
 */
import assert from "node:assert/strict";
import { chmod, copyFile, readFile, rename, writeFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import type { Finding } from "../../core/doctor/finding.ts";
import { createSystemClock, createSystemRandom } from "../../cli/system.ts";
import { runProgram, tlsbootCommand } from "../support/child.ts";
import { type CapturedRun, runCaptured } from "../support/run_captured.ts";
import { type InstanceProcess, startInstanceProcess } from "../support/instance_process.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";

let folder: TempFolder;
let instance: InstanceProcess;

before(async () => {
  folder = await createTempFolder();
  instance = await startInstanceProcess(folder, ["--auto-approve"]);
});
after(async () => {
  await instance[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

/** Runs the program in this process. */
function run(args: readonly string[]): Promise<CapturedRun> {
  return runCaptured(args, { cwd: folder.path, clock: createSystemClock(), random: createSystemRandom() });
}

/** Runs a printed command unchanged, where `tlsboot` is the program under test. */
async function runInShell(command: string): Promise<void> {
  const [program, args] = tlsbootCommand([]);
  const words = [program, ...args].map((word) => `'${word}'`).join(" ");
  const { code, stderr } = await runProgram("sh", ["-c", `tlsboot() { ${words} "$@"; }\n${command}`], {
    cwd: folder.path,
  });
  assert.equal(code, 0, `${command}\n${stderr}`);
}

/** Examines targets and returns what is wrong with them. */
async function findProblems(targets: readonly string[]): Promise<readonly Finding[]> {
  const { code, stdout, stderr } = await run(["doctor", "-o", "json", ...targets]);
  const { findings }: { findings: readonly Finding[] } = JSON.parse(stdout);
  assert.equal(code, findings.some(({ severity }) => severity === "error") ? 1 : 0, stderr);
  return findings.filter(({ severity }) => severity === "error" || severity === "warning");
}

interface Case {
  readonly name: string;
  readonly target: string;
  /** Breaks one thing and nothing else. */
  readonly breakIt: () => Promise<unknown>;
  readonly check: string;
  readonly severity: Finding["severity"];
  readonly message: RegExp;
  readonly fix: RegExp;
}

const CASES: readonly Case[] = [
  {
    name: "a CA key that others can read",
    target: "data",
    breakIt: () => chmod(folder.join("data/pki/ca.key"), 0o644),
    check: "secret-files",
    severity: "error",
    message: /"data\/pki\/ca\.key" is not private: others may read it \(mode 644\)/,
    fix: /^chmod 600 data\/pki\/ca\.key$/,
  },
  {
    name: "a folder of keys that every user may write to",
    target: "data",
    breakIt: () => chmod(folder.join("data/pki"), 0o777),
    check: "secret-folders",
    severity: "error",
    message: /every user may write to "data\/pki"/,
    fix: /^chmod go-w data\/pki$/,
  },
  {
    name: "a key of another certificate, while the right key is elsewhere",
    target: "data",
    breakIt: async () => {
      await rename(folder.join("data/pki/apiserver.key"), folder.join("data/pki/old.key"));
      await copyFile(folder.join("data/pki/sa.key"), folder.join("data/pki/apiserver.key"));
      await chmod(folder.join("data/pki/apiserver.key"), 0o600);
    },
    check: "key-pair",
    severity: "error",
    message: /the key in "data\/pki\/apiserver\.key" does not belong to certificate "tlsboot"/,
    fix: /^cp data\/pki\/old\.key data\/pki\/apiserver\.key$/,
  },
];

test("tlsboot doctor finds nothing wrong with a new instance", async () => {
  const { code, stdout } = await run(["doctor", "--strict", "data"]);
  assert.equal(code, 0, stdout);
  assert.match(stdout, /^data\n {2}ok {2}readable /);
  assert.match(stdout, /\n\n0 errors, 0 warnings, \d+ ok\n$/);
});

for (const { name, target, breakIt, check, severity, message, fix } of CASES) {
  test(`tlsboot doctor finds ${name}, and its fix works unchanged`, async () => {
    await breakIt();
    const problems = await findProblems([target]);
    assert.deepEqual(problems.map((one) => `${one.severity} ${one.check}`), [`${severity} ${check}`]);
    assert.match(problems[0]?.message ?? "", message);
    assert.match(problems[0]?.fix ?? "", fix);
    await runInShell(problems[0]?.fix ?? "");
    assert.deepEqual(await findProblems([target]), []);
  });
}

test("tlsboot doctor prints TAP, and replaces a textfile at once", async () => {
  const tap = await run(["doctor", "-o", "tap", "data"]);
  assert.match(tap.stdout, /^TAP version 14\n1\.\.(\d+)\nok 1 - data: readable\n/);
  await writeFile(folder.join("tlsboot.prom"), "old");
  const { code, stdout } = await run(["doctor", "-o", "textfile", "--out", "tlsboot.prom", "data"]);
  assert.deepEqual([code, stdout], [0, ""]);
  const text = await readFile(folder.join("tlsboot.prom"), "utf8");
  assert.match(
    text,
    /^x509_cert_not_after\{filename="ca\.crt",filepath="\S+\/data\/pki\/ca\.crt",serial_number="\d+",/m,
  );
  assert.match(text, /^tlsboot_doctor_findings\{severity="error"\} 0$/m);
  assert.match(text, /^x509_read_errors 0$/m);
});
