import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { COMMAND_TABLE } from "../../cli/commands/mod.ts";
import { GLOBAL_FLAGS } from "../../cli/framework/command.ts";
import { flagName } from "../../cli/framework/flags.ts";
import { run } from "../../cli/run.ts";
import { createCapturedIo } from "../support/captured_io.ts";
import { runCaptured } from "../support/run_captured.ts";
import { createTempFolder } from "../support/temp.ts";

/** The expected properties of every command in the table. */
const CONTRACT: readonly { readonly command: string; readonly flags: readonly string[] }[] = [
  { command: "demo", flags: ["nodes", "data-dir", "explain", "ui", "ui-port", "keep", "step"] },
  {
    command: "up",
    flags: [
      "data-dir",
      "bind-address",
      "secure-port",
      "advertise-address",
      "tls-san",
      "auto-approve",
      "ui",
      "ui-port",
      "policy",
      "inventory",
      "feature-gates",
    ],
  },
  {
    command: "serve",
    flags: [
      "feature-gates",
      "bind-address",
      "secure-port",
      "tls-cert-file",
      "tls-private-key-file",
      "client-ca-file",
      "token-auth-file",
      "enable-bootstrap-token-auth",
      "anonymous-auth",
      "authorization-mode",
      ...["audit-log-path", "audit-policy-file", "audit-log-maxsize", "audit-log-maxage", "audit-log-maxbackup"],
      ...[
        "audit-log-compress",
        "audit-log-format",
        "audit-log-mode",
        "storage-quota",
        "storage-min-free",
        "logging-format",
        "v",
      ],
    ],
  },
  { command: "ui", flags: ["kubeconfig", "data-dir", "port", "open"] },
  { command: "csr export", flags: ["kubeconfig", "selector", "signer-name", "bundle-key", "qr"] },
  { command: "csr import", flags: ["kubeconfig", "bundle-key", "trust-signer", "leave-refused", "print-rbac"] },
  { command: "backup", flags: ["data-dir", "recipient", "passphrase-file", "identity", "verify", "force"] },
  { command: "restore", flags: ["data-dir", "passphrase-file", "identity", "force", "force-etcd"] },
  {
    command: "signer",
    flags: [
      ...["kubeconfig", "leader-elect", "cluster-signing-duration", "signer-name", "profile", "check", "print-rbac"],
      "feature-gates",
      "pod-certificates",
    ],
  },
  { command: "approver", flags: ["kubeconfig", "leader-elect", "policy", "inventory", "dry-run", "print-rbac"] },
  { command: "approver explain", flags: ["policy", "inventory", "nodes", "user", "group", "signer-name", "output"] },
  { command: "approver test", flags: ["output"] },
  { command: "approver clear", flags: ["kubeconfig", "data-dir"] },
  {
    command: "bootstrap",
    flags: [
      ...["bootstrap-kubeconfig", "kubeconfig", "cert-dir", "hostname-override", "rotate-certificates"],
      ...["server", "token", "token-file", "ca-cert-hash", "serving", "serving-dns", "serving-ip", "duration"],
      ...["key-algorithm", "feature-gates", "offline", "renew-before"],
      ...["status", "output", "exec", "signal", "print-systemd-unit"],
    ],
  },
  {
    command: "get csr",
    flags: [
      "pending",
      "sort-by",
      "no-headers",
      "output",
      "watch",
      "field-selector",
      "selector",
      "kubeconfig",
      "data-dir",
    ],
  },
  { command: "describe csr", flags: ["kubeconfig", "data-dir"] },
  {
    command: "get certificates",
    flags: [
      ...["output", "watch", "expires-within", "expired", "revoked", "signer", "subject", "name", "requester", "token"],
      ...["approved-by", "since", "sort-by", "no-headers", "issued-log", "kubeconfig", "data-dir"],
    ],
  },
  { command: "describe certificate", flags: ["issued-log", "kubeconfig", "data-dir"] },
  { command: "verify certificates", flags: ["ca-file", "kubeconfig", "data-dir"] },
  { command: "revoke", flags: ["reason", "message", "certificates", "yes", "kubeconfig", "data-dir"] },
  { command: "unrevoke", flags: ["kubeconfig", "data-dir"] },
  {
    command: "get revocations",
    flags: ["sort-by", "no-headers", "output", "watch", "field-selector", "selector", "kubeconfig", "data-dir"],
  },
  {
    command: "trust list",
    flags: ["sort-by", "no-headers", "output", "watch", "field-selector", "selector", "kubeconfig", "data-dir"],
  },
  {
    command: "trust fetch",
    flags: ["signer-name", "selector", "out", "watch", "exec", "kubeconfig", "data-dir"],
  },
  { command: "review", flags: ["kubeconfig", "data-dir", "policy", "inventory", "profile", "watch", "selector"] },
  { command: "approve", flags: ["reason", "message", "kubeconfig", "data-dir"] },
  { command: "deny", flags: ["reason", "message", "kubeconfig", "data-dir"] },
  { command: "delete csr", flags: ["kubeconfig", "data-dir"] },
  {
    command: "sign",
    flags: [
      ...["signer-name", "profile", "out", "force", "cluster-signing-cert-file", "feature-gates"],
      ...["server", "yes", "policy", "inventory"],
    ],
  },
  {
    command: "request",
    flags: [
      ...["signer-name", "subject", "dns", "ip", "uri", "email", "usage", "duration", "name", "key-type", "key", "out"],
      ...["offline", "ca-cert-hash"],
      "feature-gates",
      ...["timeout", "no-wait", "renew-before", "force", "output", "kubeconfig", "data-dir"],
    ],
  },
  { command: "ca init", flags: ["data-dir", "key-algorithm", "feature-gates"] },
  {
    command: "ca rotate",
    flags: ["now", "inventory", "out", "yes", "data-dir", "kubeconfig", "ca-passphrase-file", "signing-key-command"],
  },
  {
    command: "ca rotate begin",
    flags: ["cert-file", "key-file", "common-name", "duration", "key-algorithm", "data-dir", "kubeconfig"],
  },
  {
    command: "ca rotate status",
    flags: ["output", "wait", "data-dir", "kubeconfig", "cluster-signing-cert-file", "issued-log"],
  },
  { command: "ca rotate switch", flags: ["over", "data-dir", "kubeconfig", "cluster-signing-cert-file", "issued-log"] },
  {
    command: "ca rotate finish",
    flags: ["leave-behind", "data-dir", "kubeconfig", "cluster-signing-cert-file", "issued-log"],
  },
  {
    command: "ca rotate abort",
    flags: ["over", "leave-behind", "data-dir", "kubeconfig", "cluster-signing-cert-file", "issued-log"],
  },
  { command: "ca crl", flags: ["out", "output", "kubeconfig", "data-dir"] },
  { command: "ca show", flags: ["data-dir"] },
  { command: "ca request", flags: ["data-dir", "common-name", "key-algorithm", "out"] },
  {
    command: "ca ceremony",
    flags: ["out", "root-name", "root-duration", "root-cert", "root-key", "intermediate-csr", "shares", "threshold"],
  },
  { command: "ca trust", flags: ["data-dir", "certificate-authority", "server", "ca-cert-hash", "print"] },
  { command: "ca trust install", flags: ["data-dir", "certificate-authority", "server", "ca-cert-hash", "store"] },
  {
    command: "ca trust uninstall",
    flags: ["data-dir", "certificate-authority", "server", "ca-cert-hash", "store", "all"],
  },
  { command: "ca shares create", flags: ["data-dir", "shares", "threshold", "out"] },
  { command: "ca shares check", flags: ["data-dir", "key-file"] },
  { command: "ca shares combine", flags: ["ca-passphrase-share", "out"] },
  {
    command: "token create",
    flags: [
      ...[
        "ttl",
        "description",
        "groups",
        "usages",
        "print",
        "print-join-command",
        "server",
        "node",
        "uses",
        "cidr",
        "public-key",
      ],
      ...["approve", "for-inventory", "out"],
    ],
  },
  { command: "token list", flags: ["sort-by", "no-headers", "show-secrets", "output"] },
  { command: "token delete", flags: [] },
  { command: "join pack", flags: ["out", "server", "ttl", "uses", "cidr", "public-key", "approve"] },
  { command: "kubeconfig admin", flags: ["out", "server", "embed-certs"] },
  { command: "kubeconfig bootstrap", flags: ["out", "server", "token", "embed-certs"] },
  {
    command: "kubeconfig user",
    flags: [
      "role",
      "signer-name",
      "group",
      "ttl",
      "no-approve",
      "out",
      "server",
      "kubeconfig",
      "data-dir",
      "feature-gates",
    ],
  },
  { command: "inspect", flags: [] },
  {
    command: "doctor",
    flags: ["kubeconfig", "cert-dir", "bootstrap-kubeconfig", "cluster", "backup", "output", "out", "strict"],
  },
  { command: "completion", flags: [] },
  { command: "docs man", flags: [] },
  { command: "docs guide", flags: [] },
  { command: "docs mixin", flags: [] },
  { command: "docs licenses", flags: [] },
  { command: "upgrade", flags: ["release-key", "dry-run", "one-way"] },
  { command: "version", flags: ["output", "sbom"] },
];

