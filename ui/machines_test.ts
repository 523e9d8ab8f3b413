import assert from "node:assert/strict";
import { test } from "node:test";
import { createRecords, type RecordEdit } from "../tests/support/issued_records.ts";
import { listMachines, type MachinesInput } from "./machines.ts";
import { addReplacement, type RecordRow, type Replacements, toRow } from "../core/report/record_rows.ts";

const NOW = new Date("2026-06-01T00:00:00Z");

function createRows(edits: readonly RecordEdit[]): readonly RecordRow[] {
  const records = createRecords(edits);
  const replacements: Replacements = new Map();
  for (const record of records) addReplacement(replacements, record);
  return records.map((record) => toRow(record, replacements, NOW));
}

const USER = "system:node:n1";
const REVOKED = { revocation: { name: "node:n1", reason: "keyCompromise", time: "2026-02-01T00:00:00Z" } };

for (
  const { name, edits, input, want } of [
    { name: "valid", edits: [{}], want: "valid" },
    {
      name: "past the time at which a kubelet renews",
      edits: [{ notBefore: "2025-06-04T00:00:00Z", notAfter: "2026-06-04T00:00:00Z" }],
      want: "late",
    },
    { name: "expired", edits: [{ notAfter: "2026-05-31T00:00:00Z" }], want: "expired" },
    { name: "revoked", edits: [{ status: REVOKED }], want: "revoked" },
    {
      name: "valid again after a revocation",
      edits: [{ status: REVOKED }, { subject: `O=system:nodes,CN=${USER}` }],
      want: "valid",
    },
    {
      name: "valid although an older certificate was revoked after it",
      edits: [{}, { subject: `O=system:nodes,CN=${USER}`, status: REVOKED }],
      want: "valid",
    },
    { name: "a Node without a certificate", edits: [], input: { nodes: [{ name: "n1" }] }, want: "none" },
    {
      name: "waiting for a decision",
      edits: [],
      input: { requests: [{ name: "csr-1", node: "n1", createdAt: undefined, isPending: true, isOwn: false }] },
      want: "waiting",
    },
  ] satisfies readonly { name: string; edits: RecordEdit[]; input?: Partial<MachinesInput>; want: string }[]
) {
  test(`listMachines() finds the state: ${name}`, () => {
    const machines = listMachines({ rows: createRows(edits), ...input, now: NOW });
    assert.deepEqual(machines.map(({ name, state }) => [name, state]), [["n1", want]]);
  });
}

test("listMachines() gives a machine all its certificates, its token, and its serving certificate, but not those of others", () => {
  const serving = {
    signerName: "kubernetes.io/kubelet-serving",
    subject: `O=system:nodes,CN=${USER}`,
    usages: ["server auth"],
    requester: { username: USER },
  };
  const [machine, ...others] = listMachines({
    rows: createRows([
      {
        requester: {
          username: "system:bootstrap:abcdef",
          tokenID: "abcdef",
          attested: "ssh SHA256:abc 2026-12-02T01:00:00Z",
        },
        usages: ["client auth"],
      },
      serving,
      { subject: "CN=web", signerName: "example.com/web", requester: { username: USER } },
      { subject: "CN=jane", signerName: "kubernetes.io/kube-apiserver-client" },
      { subject: "CN=system:node:n1", signerName: "example.com/web" },
    ]),
    tokens: [{ id: "abcdef", node: "n1" }, { id: "bbbbbb", node: "n1" }, { id: "cccccc" }],
    now: NOW,
  });
  assert.deepEqual(others, []);
  assert.deepEqual(machine?.certificates.map(({ record }) => record.spec.sequence), [3, 2, 1]);
  assert.equal(machine?.tokenID, "abcdef");
  assert.equal(machine?.proof, "SSH host key SHA256:abc, proven at 2026-12-02T01:00:00Z");
  assert.deepEqual(machine?.boundTokens, ["bbbbbb"]);
});

test("listMachines() finds the last contact in all sources, and sorts names in natural order", () => {
  const machines = listMachines({
    rows: createRows([{ subject: "O=system:nodes,CN=system:node:n10" }, {
      subject: "O=system:nodes,CN=system:node:n2",
      requester: { username: "system:node:n2" },
      issuedAt: "2026-03-01T00:00:00Z",
    }]),
    nodes: [{ name: "n10", heartbeatAt: "2026-05-01T00:00:00Z" }],
    leases: new Map([["n10", "2026-05-02T00:00:00.000000Z"], ["elsewhere", "2026-05-02T00:00:00Z"]]),
    seenUsers: new Map([["system:node:n2", "2026-02-01T00:00:00Z"], ["jane", "2026-05-30T00:00:00Z"]]),
    now: NOW,
  });
  assert.deepEqual(machines.map(({ name, lastContact }) => [name, lastContact?.how]), [
    ["n2", "requested a certificate"],
    ["n10", "renewed its lease"],
  ]);
});

test("listMachines() includes web servers, with the certificates that they requested", () => {
  const username = "tlsboot:web:nas.home.lan";
  const [machine, ...others] = listMachines({
    rows: createRows([
      {
        subject: `CN=${username},O=tlsboot:web`,
        signerName: "kubernetes.io/kube-apiserver-client",
        requester: { username: "system:bootstrap:abcdef", tokenID: "abcdef" },
        usages: ["client auth"],
      },
      {
        subject: "CN=nas.home.lan",
        dnsNames: ["nas.home.lan"],
        signerName: "tlsboot.local/web",
        requester: { username },
        usages: ["server auth"],
        notAfter: "2026-06-02T00:00:00Z",
      },
      { subject: "CN=tlsboot:web:evil.home.lan", requester: { username: "jane" } },
    ]),
    seenUsers: new Map([[username, "2026-05-30T00:00:00Z"]]),
    now: NOW,
  });
  assert.deepEqual(others, []);
  assert.deepEqual([machine?.name, machine?.state, machine?.certificates.length, machine?.tokenID], [
    "nas.home.lan",
    "valid",
    2,
    "abcdef",
  ]);
  assert.deepEqual(machine?.revocable, [`user/${username}`]);
  assert.equal(machine?.lastContact?.how, "was seen with its certificate");
});
