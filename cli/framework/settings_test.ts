import assert from "node:assert/strict";
import { test } from "node:test";
import { COMMAND_TABLE } from "../commands/mod.ts";
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
import { describeSettings, findIgnoredVariables, resolveSettings, type Sources } from "./settings.ts";

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
  const [name, want] of [
    ["TLSBOOT_DATA_DIR", undefined],
    ["TLSBOOT_DATADIR", /^TLSBOOT_DATADIR is ignored: there is no such setting, did you mean TLSBOOT_DATA_DIR\?$/],
    ["TLSBOOT_GROUP", /did you mean TLSBOOT_GROUPS\?$/],
    ["TLSBOOT_FORCE", /^TLSBOOT_FORCE is ignored: --force is for the command line only$/],
    // Variables of a Service named tlsboot, and of hooks.
    ["TLSBOOT_SERVICE_HOST", undefined],
    ["TLSBOOT_PORT_6443_TCP_ADDR", undefined],
    ["TLSBOOT_NOT_AFTER", undefined],
    ["TLSBOOT_WEB_PORT_443_UDP", undefined],
    ["TLSBOOT_QUITE_ANOTHER_THING", /^TLSBOOT_QUITE_ANOTHER_THING is ignored: there is no such setting$/],
    ["DATADIR", undefined],
  ] as const
) {
  test(`findIgnoredVariables() ${want === undefined ? "ignores" : "warns about"} ${name}`, () => {
    const [warning, ...more] = findIgnoredVariables({ [name]: "x", HOME: "/root" }, [flags]);
    if (want === undefined) assert.equal(warning, undefined);
    else assert.match(warning ?? "", want);
    assert.deepEqual(more, []);
  });
}

test("findIgnoredVariables() does not warn about variables of the program and of Kubernetes, with all flags", () => {
  const flagSets = COMMAND_TABLE.commands.map((command) => command.flags);
  const names = [
    ...["SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTPS", "PORT", "PORT_6443_TCP", "PORT_6443_TCP_ADDR"],
    ...["PORT_6443_TCP_PORT", "PORT_6443_TCP_PROTO"],
    ...["CHANGED", "CERTIFICATE_FILE", "NOT_AFTER", "NODE_NAME"],
    ...["TEST_BINARY", "TEST_NODE", "TEST_SCRIPT", "UPDATE_GOLDEN", "BUILD_COMMIT", "SOAK_SECONDS", "STORM_NODES"],
    "SEED",
  ];
  const env = Object.fromEntries(names.map((name) => [`TLSBOOT_${name}`, "x"]));
  assert.deepEqual(findIgnoredVariables(env, flagSets), []);
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

test("resolveSettings() reads flags for the command line only from the command line alone", () => {
  const resolved = resolveSettings(flags, { commandLine: {}, env: { TLSBOOT_FORCE: "true" } });
  assert.ok(resolved.ok);
  assert.equal(resolved.value.settings.force, false);
});

test("describeSettings() shows values with their origins, but no secrets", () => {
  const resolved = resolveSettings(flags, { commandLine: { token: ["abcdef.0123456789abcdef"] }, env: {} });
  assert.ok(resolved.ok);
  const lines = describeSettings(flags, resolved.value);
  assert.ok(lines.includes('--data-dir: "./d" (default)'));
  assert.ok(lines.includes("--token: [redacted] (--token)"));
});
