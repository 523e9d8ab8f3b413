import { parseNodeUser } from "../../kube/user.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseNodeName } from "../../machine/node_name.ts";
import { type BootstrapCommands, checkMachine, checkRenewedPair, type MachineEvidence } from "./machine.ts";

const nodeName = parseNodeName("n1");
assert.ok(nodeName.ok);
const NOW = new Date("2026-01-01T12:00:00Z");
const GOOD: MachineEvidence = {
  nodeName: nodeName.value,
  certDir: "n1/pki",
  kubeconfig: { path: "n1/kubeconfig", state: "valid" },
  client: { path: "n1/pki/a.pem", state: "valid" },
  hasLink: true,
  serving: undefined,
  secrets: [{ path: "n1/pki/a.pem", fault: undefined, ownerOf: undefined }],
  folders: [{ path: "n1/pki", writers: "none" }],
  strayTarget: undefined,
  server: { kind: "accepted", username: "system:node:n1", clock: { serverTime: NOW, ourTime: NOW } },
};

const WORDS: BootstrapCommands = {
  credentials: "files",
  line: (name, purpose) => `tlsboot bootstrap ${name}${purpose === undefined ? "" : ` ${purpose}`}`,
};

/** The first words of the command that replaces the pair, keeps it, or requests the first one. */
const FIXES = { again: "rm -f ", keep: "mv ", first: "tlsboot bootstrap n1" };

function clockAt(minutes: number): MachineEvidence["server"] {
  const ourTime = new Date(NOW.getTime() + minutes * 60_000);
  return { kind: "accepted", username: "system:node:n1", clock: { serverTime: NOW, ourTime } };
}

