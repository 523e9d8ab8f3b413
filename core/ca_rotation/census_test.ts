import { test } from "node:test";
import { createRecords, type RecordEdit } from "../../tests/support/issued_records.ts";
import { createTestAuthority } from "../../tests/support/test_authority.ts";
import type {
  CaRotation,
  CaRotationSpec,
  CaRotationStatus,
  CaRotationStep,
  TrustReport,
} from "../kube/kinds/tlsboot_v1alpha1.ts";
import { formatName } from "../pki/x509/names.ts";
import {
  Census,
  type CensusRow,
  type ClusterPlace,
  countStates,
  describeState,
  isNamed,
  takePlaceCensus,
} from "./census.ts";
import assert from "node:assert/strict";
import type { RotatedCa } from "./rotation_rules.ts";

const BEGAN = "2026-06-01T00:00:00Z";
const NOW = new Date("2026-06-01T10:00:00Z");
const oldCa = await createTestAuthority();
const newCa = await createTestAuthority();
const OLD = oldCa.certificate.sha256Fingerprint;
const NEW = newCa.certificate.sha256Fingerprint;

function createRotation(edit: Partial<CaRotationSpec> = {}, name = "ca"): CaRotation {
  return {
    metadata: { name },
    spec: { step: "Switch", oldCA: oldCa.certificatePem, newCA: newCa.certificatePem, ...edit },
    status: { beganAt: BEGAN },
  };
}

/** A certificate of a node for the API, by default of the old CA, from before the rotation. */
function client(node: string, edit: RecordEdit = {}): RecordEdit {
  return { ...USAGES, subject: `O=system:nodes,CN=system:node:${node}`, issuerFingerprint: OLD, ...edit };
}

const USAGES = { usages: ["digital signature", "client auth"] };
const RENEWED = { issuerFingerprint: NEW, issuedAt: "2026-06-01T08:00:00Z" };

function report(username: string, trusted: readonly string[], edit: Partial<TrustReport["status"]> = {}): TrustReport {
  return {
    metadata: { name: username },
    spec: { trusted },
    status: { username, reportedAt: "2026-06-01T01:00:00Z", ...edit },
  };
}

function take(
  records: readonly RecordEdit[],
  reports: readonly TrustReport[],
  rotation: CaRotation = createRotation(),
): readonly CensusRow[] {
  const census = new Census({ rotation, reports, now: NOW });
  for (const record of createRecords(records)) census.add(record);
  return census.take();
}

const N1 = "system:node:n1";
const DUE = { renewFrom: "2026-06-01T09:30:00Z", renewBy: "2026-06-01T10:30:00Z" };
const PAST = { renewFrom: "2026-06-01T08:30:00Z", renewBy: "2026-06-01T09:30:00Z" };

