import assert from "node:assert/strict";
import { resolve } from "node:path";
import { test } from "node:test";
import { COMMAND_TABLE } from "../commands/mod.ts";
import { type Command, formatCommand, formatCommandLine } from "./command.ts";
import { parseCommandLine } from "./parse.ts";
import { resolveSettings } from "./settings.ts";

/** The commands whose command lines are repeated, for example by a service. */
const REPEATED = ["bootstrap", "kubeconfig user", "request web"];

/** A valid value for each flag that does not accept any text. */
const VALUES: Readonly<Record<string, string>> = {
  caCertHash: `sha256:${"0".repeat(64)}`,
  dns: "nas",
  duration: "90m",
  ip: "10.0.0.1",
  renewBefore: "25h",
  server: "https://10.0.0.1:6443",
  servingDns: "nas",
  servingIp: "10.0.0.1",
  signal: "HUP:run/a.pid",
  signer: "example.com/pods",
  timeout: "90s",
  token: "-",
  ttl: "7d",
};

function read({ path }: Command, words: readonly string[]) {
  const invocation = parseCommandLine(words, COMMAND_TABLE);
  assert.ok(invocation.kind === "run");
  assert.deepEqual(invocation.command.path, path);
  const resolved = resolveSettings(invocation.command.flags, { commandLine: invocation.raw, env: {} });
  assert.ok(resolved.ok, JSON.stringify(resolved));
  return { args: invocation.args, settings: resolved.value.settings };
}

for (const command of COMMAND_TABLE.commands.filter(({ path }) => REPEATED.includes(path.join(" ")))) {
  test(`formatCommand() repeats every flag of ${command.path.join(" ")}`, () => {
    const args = command.args.map(() => "nas.home.lan");
    const flags = Object.entries(command.flags).flatMap(([key, { placeholder, completion }]) => {
      const [choice] = completion.kind === "choices" ? completion.choices : [];
      const name = `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
      return placeholder === undefined ? [name] : [name, VALUES[key] ?? choice ?? "/some/text"];
    });
    const given = read(command, [...command.path, ...args, ...flags]);
    assert.ok(Object.entries(command.flags).some(([key, flag]) => given.settings[key] !== flag.default));
    const again = formatCommand(command, given, (path) => resolve("/", path));
    for (const word of flags.filter((flag) => flag.startsWith("--"))) {
      const isDefault = flags[flags.indexOf(word) + 1] === "ecdsa-p256" && command.path.length > 1;
      assert.equal(again.includes(word), !isDefault, word);
    }
    const settings = read(command, again).settings;
    const toText = (value: unknown) => JSON.stringify(value)?.replace("run/a.pid", "/run/a.pid");
    assert.equal(JSON.stringify(settings), toText(given.settings));
  });
}

test("formatCommand() omits defaults, never shows a secret, and formats paths with showPath", () => {
  const [bootstrap] = COMMAND_TABLE.commands.filter(({ path }) => path.join(" ") === "bootstrap");
  assert.ok(bootstrap);
  const line = "bootstrap --token abcdef.0123456789abcdef --kubeconfig n1.conf --timeout 1h --serving=false --exec a";
  assert.deepEqual(formatCommand(bootstrap, read(bootstrap, line.split(" ")), (path) => `<${path}>`), [
    ...["bootstrap", "--token", "-", "--kubeconfig", "<n1.conf>", "--exec", "a"],
  ]);
});

test("formatCommandLine() quotes words for a shell, but not flags and the word for stdin", () => {
  assert.equal(formatCommandLine(["up", "--pkcs12", "p", "--token", "-"]), "tlsboot up --pkcs12 p --token -");
  assert.equal(formatCommandLine(["up", "--exec", "a 'b'", "-o", "$x"]), "tlsboot up --exec 'a '\\''b'\\''' -o '$x'");
});
