import assert from "node:assert/strict";
import { test } from "node:test";
import { COMMAND_TABLE } from "../commands/mod.ts";
import { type Command, findVariable } from "./command.ts";
import {
  choiceFlag,
  durationFlag,
  environmentName,
  flagName,
  integerFlag,
  listFlag,
  secretFlag,
  switchFlag,
  textFlag,
} from "./flags.ts";
import { describeSettings, findUnreadVariables, resolveSettings, type Sources } from "./settings.ts";

const flags = {
  dataDir: textFlag({ default: "./d", summary: "Folder." }),
  port: integerFlag({ default: 6443, min: 0, max: 65_535, summary: "Port." }),
  ttl: durationFlag({ default: "24h", summary: "Lifetime." }),
  watch: switchFlag({ summary: "Watch." }),
  groups: listFlag({ summary: "Groups." }),
  mode: choiceFlag({ choices: ["a", "b"], summary: "Mode." }),
  token: secretFlag({ summary: "Token." }),
  force: switchFlag({ isCommandLineOnly: true, summary: "Force." }),
} as const;

const nothing: Sources = { commandLine: {}, env: {} };

function findCommand(path: string): Command {
  const found = COMMAND_TABLE.commands.find((command) => command.path.join(" ") === path);
  assert.ok(found);
  return found;
}

test("flagName() and environmentName() follow from the key", () => {
  assert.equal(flagName("clusterSigningDuration"), "cluster-signing-duration");
  assert.equal(environmentName("dataDir"), "TLSBOOT_DATA_DIR");
});

test("resolveSettings() returns the defaults when nothing is given", () => {
  const resolved = resolveSettings(flags, nothing);
  assert.ok(resolved.ok);
  assert.equal(resolved.value.settings.dataDir, "./d");
  assert.equal(resolved.value.settings.port, 6443);
  assert.equal(resolved.value.settings.ttl, 86_400_000);
  assert.equal(resolved.value.settings.mode, undefined);
  assert.deepEqual(resolved.value.settings.groups, []);
  assert.ok(Object.isFrozen(resolved.value.settings));
});

for (
  const [path, name, want] of [
    ["up", "TLSBOOT_SECURE_PORT", undefined],
    ["up", "TLSBOOT_DATADIR", "there is no such setting, did you mean TLSBOOT_DATA_DIR?"],
    ["up", "TLSBOOT_QUITE_ANOTHER_THING", "there is no such setting"],
    ["up", "TLSBOOT_VERIFY", '"tlsboot up" has no --verify'],
    ["ui", "TLSBOOT_OPEN", '"tlsboot ui" takes --open from the command line only'],
    ["get csr", "TLSBOOT_DATA_DIR", undefined],
    ["get csr", "TLSBOOT_OUTPUT", '"tlsboot get csr" takes --output from the command line only'],
    ["get csr", "TLSBOOT_SECURE_PORT", '"tlsboot get csr" has no --secure-port'],
    // The connection of other commands is not a mistake, except for a command that could sign in the wrong place.
    ["inspect", "TLSBOOT_KUBECONFIG", undefined],
    ["ca init", "TLSBOOT_KUBECONFIG", '"tlsboot ca init" has no --kubeconfig'],
    ["ca init", "TLSBOOT_DEBUG", '"tlsboot ca init" takes --debug from the command line only'],
    ["ca init", "DATADIR", undefined],
  ] as const
) {
  test(`findUnreadVariables() ${want === undefined ? "omits" : "finds"} ${name} for ${path}`, () => {
    const env = { [name]: "x", HOME: "/root" };
    const found = findUnreadVariables(env, findCommand(path), COMMAND_TABLE);
    const isSetting = want?.startsWith("there is no such setting") === false;
    assert.deepEqual(found, want === undefined ? [] : [{ name, isSetting, reason: want }]);
  });
}

test("findUnreadVariables() omits variables of the program and of Kubernetes", () => {
  const names = [
    ...["SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTPS", "PORT", "PORT_6443_TCP", "PORT_6443_TCP_ADDR"],
    ...["PORT_6443_TCP_PORT", "PORT_6443_TCP_PROTO", "WEB_PORT_443_UDP"],
    ...["CHANGED", "CERTIFICATE_FILE", "NOT_AFTER", "NODE_NAME", "EARLIEST_TIME"],
    ...["TEST_BINARY", "TEST_NODE", "TEST_SEED", "UPDATE_GOLDEN", "BUILD_COMMIT", "TEST_FULL"],
  ];
  const env = Object.fromEntries(names.map((name) => [`TLSBOOT_${name}`, "x"]));
  for (const command of COMMAND_TABLE.commands) assert.deepEqual(findUnreadVariables(env, command, COMMAND_TABLE), []);
});

