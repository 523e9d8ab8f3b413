import assert from "node:assert/strict";
import { test } from "node:test";
import { parseNodeName } from "../../../core/machine/node_name.ts";
import { BOOTSTRAP_FLAGS } from "./flags.ts";
import { resolveSettings } from "../../framework/settings.ts";
import { resolveMachine } from "./machine.ts";
import { UsageError } from "../../exit_code.ts";
import { formatUnit } from "./service.ts";

const IO = { cwd: "/instance", execPath: "/usr/bin/node" };
const NAME = parseNodeName("n1");
assert.ok(NAME.ok);

function unit(flags: Readonly<Record<string, readonly string[]>>, io = IO, tpmGroup?: string): string {
  const commandLine = { kubeconfig: ["n1.conf"], certDir: ["pki"], hostnameOverride: ["n1"], ...flags };
  const resolved = resolveSettings(BOOTSTRAP_FLAGS, { commandLine, env: {} });
  assert.ok(resolved.ok, JSON.stringify(resolved));
  return formatUnit(resolved.value.settings, resolveMachine(resolved.value.settings, io), io, tpmGroup);
}

const YES_NO = /^(yes|no)$/;
/** Every key of the unit, with the values that systemd accepts (systemd.unit, .service, .exec(5)). */
const SYNTAX: Readonly<Record<string, Readonly<Record<string, RegExp>>>> = {
  Unit: {
    Description: /^\S.*$/,
    Wants: /^[a-z-]+\.target$/,
    After: /^[a-z-]+\.target$/,
  },
  Service: {
    Type: /^notify$/,
    NotifyAccess: /^all$/,
    TimeoutStartSec: /^infinity$/,
    WatchdogSec: /^\d+s$/,
    ExecStartPre: /^\+\/\S+( .+)?$/,
    ExecStart: /^\/\S+( .+)?$/,
    Restart: /^always$/,
    RestartSec: /^\d+s$/,
    SuccessExitStatus: /^\d+$/,
    RestartPreventExitStatus: /^\d+$/,
    LimitCORE: /^0$/,
    UMask: /^0[0-7]{3}$/,
    ProtectSystem: /^strict$/,
    ReadWritePaths: /^(?:"?-\/.+"? ?)+$/,
    ProtectHome: YES_NO,
    PrivateTmp: YES_NO,
    PrivateDevices: YES_NO,
    DevicePolicy: /^closed$/,
    DeviceAllow: /^\/dev\/\S+ rw$/,
    SupplementaryGroups: /^[a-z]+$/,
    ProtectClock: YES_NO,
    ProtectControlGroups: YES_NO,
    ProtectHostname: YES_NO,
    ProtectKernelLogs: YES_NO,
    ProtectKernelModules: YES_NO,
    ProtectKernelTunables: YES_NO,
    ProtectProc: /^invisible$/,
    RestrictAddressFamilies: /^(AF_[A-Z0-9]+ ?)+$/,
    RestrictNamespaces: YES_NO,
    RestrictRealtime: YES_NO,
    RestrictSUIDSGID: YES_NO,
    LockPersonality: YES_NO,
    NoNewPrivileges: YES_NO,
    CapabilityBoundingSet: /^(CAP_[A-Z_]+ ?)*$/,
    SystemCallArchitectures: /^native$/,
    SystemCallFilter: /^@[a-z-]+$/,
    SystemCallErrorNumber: /^E[A-Z]+$/,
  },
  Install: { WantedBy: /^[a-z-]+\.target$/ },
};

/** Reads a unit strictly: known sections and keys, each once, each value as systemd accepts it. */
function read(text: string): Readonly<Record<string, string>> {
  const values: Record<string, string> = {};
  let section = "";
  assert.ok(text.endsWith("\n"));
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const heading = /^\[([A-Za-z]+)\]$/.exec(line)?.[1];
    if (heading !== undefined) {
      assert.ok(heading in SYNTAX, line);
      section = heading;
      continue;
    }
    const [, key = "", value = ""] = /^([A-Za-z]+)=(.*)$/.exec(line) ?? assert.fail(line);
    const syntax = SYNTAX[section]?.[key] ?? assert.fail(`[${section}] ${line}`);
    assert.match(value, syntax, line);
    assert.equal(key in values, false, `${key} occurs once`);
    assert.ok(!line.endsWith("\\"), line);
    values[key] = value;
  }
  return values;
}