const signal = new AbortController().signal;
const built = new Set(COMMAND_TABLE.commands.map((command) => command.path.join(" ")));

for (const { command, flags } of CONTRACT.filter((row) => built.has(row.command))) {
  test(`contract: "${command}" exists with its flags`, async () => {
    const io = createCapturedIo();
    assert.equal(await run([...command.split(" "), "--help"], io, signal), 0);
    for (const flag of flags) assert.match(io.stdoutText(), new RegExp(`--${flag}=`), flag);
    assert.match(io.stdoutText(), /\nExit Codes:\n {2}0 /);
  });

  test(`contract: "${command}" loads`, async () => {
    const found = COMMAND_TABLE.commands.find((item) => item.path.join(" ") === command);
    assert.equal(typeof (await found?.load())?.run, "function");
  });
}

for (const { command } of CONTRACT.filter((row) => !built.has(row.command))) {
  test(`contract: "${command}" is not built, so it is unknown and in no help`, async () => {
    const words = command.split(" ");
    const io = createCapturedIo();
    assert.equal(await run(words, io, signal), 2);
    assert.match(io.stderrText(), /unknown command/);
    const help = createCapturedIo();
    assert.equal(await run([...words.slice(0, -1), "--help"], help, signal), 0);
    assert.doesNotMatch(help.stdoutText(), new RegExp(`^ {2}${words[words.length - 1]} `, "m"));
  });
}