for (
  const { name, records, reports = [], spec = {}, ca, want } of [
    {
      name: "trusts both and has a certificate of the new CA",
      records: [client("n1"), client("n1", RENEWED)],
      reports: [report(N1, [OLD, NEW])],
      want: "ready",
    },
    {
      name: "trusts both, and renews by itself until a time that is to come",
      records: [client("n1")],
      reports: [report(N1, [OLD, NEW])],
      spec: DUE,
      want: "trusts both, renewal due",
    },
    {
      name: "trusts both, and has not renewed in time",
      records: [client("n1")],
      reports: [report(N1, [OLD, NEW])],
      spec: PAST,
      want: "old certificate until 2027-01-01T00:00:00Z",
    },
    {
      name: "has renewed, and still trusts the old CA only",
      records: [client("n1", RENEWED)],
      reports: [report(N1, [OLD])],
      want: "has not reported that it trusts the new CA",
    },
    {
      name: "was seen and has reported nothing",
      records: [client("n1")],
      reports: [{ ...report(N1, []), spec: {}, status: { username: N1, lastSeen: "2026-06-01T02:00:00Z" } }],
      want: "has not reported that it trusts the new CA",
    },
    {
      name: "was last seen before the rotation",
      records: [client("n1")],
      reports: [report(N1, [OLD], { reportedAt: "2026-05-01T00:00:00Z" })],
      want: "not seen since 2026-05-01T00:00:00Z",
    },
    {
      name: "was never seen",
      records: [client("n1", { issuedAt: "2026-02-01T00:00:00Z" })],
      want: "not seen since 2026-02-01T00:00:00Z",
    },
    {
      name: "has learnt to trust the new CA, before the switch",
      records: [client("n1")],
      reports: [report(N1, [OLD, NEW])],
      spec: { step: "Trust" as const },
      want: "ready",
    },
    {
      name: "does not trust the new CA yet, before the switch",
      records: [client("n1")],
      reports: [report(N1, [OLD])],
      spec: { step: "Trust" as const },
      want: "has not reported that it trusts the new CA",
    },
    {
      name: "has a serving certificate of the old CA and a renewed one for the API",
      records: [
        client("n1", { usages: ["server auth"], signerName: "kubernetes.io/kubelet-serving" }),
        client("n1", RENEWED),
      ],
      reports: [report(N1, [OLD, NEW])],
      want: "old certificate until 2027-01-01T00:00:00Z",
    },
    {
      name: "is seen with the certificate of the old CA after it got one of the new",
      records: [client("n1"), client("n1", RENEWED)],
      reports: [report(N1, [OLD, NEW], { issuer: OLD, lastSeen: "2026-06-01T09:00:00Z" })],
      want: "old certificate until 2027-01-01T00:00:00Z",
    },
    {
      name: "was seen with the certificate of the old CA before it got one of the new",
      records: [client("n1"), client("n1", RENEWED)],
      reports: [report(N1, [OLD, NEW], { issuer: OLD, lastSeen: "2026-06-01T07:59:59Z" })],
      want: "ready",
    },
    {
      name: "has a kubeconfig that the instance wrote after the start",
      records: [
        {
          ...client("n1", RENEWED),
          source: "kubeconfig",
          subject: "O=system:masters,CN=kubernetes-admin",
        } as const,
      ],
      want: "ready",
    },
    {
      name: "needs only the certificate where the CA is not the server's",
      records: [client("n1"), client("n1", RENEWED)],
      ca: "kubelet-client-ca",
      want: "ready",
    },
    {
      name: "needs only the trust where the CA issues no clients",
      records: [client("n1", { issuerFingerprint: "f".repeat(64) })],
      reports: [report(N1, [OLD, NEW])],
      want: "ready",
    },
    {
      name: "has a certificate of the new CA after the rotation was aborted",
      records: [client("n1"), client("n1", RENEWED)],
      reports: [report(N1, [OLD, NEW])],
      spec: { step: "Trust" as const, ...DUE },
      want: "trusts both, renewal due",
    },
    {
      name: "has joined again after the key had leaked",
      records: [client("n1"), client("n1", RENEWED)],
      spec: { isLeaked: true },
      want: "ready",
    },
    {
      name: "has not joined again after the key had leaked",
      records: [client("n1", { issuedAt: "2026-02-01T00:00:00Z" })],
      spec: { isLeaked: true },
      want: "not seen since 2026-02-01T00:00:00Z",
    },
  ]
) {
  test(`Census finds the state of a machine: ${name}`, () => {
    const [row, ...others] = take(records, reports, createRotation(spec, ca));
    assert.ok(row !== undefined && others.length === 0);
    assert.equal(describeState(row), want);
    assert.equal(row.losesAccess, want !== "ready");
  });
}

test("Census counts an intermediate CA until the new CA has signed it", () => {
  const subject = { subject: "CN=site-ca", usages: ["cert sign"], isCA: true };
  const [row] = take([{ ...subject, issuerFingerprint: OLD }], []);
  assert.deepEqual([row?.kind, row?.name, row?.state, row?.losesAccess], [
    "certificate",
    "CN=site-ca",
    "oldCertificate",
    true,
  ]);
  assert.match(row?.command ?? "", /tlsboot ca sign/);
  const [signed] = take([{ ...subject, issuerFingerprint: OLD }, { ...subject, ...RENEWED }], []);
  assert.equal(signed?.state, "ready");
});