for (
  const { name, edit, isReady, problems } of [
    { name: "a machine that works", edit: {}, isReady: true, problems: [] },
    {
      name: "a server that does not report the user",
      edit: { server: { kind: "accepted", username: undefined } },
      isReady: true,
      problems: [],
    },
    {
      name: "a kubeconfig that is missing",
      edit: { kubeconfig: { path: "n1/kubeconfig", state: "missing" } },
      isReady: false,
      problems: ['error kubeconfig: there is no kubeconfig "n1/kubeconfig"'],
    },
    {
      name: "a broken pair, which the kubeconfig names",
      edit: {
        kubeconfig: { path: "n1/kubeconfig", state: "invalid", reason: "cannot use the pair", isOfPair: true },
        client: { path: "n1/pki/a.pem", state: "broken", reason: "no private key found" },
      },
      isReady: false,
      problems: ["error client-certificate: the client certificate n1/pki/a.pem is broken: no private key found"],
    },
    {
      name: "an expired pair",
      edit: { client: { path: "n1/pki/a.pem", state: "expired" } },
      isReady: false,
      problems: ["error client-certificate: the client certificate n1/pki/a.pem is expired"],
    },
    {
      name: "a serving pair for other names",
      edit: { serving: { path: "n1/pki/s.pem", state: "mismatched", reason: "it is not for n1" } },
      isReady: false,
      problems: [
        "error serving-certificate: the serving certificate n1/pki/s.pem is for other names: it is not for n1",
      ],
    },
    {
      name: "a valid serving pair",
      edit: { serving: { path: "n1/pki/s.pem", state: "valid" } },
      isReady: true,
      problems: [],
    },
    {
      name: "an unreachable server",
      edit: { server: { kind: "unreachable", reason: "connection refused" } },
      isReady: true,
      problems: [
        "warning server-access: the server could not be asked whether it still accepts this machine: connection refused",
      ],
    },
    {
      name: "a server with another CA",
      edit: { server: { kind: "untrusted", reason: "unknown authority", hint: "check the CA" } },
      isReady: false,
      problems: [
        "error server-access: unknown authority",
      ],
    },
    {
      name: "a server that refuses the certificate",
      edit: { server: { kind: "refused", reason: "Unauthorized" } },
      isReady: false,
      problems: ["error server-access: the server no longer accepts this machine's certificate: Unauthorized"],
    },
    {
      name: "a certificate of another node",
      edit: { server: { kind: "accepted", username: "system:node:n2" } },
      isReady: false,
      problems: ['error server-access: the server takes this machine for "system:node:n2", not for "system:node:n1"'],
    },
    {
      name: "a clock three hours behind",
      edit: { server: clockAt(-180) },
      isReady: false,
      problems: ["error clock: this machine's clock is 3h0m0s behind the server's, which says 2026-01-01T12:00:00Z"],
    },
    {
      name: "a clock ten minutes ahead",
      edit: { server: clockAt(10) },
      isReady: false,
      problems: ["error clock: this machine's clock is 10m0s ahead of the server's, which says 2026-01-01T12:00:00Z"],
    },
    {
      name: "a clock that differs as much as certificates tolerate",
      edit: { server: clockAt(5) },
      isReady: true,
      problems: [],
    },
    {
      name: "a key that others can read",
      edit: { secrets: [{ path: "n1/pki/a.pem", fault: "others may read it (mode 644)", ownerOf: undefined }] },
      isReady: false,
      problems: [
        'error secret-files: the secret in "n1/pki/a.pem" is not private: others may read it (mode 644); replace it if ' +
        "someone else may have read it",
      ],
    },
    {
      name: "a folder that every user may write to",
      edit: { folders: [{ path: "n1/pki", writers: "every user" }] },
      isReady: false,
      problems: ['error secret-folders: every user may write to "n1/pki" and can replace its keys'],
    },
    {
      name: "a folder for the group",
      edit: { folders: [{ path: "n1/pki", writers: "group" }] },
      isReady: true,
      problems: ['warning secret-folders: the group may write to "n1/pki" and can replace its keys'],
    },
    {
      name: "a copied folder",
      edit: {
        strayTarget: "/old/pki/a.pem",
        server: { kind: "refused", reason: "Unauthorized" },
        folders: [{ path: "n1/pki", writers: "group" }],
      },
      isReady: false,
      problems: [
        'warning copied-folder: "n1/pki" looks like a copy: its certificate is "/old/pki/a.pem", in the folder that it was copied from',
        "error server-access: the server no longer accepts this machine's certificate: Unauthorized",
        'warning secret-folders: the group may write to "n1/pki" and can replace its keys',
      ],
    },
  ] satisfies readonly {
    name: string;
    edit: Partial<MachineEvidence>;
    isReady: boolean;
    problems: readonly string[];
  }[]
) {
  test(`checkMachine() checks ${name}`, () => {
    const found = checkMachine({ ...GOOD, ...edit }, WORDS, "n1/pki")
      .filter(({ severity }) => severity === "error" || severity === "warning");
    assert.equal(!found.some(({ severity }) => severity === "error"), isReady);
    assert.deepEqual(found.map(({ severity, check, message }) => `${severity} ${check}: ${message}`), problems);
    for (const { fix, advice } of found) assert.notEqual(fix ?? advice ?? "", "");
  });
}

const UNTRUSTED = { kind: "untrusted", reason: "x", hint: "y" } as const;
const REFUSED = { kind: "refused", reason: "x" } as const;
const NOT_ASKED = { kind: "notAsked", reason: "x" } as const;
const UNREACHABLE = { kind: "unreachable", reason: "x" } as const;
const NO_KUBECONFIG = { kubeconfig: { path: "n1/kubeconfig", state: "missing" }, server: NOT_ASKED } as const;

for (
  const { name, edit, check, want } of [
    { name: "a refused pair", edit: { server: REFUSED }, check: "server-access", want: "again" },
    {
      name: "a pair that an unverified server refuses",
      edit: { server: REFUSED, isUnverified: true },
      check: "server-access",
      want: "keep",
    },
    { name: "a server that is not trusted", edit: { server: UNTRUSTED }, check: "server-access", want: "keep" },
    { name: "a kubeconfig that is missing", edit: NO_KUBECONFIG, check: "kubeconfig", want: "first" },
    {
      name: "a pair that is missing",
      edit: { ...NO_KUBECONFIG, client: { path: "c", state: "missing" } },
      check: "client-certificate",
      want: "first",
    },
    {
      name: "an expired pair",
      edit: { ...NO_KUBECONFIG, client: { path: "c", state: "expired" } },
      check: "client-certificate",
      want: "again",
    },
    {
      name: "an overdue renewal while the server is unreachable",
      edit: { server: UNREACHABLE, client: { path: "c", state: "renewalDue" } },
      check: "client-certificate",
      want: "keep",
    },
    {
      name: "an overdue renewal",
      edit: { client: { path: "c", state: "renewalDue" } },
      check: "client-certificate",
      want: "keep",
    },
    {
      name: "a pair for another name while the server is unreachable",
      edit: { server: UNREACHABLE, client: { path: "c", state: "mismatched" } },
      check: "client-certificate",
      want: undefined,
    },
  ] satisfies readonly {
    name: string;
    edit: Partial<MachineEvidence>;
    check: string;
    want: keyof typeof FIXES | undefined;
  }[]
) {
  test(`checkMachine() removes a pair only when it is lost or refused: ${name}`, () => {
    const found = checkMachine({ ...GOOD, ...edit }, WORDS, "n1/pki").find((one) => one.check === check);
    assert.ok(want === undefined ? found?.fix === undefined : found?.fix?.startsWith(FIXES[want]), found?.fix);
    if (want === undefined) assert.match(found?.advice ?? "", /the setting hostnameOverride/);
  });
}

