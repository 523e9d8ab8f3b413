import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { test } from "node:test";
import { COMMAND_TABLE } from "../../cli/commands/mod.ts";
import { EXIT_MEANING } from "../../cli/exit_code.ts";
import { GLOBAL_FLAGS } from "../../cli/framework/command.ts";
import { flagName } from "../../cli/framework/flags.ts";
import { run } from "../../cli/run.ts";
import { renderManual } from "../../scripts/docs/cli.ts";
import { createCapturedIo } from "../support/captured_io.ts";
import { assertGolden } from "../support/golden.ts";

const signal = new AbortController().signal;

const pages: readonly (readonly string[])[] = [
  [],
  ...COMMAND_TABLE.families.map((family) => [family.word]),
  ...COMMAND_TABLE.commands.map((command) => command.path),
];

for (const path of pages) {
  const name = ["tlsboot", ...path].join(" ");
  test(`help of "${name}" goes to stdout and matches the golden file`, async () => {
    const io = createCapturedIo();
    assert.equal(await run(["help", ...path, "--all"], io, signal), 0);
    assert.equal(io.stderrText(), "");
    await assertGolden(`tests/golden/help/${name.replaceAll(" ", "_")}.txt`, io.stdoutText());
  });
}

test("help of the program, of up and of shared options matches the golden files", async () => {
  for (
    const [name, line] of [["first_day", "--help"], ["up_common", "up --help"], ["options", "help options"]] as const
  ) {
    const io = createCapturedIo();
    assert.equal(await run(line.split(" "), io, signal), 0);
    await assertGolden(`tests/golden/help/${name}.txt`, io.stdoutText());
  }
});

test("an option of a group is the same in every command that has it", () => {
  const known = new Map<string, string>();
  for (const { path, flags } of COMMAND_TABLE.commands) {
    for (const [key, flag] of Object.entries(flags).filter(([, { group }]) => group !== undefined)) {
      const text = JSON.stringify(flag);
      assert.equal(text, known.get(key) ?? text, `--${flagName(key)} of tlsboot ${path.join(" ")}`);
      known.set(key, text);
    }
  }
});

test("tlsboot without arguments prints its help", async () => {
  const [alone, asked] = [createCapturedIo(), createCapturedIo()];
  assert.equal(await run([], alone, signal), 0);
  assert.equal(await run(["--help"], asked, signal), 0);
  assert.equal(alone.stdoutText(), asked.stdoutText());
});

for (const page of ["README.md", "CHANGELOG.md"]) {
  test(`${page} describes the exit codes as help does`, async () => {
    const text = (await readFile(page, "utf8")).replace(/\s+/g, " ");
    for (const [code, meaning] of Object.entries(EXIT_MEANING)) {
      assert.ok(text.includes(`${code} ${meaning}`), `${code} ${meaning}`);
    }
  });
}

test("docs/reference/cli.md is generated from the command table", () =>
  assertGolden("docs/reference/cli.md", renderManual(COMMAND_TABLE)));