test("Census does not count certificates that are useless, from the new CA, or of servers", () => {
  const rows = take([
    client("n1", { notAfter: "2026-06-01T09:59:59Z" }),
    client("n2", { status: { revocation: { name: "node:n2", reason: "unspecified", time: BEGAN } } }),
    { subject: formatName(newCa.certificate.subject), usages: ["cert sign"], isCA: true, issuerFingerprint: OLD },
    { subject: "CN=tlsboot", source: "serving", usages: ["server auth"], issuerFingerprint: OLD },
    { subject: "CN=other", usages: ["server auth"], issuerFingerprint: "f".repeat(64) },
  ], []);
  assert.deepEqual(rows, []);
});

const RUN_BOOTSTRAP = "tlsboot bootstrap --kubeconfig /etc/kubernetes/kubelet.conf --cert-dir /var/lib/kubelet/pki";

test("Census gives each machine a token after the key has leaked, because its certificate is useless", () => {
  const [row] = take([client("n1")], [], createRotation({ isLeaked: true }));
  assert.equal(row?.command, "tlsboot token create --node n1 --approve -o command");
});

test("Census also has a command for a machine whose renewal is due, because its kubelet may not renew early", () => {
  const [row] = take([client("n1")], [report(N1, [OLD, NEW])], createRotation(DUE));
  assert.deepEqual([row?.state, row?.command], ["renewalDue", RUN_BOOTSTRAP]);
});

test("Census lists each machine and user with the command that makes it ready, the unready ones first", () => {
  const rows = take(
    [
      client("n10"),
      client("n2"),
      client("n3", RENEWED),
      client("n4"),
      { ...client(""), subject: "O=dev,O=on call,CN=alice" },
      { ...client(""), subject: "O=system:masters,CN=ops" },
      { ...client(""), subject: "CN=system:kube-scheduler", serialNumber: "0def" },
      { subject: "CN=web.example.org", usages: ["server auth"], issuerFingerprint: OLD, serialNumber: "0abc" },
    ],
    [report("system:node:n3", [OLD, NEW]), report("system:node:n4", [OLD])],
    createRotation({ leftBehind: ["node/n10", "alice"] }),
  );
  assert.deepEqual(rows.map(({ kind, name, isLeftBehind, command }) => [kind, name, isLeftBehind, command]), [
    ["user", "alice", true, "tlsboot kubeconfig user alice --group dev --group 'on call' --force"],
    ["node", "n2", false, RUN_BOOTSTRAP],
    ["node", "n10", true, RUN_BOOTSTRAP],
    ["user", "ops", false, "tlsboot kubeconfig admin --user ops --out ops.kubeconfig --force"],
    ["user", "system:kube-scheduler", false, "tlsboot describe certificate 0def"],
    ["node", "n4", false, RUN_BOOTSTRAP],
    ["certificate", "CN=web.example.org", false, "tlsboot describe certificate 0abc"],
    ["node", "n3", false, undefined],
  ]);
  assert.deepEqual([...countStates(rows)], [
    ["notSeen", 5],
    ["doesNotTrust", 1],
    ["oldCertificate", 1],
    ["unknownCertificate", 0],
    ["trustsNewOnly", 0],
    ["trustsOld", 0],
    ["renewalDue", 0],
    ["ready", 1],
  ]);
});

test("Census identifies a holder by the user of its certificate, whatever else the subject has", () => {
  const rows = take([
    client("n1", { subject: "CN=system:node:n1,C=,O=system:nodes,OU=ok", serialNumber: "01" }),
    client("n1", { ...RENEWED, subject: "CN=system:node:n1,O=system:nodes", serialNumber: "02" }),
    client("", { subject: "CN=al,O=,O=grp", serialNumber: "03" }),
    client("", { subject: "CN=a,CN=b", serialNumber: "04" }),
  ], []);
  // A certificate of an unknown user is a row too.
  assert.deepEqual(
    rows.map(({ kind, name }) => [kind, name]).toSorted(),
    [["certificate", "CN=a,CN=b"], ["node", "n1"], ["user", "al"]],
  );
  assert.equal(rows.find(({ name }) => name === "n1")?.certificateUntil, undefined);
});