/** Splits and unescapes a line as systemd does; only command lines have variables. */
function words(line: string, kind: "command" | "list" = "command"): readonly string[] {
  return [...line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(([, quoted, bare]) => {
    const word = (quoted?.replace(/\\(.)/g, "$1") ?? bare ?? "").replaceAll("%%", "%");
    return kind === "command" ? word.replaceAll("$$", "$") : word;
  });
}

test("formatUnit() writes a unit that systemd can parse, with absolute paths", () => {
  const values = read(unit({
    bootstrapKubeconfig: ["bootstrap.kubeconfig"],
    serving: ["true"],
    servingDns: ["a.example,b.example"],
    servingIp: ["192.0.2.1"],
    duration: ["24h"],
    keyAlgorithm: ["ml-dsa-65"],
    signal: ["HUP:run/a.pid"],
    timeout: ["30m"],
  }));
  assert.deepEqual(words(values["ExecStart"] ?? ""), [
    ...["/usr/local/bin/tlsboot", "bootstrap", "--bootstrap-kubeconfig", "/instance/bootstrap.kubeconfig"],
    ...["--kubeconfig", "/instance/n1.conf", "--cert-dir", "/instance/pki", "--hostname-override", "n1"],
    ...["--serving", "--serving-dns", "a.example", "--serving-dns", "b.example", "--serving-ip", "192.0.2.1"],
    ...["--duration", "1d", "--key-algorithm", "ml-dsa-65"],
    ...["--rotate-certificates", "--timeout", "30m", "--signal", "SIGHUP:/instance/run/a.pid"],
  ]);
  assert.deepEqual(words(values["ReadWritePaths"] ?? ""), ["-/instance/pki", "-/instance"]);
  assert.equal(values["CapabilityBoundingSet"], "CAP_KILL");
  assert.equal(values["ProtectHome"], "yes");
});

test("formatUnit() starts the program that printed it, without the rights that it does not need", () => {
  const values = read(unit({}, { ...IO, execPath: "/opt/bin/tlsboot" }));
  assert.equal(words(values["ExecStart"] ?? "")[0], "/opt/bin/tlsboot");
  assert.equal(values["CapabilityBoundingSet"], "");
});

for (
  const [program, why] of [
    ["/tmp/tlsboot", /removed when the machine restarts/],
    ["/var/tmp/a/tlsboot", /removed when the machine restarts/],
    ["/root/tlsboot", /the unit hides that folder/],
    ["/home/jane/bin/tlsboot", /the unit hides that folder/],
    ["/run/user/1000/tlsboot", /the unit hides that folder/],
  ] as const
) {
  test(`formatUnit() refuses to start ${program}, and explains how to install it`, () => {
    assert.throws(() => unit({}, { ...IO, execPath: program }), (error) => {
      assert.ok(error instanceof UsageError);
      assert.match(error.message, why);
      assert.match(error.hint ?? "", new RegExp(`sudo install -m 755 ${program} /usr/local/bin/tlsboot;`));
      return true;
    });
  });
}

test("formatUnit() starts a program in a home folder if the unit does not hide that folder", () => {
  const values = read(unit({ certDir: ["/home/jane/pki"] }, { ...IO, execPath: "/home/jane/tlsboot" }));
  assert.equal(words(values["ExecStart"] ?? "")[0], "/home/jane/tlsboot");
});

test("formatUnit() repeats the server, the token file and the hashes of the CAs", () => {
  const hash = `sha256:${"0".repeat(64)}`;
  const values = read(unit({ server: ["10.0.0.1:6443"], tokenFile: ["token"], caCertHash: [hash] }));
  assert.ok(
    values["ExecStart"]?.includes(
      `--server https://10.0.0.1:6443 --token-file /instance/token --ca-cert-hash ${hash} `,
    ),
  );
});

test("formatUnit() gives a program that proves its identity by the TPM no other device", () => {
  const hash = `sha256:${"0".repeat(64)}`;
  const flags = { attest: ["tpm"], server: ["10.0.0.1:6443"], caCertHash: [hash] };
  const values = read(unit(flags, IO, "tss"));
  assert.equal(values["DeviceAllow"], "/dev/tpmrm0 rw");
  assert.equal(values["SupplementaryGroups"], "tss");
  assert.equal(values["PrivateDevices"], undefined);
  assert.ok(values["ExecStart"]?.includes(` --attest tpm `), values["ExecStart"]);
  assert.equal(read(unit(flags))["SupplementaryGroups"], undefined);
  assert.equal(read(unit({ ...flags, proofFrom: ["/dev/tpm0"] }))["DeviceAllow"], "/dev/tpm0 rw");
  assert.equal(read(unit({ ...flags, attest: ["ssh"] }))["PrivateDevices"], "yes");
});

for (const odd of ["two words", 'a"quote', "a\\b", "100%", "$HOME", "a;b", "ü"]) {
  test(`formatUnit() keeps ${JSON.stringify(odd)} unchanged`, () => {
    const values = read(unit({ certDir: [`/x/${odd}`], exec: [`echo ${odd} "$TLSBOOT_CHANGED"`] }));
    const all = words(values["ExecStart"] ?? "");
    assert.equal(all[all.indexOf("--cert-dir") + 1], `/x/${odd}`);
    assert.equal(all[all.indexOf("--exec") + 1], `echo ${odd} "$TLSBOOT_CHANGED"`);
    assert.equal(words(values["ReadWritePaths"] ?? "", "list")[0], `-/x/${odd}`);
    assert.equal(values["CapabilityBoundingSet"], undefined, "a shell command may need any capability");
  });
}

test("formatUnit() does not hide homes and temporary folders that it works in", () => {
  assert.equal(read(unit({ certDir: ["/home/a/pki"] }))["ProtectHome"], undefined);
  assert.equal(read(unit({ bootstrapKubeconfig: ["/root/b"] }))["ProtectHome"], undefined);
  assert.equal(read(unit({ certDir: ["/tmp/pki"] }))["PrivateTmp"], "no");
  assert.equal(read(unit({ signal: ["HUP:/run/user/1000/a.pid"] }))["ProtectHome"], undefined);
  assert.equal(read(unit({ signal: ["HUP:/tmp/a.pid"] }))["PrivateTmp"], "no");
});

for (
  const { name, flags } of [
    { name: "a token", flags: { token: ["abcdef.0123456789abcdef"] } },
    { name: "a line break", flags: { certDir: ["/x\n[Service]"] } },
  ]
) {
  test(`formatUnit() refuses ${name}`, () => {
    assert.throws(() => unit(flags), (error) => error instanceof Error && !error.message.includes("0123456789abcdef"));
  });
}