const MISTAKES: readonly { readonly line: string; readonly env?: Readonly<Record<string, string>> }[] = [
  { line: "aprove n1" },
  { line: "frobnicate" },
  { line: "revoke n1" },
  { line: "logs" },
  { line: "get" },
  { line: "token" },
  { line: "ca --debug" },
  { line: "kubeconfig" },
  { line: "policy explian" },
  { line: "token crate" },
  { line: "get csr --wacth" },
  { line: "get csr -o xml" },
  { line: "get csr -o jsonpath=" },
  { line: "get csr -o jsonpath={.items[" },
  { line: "get csr n1 -l a=b" },
  { line: "get csr a b -w" },
  { line: "get csr a/b" },
  { line: "get csr" },
  { line: "get csr --watch=maybe" },
  { line: "get csr", env: { KUBECONFIG: "/home/jane/.kube/config" } },
  { line: "signer", env: { KUBECONFIG: "/home/jane/.kube/config" } },
  { line: "approver", env: { KUBECONFIG: "/home/jane/.kube/config" } },
  { line: "get csr", env: { TLSBOOT_KUBECONFG: "admin.kubeconfig", TLSBOOT_NO_APPROVE: "true" } },
  { line: "describe csr --kubeconfig none.kubeconfig n1" },
  { line: "get certificates -o xml" },
  { line: "get certificates --sort-by colour" },
  { line: "get certificates --expires-within soon" },
  { line: "get certificates --since yesterday" },
  { line: "get certificates n1" },
  { line: "get certificates 0a1b2c --revoked" },
  { line: "get certificates --issued-log none.log" },
  { line: "get certificates --issued-log none.log -w" },
  { line: "describe certificate" },
  { line: "describe certificate 0a1b" },
  { line: "verify" },
  { line: "verify certificates none.log" },
  { line: "revoke" },
  { line: "revoke node/n1 --reason stolen" },
  { line: "revoke node/n1 --certificates" },
  { line: "revoke nodes/n1" },
  { line: "revoke token/not-an-id" },
  { line: "revoke node/n1" },
  { line: "unrevoke csr/n1" },
  { line: "get trustbundles a/b" },
  { line: "trust fetch" },
  { line: "trust fetch --out ca.pem" },
  { line: "trust fetch --out ca.pem -l a=b" },
  { line: "trust fetch a --out ca.pem --signer example.com/a" },
  { line: "trust fetch example.com/a --out ca.pem" },
  { line: "trust fetch --out ca.pem --signer a" },
  { line: "approve" },
  { line: "approve n1 --reason" },
  { line: "ca init --duration 5m" },
  { line: "ca init --duration ten --key-algorithm dsa", env: { TLSBOOT_COMMON_NAME: "" } },
  { line: "ca show" },
  { line: "token create --usages sign" },
  { line: "token create --groups masters" },
  { line: "token create secret" },
  { line: "token create -o yaml --print-join-command" },
  { line: "token create -o command --usages signing" },
  { line: "token delete nope" },
  { line: "bootstrap" },
  { line: "bootstrap --kubeconfig k --cert-dir c" },
  { line: "bootstrap --kubeconfig k --cert-dir c --bootstrap-kubeconfig none.kubeconfig" },
  { line: "bootstrap --kubeconfig k --cert-dir c --bootstrap-kubeconfig b --server https://a:6443" },
  { line: "bootstrap --kubeconfig k --cert-dir c --server http://a:6443" },
  { line: "bootstrap --kubeconfig k --cert-dir c --server a:6443" },
  { line: "bootstrap --kubeconfig k --cert-dir c --server a:6443 --token abcdef.0123456789abcdef" },
  { line: "bootstrap --kubeconfig k --cert-dir c --token abcdef.0123456789abcdef" },
  { line: `bootstrap --kubeconfig k --cert-dir c --server a --token secret --ca-cert-hash sha256:${"0".repeat(64)}` },
  { line: `bootstrap --kubeconfig k --cert-dir c --server a --token-file t --ca-cert-hash sha256:${"0".repeat(64)}` },
  { line: "bootstrap --kubeconfig k --cert-dir c --server a --token-file t --ca-cert-hash sha256:00" },
  { line: "bootstrap --kubeconfig k --cert-dir c --duration 5m" },
  { line: "bootstrap --kubeconfig k --cert-dir c --serving-ip 10.0.0.1" },
  { line: "bootstrap --kubeconfig k --cert-dir c --serving --serving-ip 10.0.0.1,n1 --serving-dns https://n1" },
  { line: "bootstrap --kubeconfig k --cert-dir c --hostname-override n_1" },
  { line: "bootstrap --kubeconfig k --cert-dir c --hostname-override büro" },
  { line: "bootstrap --kubeconfig k --cert-dir c --server https://::1:6443 --token abcdef.0123456789abcdef" },
  { line: "bootstrap --kubeconfig k --cert-dir c --server fd00::1:6443" },
  { line: "kubeconfig admin --server https://::1:6443" },
  { line: "bootstrap --kubeconfig k --cert-dir c -o json" },
  { line: "bootstrap --kubeconfig k --cert-dir c --signal HUP" },
  { line: "bootstrap --kubeconfig k --cert-dir c --signal HUP:a.pid,KILL:b.pid" },
  { line: "bootstrap --kubeconfig k --cert-dir c --print-public-key --print-systemd-unit" },
  { line: "bootstrap --kubeconfig k --cert-dir c --token abcdef.0123456789abcdef --print-systemd-unit" },
  { line: "bootstrap --kubeconfig k --cert-dir c --install-service --print-systemd-unit" },
  { line: "up --install-service --uninstall-service" },
  { line: "up --install-service --data-dir lab --ui" },
  { line: "up --yes" },
  { line: "kubeconfig admin --server http://x" },
  { line: "inspect none.pem" },
  { line: "completion csh" },
  { line: "completion" },
  { line: "version now" },
  { line: "version --config none.yaml" },
  { line: "version --output xml" },
  { line: "up", env: { TLSBOOT_SECURE_PORT: "high" } },
  { line: "get csr", env: { TLSBOOT_OUTPUT: "json" } },
  { line: "ca init", env: { TLSBOOT_DURATION: "24h", TLSBOOT_DATADIR: "lab" } },
  { line: "backup b.backup", env: { TLSBOOT_VERIFY: "true", TLSBOOT_FORCE: "true" } },
  { line: "ca init", env: { TLSBOOT_CONTEXT: "lab" } },
];