test("Census does not count clients of a CA that is no longer trusted", () => {
  const other = "f".repeat(64);
  const rows = (clientCas: ReadonlySet<string>) => {
    const census = new Census({ rotation: createRotation(), reports: [], now: NOW, clientCas });
    for (const record of createRecords([client("n1"), client("n2", { issuerFingerprint: other })])) census.add(record);
    return census.take().map(({ name }) => name);
  };
  assert.deepEqual(rows(new Set([OLD, NEW])), ["n1"]);
  assert.deepEqual(rows(new Set([OLD, NEW, other])), ["n1", "n2"]);
});

test("isNamed() accepts every form of the name of a machine or a user", () => {
  const node = { kind: "node", name: "n7" } as const;
  for (const typed of ["n7", "node/n7", "system:node:n7"]) assert.ok(isNamed(node, typed), typed);
  for (const typed of ["n70", "user/n7", ""]) assert.ok(!isNamed(node, typed), typed);
});

test("Census handles 10,000 machines with three certificates each", () => {
  const records = Array.from(
    { length: 10_000 },
    (_, n) => [client(`n${n}`), client(`n${n}`), client(`n${n}`, RENEWED)],
  );
  const rows = take(records.flat(), [report(N1, [OLD, NEW])]);
  assert.equal(rows.length, 10_000);
  assert.equal(countStates(rows).get("ready"), 1);
});

const LATER = "2027-01-01T00:00:00Z";
const trust = (...trusted: readonly RotatedCa[]): ClusterPlace => ({ kind: "place", name: "it", trusted, fix: "do" });
const certificate = (issuer: RotatedCa | undefined, notAfter = LATER): ClusterPlace => ({
  ...{ kind: "node", name: "n1", issuer, fix: "do" },
  notAfter: new Date(notAfter),
});

/** After an abort, a file keeps the time of the switch. */
const ABORTED: Partial<CaRotationStatus> = { switchedAt: "2026-11-25T10:00:00Z" };

for (
  const { step, status = {}, place, want } of [
    { step: "Trust", place: trust("old"), want: "does not trust the new CA, loses access: do" },
    { step: "Trust", place: trust("old", "new"), want: "ready" },
    { step: "Trust", place: trust("new"), want: "trusts the new CA only: do" },
    { step: "Switch", place: trust("new"), want: "ready" },
    { step: "Finish", place: trust("old", "new"), want: "still trusts the old CA: do" },
    { step: "Finish", place: trust("new"), want: "ready" },
    { step: "Finish", place: trust(), want: "does not trust the new CA, loses access: do" },
    { step: "Trust", place: certificate("old"), want: "ready" },
    { step: "Switch", place: certificate("old"), want: `old certificate until ${LATER}, loses access: do` },
    { step: "Switch", place: certificate("old", NOW.toISOString()), want: "" },
    { step: "Switch", place: certificate("new"), want: "ready" },
    { step: "Switch", place: certificate(undefined), want: "no certificate known, loses access: do" },
    { step: "Trust", status: ABORTED, place: trust("new"), want: "trusts the new CA only, loses access: do" },
    { step: "Trust", status: ABORTED, place: trust("old", "new"), want: "ready" },
    {
      step: "Trust",
      status: ABORTED,
      place: certificate("new"),
      want: `old certificate until ${LATER}, loses access: do`,
    },
    { step: "Trust", status: ABORTED, place: certificate("new", NOW.toISOString()), want: "" },
    { step: "Trust", status: ABORTED, place: certificate("old"), want: "ready" },
    { step: "Trust", status: ABORTED, place: certificate(undefined), want: "ready" },
  ] satisfies readonly {
    step: CaRotationStep;
    status?: Partial<CaRotationStatus>;
    place: ClusterPlace;
    want: string;
  }[]
) {
  test(`takePlaceCensus() in ${step}${status === ABORTED ? " after an abort" : ""}: ${JSON.stringify(place)}`, () => {
    const rotation: CaRotation = {
      metadata: { name: "ca" },
      spec: { step, oldCA: "", newCA: "" },
      status: { beganAt: "2026-11-25T09:00:00Z", ...status },
    };
    const text = takePlaceCensus([place], rotation, NOW).map((row) =>
      `${describeState(row)}${row.losesAccess ? ", loses access" : ""}${
        row.command === undefined ? "" : `: ${row.command}`
      }`
    );
    assert.equal(text.join(), want);
  });
}