test("contract: every command is in the design", () => {
  const known = new Set(CONTRACT.map((row) => row.command));
  assert.deepEqual([...built].filter((command) => !known.has(command)), []);
});

test("contract: a flag is a switch in every command or in none, and a letter stands for one flag", () => {
  const kinds = new Map<string, string>();
  const flags = [GLOBAL_FLAGS, ...COMMAND_TABLE.commands.map((command) => command.flags)].flatMap((set) =>
    Object.entries(set)
  );
  for (const [key, { placeholder, short }] of flags) {
    const facts = [[flagName(key), placeholder === undefined ? "switch" : "value"]];
    if (short !== undefined) facts.push([`-${short}`, flagName(key)]);
    for (const [name = "", kind = ""] of facts) {
      assert.equal(kinds.get(name) ?? kind, kind, name);
      kinds.set(name, kind);
    }
  }
});

test("a --config file has the flags of the running command, also those that others take on the command line only", async () => {
  await using folder = await createTempFolder();
  await writeFile(
    folder.join("role.yaml"),
    "apiVersion: tlsboot/v1alpha1\nkind: Config\nkubeconfig: cluster.kubeconfig\n",
  );
  for (const role of ["signer", "approver"]) {
    const { code, stderr } = await runCaptured([role, "--config", "role.yaml", "--print-rbac"], { cwd: folder.path });
    assert.deepEqual({ code, stderr }, { code: 0, stderr: "" }, role);
  }
  const { stderr } = await runCaptured(["bootstrap", "--config", "role.yaml"], { cwd: folder.path });
  assert.match(stderr, /--kubeconfig is for the command line only/);
});