test("commands that sign, write keys or restore read only the variables of the connection", () => {
  const daemons = COMMAND_TABLE.commands.filter(({ environment }) => environment === "daemon");
  const roles = ["signer", "approver", "attestor"];
  assert.deepEqual(daemons.map(({ path }) => path.join(" ")), ["up", "serve", ...roles, "ui", "bootstrap"]);
  const connection = new Set(
    ["DATA_DIR", "KUBECONFIG", "SERVER", "CONTEXT", "CA_CERT_HASH"].map((name) => `TLSBOOT_${name}`),
  );
  for (const command of COMMAND_TABLE.commands.filter(({ environment }) => environment !== "daemon")) {
    const variables = Object.entries(command.flags).map(([key, flag]) => findVariable(command, key, flag));
    assert.ok(variables.every((one) => one === undefined || connection.has(one)), command.path.join(" "));
  }
});

for (
  const { name, sources, want, origin } of [
    {
      name: "the flag over all else",
      sources: {
        commandLine: { dataDir: ["flag"] },
        env: { TLSBOOT_DATA_DIR: "env" },
        file: { path: "c.yaml", raw: { dataDir: ["file"] } },
      },
      want: "flag",
      origin: "--data-dir",
    },
    {
      name: "the environment over the file",
      sources: {
        commandLine: {},
        env: { TLSBOOT_DATA_DIR: "env" },
        file: { path: "c.yaml", raw: { dataDir: ["file"] } },
      },
      want: "env",
      origin: "TLSBOOT_DATA_DIR",
    },
    {
      name: "the file over the default",
      sources: { commandLine: {}, env: {}, file: { path: "c.yaml", raw: { dataDir: ["file"] } } },
      want: "file",
      origin: 'config file "c.yaml": dataDir',
    },
    {
      name: "the default when the variable is empty",
      sources: { commandLine: {}, env: { TLSBOOT_DATA_DIR: "" } },
      want: "./d",
      origin: "default",
    },
    {
      name: "the last of several flags",
      sources: { commandLine: { dataDir: ["one", "two"] }, env: {} },
      want: "two",
      origin: "--data-dir",
    },
  ]
) {
  test(`resolveSettings() takes ${name}`, () => {
    const resolved = resolveSettings(flags, sources);
    assert.ok(resolved.ok);
    assert.equal(resolved.value.settings.dataDir, want);
    assert.equal(resolved.value.origins["dataDir"], origin);
  });
}

test("resolveSettings() reports every fault with its origin", () => {
  const resolved = resolveSettings(flags, {
    commandLine: { port: ["70000"] },
    env: { TLSBOOT_TTL: "a year", TLSBOOT_WATCH: "maybe" },
    environment: "daemon",
    file: { path: "c.yaml", raw: { mode: ["c"] } },
  });
  assert.deepEqual(resolved, {
    ok: false,
    error: [
      '--port: "70000" found, want a number from 0 to 65535',
      'TLSBOOT_TTL: "a year" found, want a duration such as 10m, 24h, 90d or 10y',
      'TLSBOOT_WATCH: "maybe" found, want true or false',
      'config file "c.yaml": mode: "c" found, want one of a, b',
    ],
  });
});

test("resolveSettings() gathers lists from repeats and commas", () => {
  const resolved = resolveSettings(flags, { commandLine: { groups: ["a,b", " c "] }, env: {} });
  assert.ok(resolved.ok);
  assert.deepEqual(resolved.value.settings.groups, ["a", "b", "c"]);
});

test("resolveSettings() reads a command-line-only flag from no other source", () => {
  const env = { TLSBOOT_FORCE: "true", TLSBOOT_PORT: "1", TLSBOOT_DATA_DIR: "x" };
  for (const [environment, port] of [["daemon", 1], ["strict", 6443], [undefined, 6443]] as const) {
    const resolved = resolveSettings(flags, { commandLine: {}, env, environment });
    assert.ok(resolved.ok);
    assert.deepEqual(resolved.value.settings, { ...resolved.value.settings, force: false, port, dataDir: "x" });
  }
});

test("describeSettings() shows values with their origins, but no secrets", () => {
  const resolved = resolveSettings(flags, { commandLine: { token: ["abcdef.0123456789abcdef"] }, env: {} });
  assert.ok(resolved.ok);
  const lines = describeSettings(flags, resolved.value);
  assert.ok(lines.includes('--data-dir: "./d" (default)'));
  assert.ok(lines.includes("--token: [redacted] (--token)"));
});