test("messages about mistakes match the golden file", async () => {
  const transcript: string[] = [];
  for (const { line, env = {} } of MISTAKES) {
    const io = createCapturedIo({ env });
    const code = await run(line.split(" "), io, signal);
    assert.notEqual(code, 0, line);
    assert.equal(io.stdoutText(), "", line);
    const variables = Object.entries(env).map(([name, value]) => `${name}=${value} `).join("");
    const stderr = io.stderrText().replaceAll(`--node ${hostname()}`, "--node HOST");
    transcript.push(`$ ${variables}tlsboot ${line}\n${stderr}[exit ${code}]\n`);
  }
  await assertGolden("tests/golden/mistakes.txt", transcript.join("\n"));
});

test("every command describes itself, with examples that begin with the program", () => {
  for (const command of COMMAND_TABLE.commands) {
    const name = command.path.join(" ");
    assert.ok(!command.summary.endsWith("."), `${name}: the summary ends with a period`);
    assert.ok(Object.keys(command.examples).length > 0, `${name}: has no example`);
    for (const line of Object.values(command.examples)) assert.match(line, /\btlsboot /, name);
    for (const [key, flag] of Object.entries(command.flags)) {
      assert.match(flag.summary, /[.)]$/, `${name} --${flagName(key)}: the summary does not end with a period`);
    }
  }
});

test("a flag is a switch in every command or in none, and a letter abbreviates one flag", () => {
  const kinds = new Map<string, string>();
  for (const set of [GLOBAL_FLAGS, ...COMMAND_TABLE.commands.map(({ flags }) => flags)]) {
    for (const [key, { placeholder, short }] of Object.entries(set)) {
      const facts = [[flagName(key), placeholder === undefined ? "switch" : "value"]];
      if (short !== undefined) facts.push([`-${short}`, flagName(key)]);
      for (const [name = "", kind = ""] of facts) {
        assert.equal(kinds.get(name) ?? kind, kind, name);
        kinds.set(name, kind);
      }
    }
  }
});

test("every command loads", async () => {
  for (const { path, load } of COMMAND_TABLE.commands) {
    assert.equal(typeof (await load()).run, "function", path.join(" "));
  }
});
