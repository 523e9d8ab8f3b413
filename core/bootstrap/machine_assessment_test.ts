import assert from "node:assert/strict";
import { test } from "node:test";
import { assessMachine, type MachineEvidence, parseNodeCommonName } from "./machine_assessment.ts";
import { parseNodeName } from "./node_name.ts";

const nodeName = parseNodeName("n1");
assert.ok(nodeName.ok);
const NOW = new Date("2026-01-01T12:00:00Z");
const GOOD: MachineEvidence = {
  nodeName: nodeName.value,
  certDir: "n1/pki",
  kubeconfigState: "valid",
  clientState: "valid",
  servingState: undefined,
  secrets: [{ path: "n1/pki/a.pem", fault: undefined }],
  folderWriters: "none",
  strayTarget: undefined,
  server: { kind: "accepted", username: "system:node:n1", clock: { serverTime: NOW, ourTime: NOW } },
};

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
    { name: "a kubeconfig that is missing", edit: { kubeconfigState: "missing" }, isReady: false, problems: [] },
    { name: "an expired pair", edit: { clientState: "expired" }, isReady: false, problems: [] },
    { name: "a serving pair for other names", edit: { servingState: "mismatched" }, isReady: false, problems: [] },
    { name: "a valid serving pair", edit: { servingState: "valid" }, isReady: true, problems: [] },
    {
      name: "a server that is away",
      edit: { server: { kind: "unreachable", reason: "connection refused" } },
      isReady: true,
      problems: [
        "warning server: the server could not be asked whether it still accepts this machine: connection refused",
      ],
    },
    {
      name: "a server with another CA",
      edit: { server: { kind: "untrusted", reason: "unknown authority", hint: "check the CA" } },
      isReady: false,
      problems: [
        "fault server: unknown authority",
      ],
    },
    {
      name: "a server that refuses the certificate",
      edit: { server: { kind: "refused", reason: "Unauthorized" } },
      isReady: false,
      problems: ["fault server: the server no longer accepts this machine's certificate: Unauthorized"],
    },
    {
      name: "a certificate of another node",
      edit: { server: { kind: "accepted", username: "system:node:n2" } },
      isReady: false,
      problems: ['fault server: the server takes this machine for "system:node:n2", not for "system:node:n1"'],
    },
    {
      name: "a clock three hours behind",
      edit: { server: clockAt(-180) },
      isReady: false,
      problems: ["fault clock: this machine's clock is 3h0m0s behind the server's, which says 2026-01-01T12:00:00Z"],
    },
    {
      name: "a clock ten minutes ahead",
      edit: { server: clockAt(10) },
      isReady: false,
      problems: ["fault clock: this machine's clock is 10m0s ahead of the server's, which says 2026-01-01T12:00:00Z"],
    },
    {
      name: "a clock that differs as much as certificates tolerate",
      edit: { server: clockAt(5) },
      isReady: true,
      problems: [],
    },
    {
      name: "a key that others can read",
      edit: { secrets: [{ path: "n1/pki/a.pem", fault: "others may read it (mode 644)" }] },
      isReady: false,
      problems: ['fault secret: the private key in "n1/pki/a.pem" is not private: others may read it (mode 644)'],
    },
    {
      name: "a folder that every user may write to",
      edit: { folderWriters: "every user" },
      isReady: false,
      problems: ['fault folder: every user may write to "n1/pki", and so put another key there'],
    },
    {
      name: "a folder for the group",
      edit: { folderWriters: "group" },
      isReady: true,
      problems: ['warning folder: the group may write to "n1/pki", and so put another key there'],
    },
    {
      name: "a copied folder, and faults before warnings",
      edit: {
        strayTarget: "/old/pki/a.pem",
        server: { kind: "refused", reason: "Unauthorized" },
        folderWriters: "group",
      },
      isReady: false,
      problems: [
        "fault server: the server no longer accepts this machine's certificate: Unauthorized",
        'warning folder: the group may write to "n1/pki", and so put another key there',
        'warning copy: "n1/pki" looks like a copy: its certificate is "/old/pki/a.pem", in the folder that it was copied from',
      ],
    },
  ] satisfies readonly {
    name: string;
    edit: Partial<MachineEvidence>;
    isReady: boolean;
    problems: readonly string[];
  }[]
) {
  test(`assessMachine() assesses ${name}`, () => {
    const found = assessMachine({ ...GOOD, ...edit }, "tlsboot bootstrap");
    assert.equal(found.isReady, isReady);
    assert.deepEqual(
      found.problems.map(({ severity, subject, message }) => `${severity} ${subject}: ${message}`),
      problems,
    );
    for (const { fix } of found.problems) assert.notEqual(fix, "");
  });
}

test("assessMachine() puts the command into the fixes that need a new certificate", () => {
  for (const kind of ["untrusted", "refused"] as const) {
    const [problem] =
      assessMachine({ ...GOOD, server: { kind, reason: "x", hint: "y" } }, "tlsboot bootstrap --x").problems;
    assert.match(problem?.fix ?? "", /: tlsboot bootstrap --x$/);
  }
});

test("findNodeName() returns only the name in a node's common name", () => {
  assert.equal(parseNodeCommonName("system:node:n1"), "n1");
  for (const other of ["alice", "system:nodes", undefined]) assert.equal(parseNodeCommonName(other), undefined);
});