test("checkMachine() returns the hint of an untrusted server if no command can be run unchanged", () => {
  const words = { ...WORDS, credentials: undefined };
  const findings = checkMachine({ ...GOOD, server: UNTRUSTED }, words, "n1/pki");
  assert.equal(findings.find(({ check }) => check === "server-access")?.advice, "y");
});

test("checkMachine() keeps a pair that the server did not see", () => {
  const server = { ...REFUSED, isAnonymous: true };
  const access = checkMachine({ ...GOOD, server }, WORDS, "n1/pki").find(({ check }) => check === "server-access");
  assert.equal(access?.fix, undefined);
  assert.match(access?.advice ?? "", /no proxy hides them/);
});

for (
  const { name, command, want } of [
    { name: "the command that made it", command: "tlsboot bootstrap x", want: { fix: "tlsboot bootstrap x" } },
    {
      name: "a command that reads a token",
      command: "tlsboot bootstrap --token - x",
      want: { advice: "give the token of the request on stdin to: tlsboot bootstrap --token - x" },
    },
    {
      name: "a command of an earlier build that reads a token",
      command: "tlsboot bootstrap --token '-'",
      want: { advice: "give the token of the request on stdin to: tlsboot bootstrap --token '-'" },
    },
    { name: "a new command where it is not known", command: undefined, want: { fix: "tlsboot bootstrap n1" } },
  ]
) {
  test(`checkMachine() continues a request that is waiting with ${name}`, () => {
    const client = { path: "c", state: "missing", waiting: { command } } as const;
    const findings = checkMachine({ ...GOOD, ...NO_KUBECONFIG, client }, WORDS, "n1/pki");
    const found = findings.find(({ check }) => check === "client-certificate");
    assert.equal(found?.message, "the client certificate c is missing: its request is waiting");
    assert.deepEqual({ fix: found?.fix, advice: found?.advice }, { fix: undefined, advice: undefined, ...want });
  });
}

test("checkMachine() skips the folder of a certificate that is missing", () => {
  const client = { path: "c", state: "missing" } as const;
  const [copied] = checkMachine({ ...GOOD, ...NO_KUBECONFIG, client }, WORDS, "n1/pki");
  assert.deepEqual([copied?.check, copied?.severity], ["copied-folder", "skipped"]);
});

test("checkRenewedPair() reports a kubeconfig that does not refer to the link", () => {
  const evidence = {
    kubeconfig: "n1/kubeconfig",
    link: "/n1/pki/kubelet-client-current.pem",
    hasLink: true,
    userName: "n1",
    isOneUser: true,
  };
  assert.deepEqual(checkRenewedPair({ ...evidence, named: "link" }), []);
  assert.deepEqual(checkRenewedPair({ ...evidence, named: "embedded", hasLink: false }), []);
  assert.match(checkRenewedPair({ ...evidence, named: "embedded" })[0]?.fix ?? "", /^sed -i /);
  assert.match(
    checkRenewedPair({ ...evidence, named: "/n1/pki/old.pem", isOneUser: false })[0]?.fix ?? "",
    /^kubectl config set-credentials n1 /,
  );
});

test("parseNodeUser() returns only the name in a node's common name", () => {
  assert.equal(parseNodeUser("system:node:n1"), "n1");
  for (const other of ["alice", "system:nodes", undefined]) assert.equal(parseNodeUser(other), undefined);
});
