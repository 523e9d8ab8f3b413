import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { createSigningCa } from "../../tests/support/signing_ca.ts";
import { ElementBudget } from "../kube/wire/element_budget.ts";
import { issuedCertificateKind } from "../kube/kinds/mod.ts";
import type { ObjectSchema } from "../kube/schema.ts";
import type { IssuedCertificate, IssuedCertificateSpec, Revocation } from "../kube/kinds/tlsboot_v1alpha1.ts";
import { type CertificateFacts, parseCertificate } from "../pki/x509/certificate.ts";
import { encodeOid, encodeSequence, encodeSetOf, encodeText } from "../pki/asn1/der_writer.ts";
import { issueCertificate } from "../pki/authority/issue.ts";
import { generatePrivateKey } from "../pki/keys/keys.ts";
import { parseFormattedName } from "../pki/x509/names.ts";
import { RevocationIndex } from "../revocation/revocation_index.ts";
import { identifyCertificate, readIdentity, readSubjectText } from "./certificate_user.ts";
import {
  type CertificateDescription,
  createRecord,
  createRecordStatus,
  describeIssued,
  formatRecordName,
  getChainHash,
  hashRecord,
} from "./record.ts";
import { EARLIER_HEAD, EARLIER_RECORDS } from "./testdata/earlier_records.ts";
import { verifyRecords } from "./verify.ts";
import { decodeEnvelope } from "../kube/wire/protobuf_envelope.ts";
import { decodeMessage, encodeMessage } from "../kube/wire/protobuf.ts";
import fc from "../../tests/support/properties.ts";

const NOW = new Date("2026-11-28T02:00:00Z");
const ca = await createSigningCa();
const key = await generatePrivateKey("ecdsa-p256");
const OIDS = {
  CN: "2.5.4.3",
  SERIALNUMBER: "2.5.4.5",
  C: "2.5.4.6",
  O: "2.5.4.10",
  OU: "2.5.4.11",
  GN: "2.5.4.42",
  UID: "1.3.6.1.4.1.57683.2",
} as const;

/** One attribute of a subject, in a separate RDN. */
type Attribute = readonly [keyof typeof OIDS, string];

async function issue(...attributes: readonly Attribute[]): Promise<CertificateFacts> {
  const rdns = attributes.map(([type, value]) =>
    encodeSetOf([encodeSequence(encodeOid(OIDS[type]), encodeText(value))])
  );
  const der = await issueCertificate(
    {
      subject: {},
      subjectDer: encodeSequence(...rdns),
      publicKeyDer: key.publicKeyDer(),
      dnsNames: [],
      ipAddresses: [],
      emailAddresses: [],
      uris: [],
      notBefore: NOW,
      notAfter: new Date("2027-11-28T02:00:00Z"),
      usages: ["client auth"],
      isCa: false,
    },
    ca,
    Uint8Array.of(1, 2),
  );
  const facts = parseCertificate(der);
  assert.ok(facts.ok, facts.ok ? "" : facts.error);
  return facts.value;
}

function describe(facts: CertificateFacts): CertificateDescription {
  return describeIssued(facts, { source: "CertificateSigningRequest" });
}

function toRecord(facts: CertificateFacts, sequence = 1, previousHash?: string): IssuedCertificate {
  const description = describe(facts);
  const position = { sequence, issuedAt: NOW, ...(previousHash === undefined ? {} : { previousHash }) };
  return {
    metadata: { name: formatRecordName(sequence) },
    spec: createRecord(description, position),
    status: createRecordStatus(description),
  };
}

/** A record as an earlier build writes it, or leaves it in etcd when it changes the status. */
const asEarlier = ({ metadata, spec }: IssuedCertificate): IssuedCertificate => ({ metadata, spec, status: {} });

const NODE: readonly Attribute[] = [["CN", "system:node:m1"], ["O", "system:nodes"]];
const M1 = { username: "system:node:m1", groups: ["system:nodes"] };

for (
  const { name, attributes, want } of [
    { name: "a node", attributes: NODE, want: M1 },
    { name: "another order", attributes: NODE.toReversed(), want: M1 },
    { name: "OU=ok", attributes: [...NODE, ["OU", "ok"]], want: M1 },
    { name: "an empty OU", attributes: [["OU", ""], ...NODE], want: M1 },
    { name: "C=DE", attributes: [["C", "DE"], ...NODE], want: M1 },
    { name: "an empty C", attributes: [...NODE, ["C", ""]], want: M1 },
    { name: "serialNumber=5", attributes: [...NODE, ["SERIALNUMBER", "5"]], want: M1 },
    { name: "an empty serialNumber", attributes: [["SERIALNUMBER", ""], ...NODE], want: M1 },
    { name: "GN=x", attributes: [["GN", "x"], ...NODE], want: M1 },
    {
      name: "an empty organization first",
      attributes: [["O", ""], ["O", "grp"], ["CN", "al"]],
      want: { username: "al", groups: ["", "grp"] },
    },
    {
      name: "an empty organization last",
      attributes: [["CN", "al"], ["O", "grp"], ["O", ""]],
      want: { username: "al", groups: ["grp", ""] },
    },
    { name: "two common names", attributes: [["CN", "a"], ["CN", "b"]], want: { username: "b", groups: [] } },
    { name: "a uid", attributes: [["UID", "7"], ["CN", "al"]], want: { username: "al", groups: [] } },
    {
      name: "an injected attribute",
      attributes: [["CN", "al,O=system:masters"], ["O", "a+CN=b\\"]],
      want: { username: "al,O=system:masters", groups: ["a+CN=b\\"] },
    },
    { name: "an empty common name", attributes: [["CN", ""], ["O", "grp"]], want: { username: "", groups: ["grp"] } },
    { name: "no attribute", attributes: [], want: { username: "", groups: [] } },
  ] satisfies readonly { name: string; attributes: readonly Attribute[]; want: ReturnType<typeof readIdentity> }[]
) {
  test(`a record has the user of its certificate: ${name}`, async () => {
    const facts = await issue(...attributes);
    const record = toRecord(facts);
    assert.deepEqual(readIdentity(record), want);
    assert.deepEqual(readIdentity(asEarlier(record)), want, "in a record of an earlier build");
    const identified = identifyCertificate(facts);
    assert.equal(identified.kind, want.username === "" ? "none" : "user");
    if (identified.kind === "user") assert.deepEqual(pick(identified.user), want);
  });
}

function pick({ username, groups }: { readonly username: string; readonly groups: readonly string[] }) {
  return { username, groups };
}

/** Texts with characters that are escaped or look like an escape. */
const anyText = fc.oneof(
  fc.string({ unit: fc.constantFrom(...'ab,=+\\"<>;# \u0000\n\u0085\u2028é…0aCNO😀\ufeff') }),
  fc.string({ unit: "grapheme" }),
  fc.constantFrom("", " ", "#", "\\", "\\,", "CN=x", "O=", "system:node:n1"),
);
const anyAttribute: fc.Arbitrary<Attribute> = fc.tuple(
  fc.constantFrom(...Object.keys(OIDS) as (keyof typeof OIDS)[]),
  anyText,
);

test("a record of any certificate has the authenticated user, also when an earlier build wrote it", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyAttribute, { maxLength: 6 }), async (attributes) => {
      const facts = await issue(...attributes);
      const record = toRecord(facts);
      const identified = identifyCertificate(facts);
      const recorded = readIdentity(record);
      assert.deepEqual(readIdentity(asEarlier(record)), recorded);
      if (identified.kind === "user") assert.deepEqual(recorded, pick(identified.user));
      if (identified.kind === "none") assert.equal(recorded?.username, "");
      const stored = decodeMessage(issuedCertificateKind.schema, encodeMessage(issuedCertificateKind.schema, record));
      assert.deepEqual(readIdentity(stored as unknown as IssuedCertificate), recorded, "through etcd");
      assert.equal((await verifyRecords([record], { cas: [] })).fault, undefined);
    }),
    { numRuns: 300 },
  );
});

test("a Revocation covers the record of a certificate as it covers the certificate at the API", async () => {
  const names = fc.constantFrom("al", "grp", "", "system:node:m1", "system:nodes", "a,b");
  const attributes = fc.array(fc.tuple(fc.constantFrom("CN", "O", "OU", "C"), names), { maxLength: 5 });
  const targets = fc.constantFrom("user", "group", "node");
  await fc.assert(
    fc.asyncProperty(attributes, targets, names, async (attributes, kind, value) => {
      if (value === "") return;
      const facts = await issue(...attributes);
      const identified = identifyCertificate(facts);
      if (identified.kind !== "user") return;
      const target = kind === "node" ? value.replace("system:node:", "") : value;
      const revocation: Revocation = {
        metadata: { name: "r" },
        spec: { [kind]: target, reason: "keyCompromise" },
        status: { time: new Date(NOW.getTime() + 1).toISOString(), lastSequence: 1 },
      };
      const index = new RevocationIndex();
      index.put(revocation);
      const { serialNumber, sha256Fingerprint: fingerprint, notBefore } = facts;
      const isRefused =
        index.findForCredential(identified.user, { serialNumber, fingerprint, notBefore }) !== undefined;
      const record = toRecord(facts);
      assert.equal(index.findForRecord(record) !== undefined, isRefused);
      assert.equal(index.findForRecord(asEarlier(record)) !== undefined, isRefused);
    }),
    { numRuns: 300 },
  );
});

for (
  const text of [
    ...["CN", "CN=", "=x", "cn=x", "CN=a,,O=b", "CN=a,", ",CN=a", "CN=a, O=b", "CN=a,CN=b", "SERIALNUMBER=", "E=x"],
    ...["CN=a+O=b", "CN= a", "CN=#a", 'CN="a"', "CN=a\\", "CN=\\41", "CN=\\C3\\A9", "CN=\\ff", "CN=\\a", "CN=a\nO=b"],
    ...["CN=a;O=b", "2.5.4.10=x", "1.2", "n1.example", "n1,10.0.0.1", "spiffe://a/b?x=y", "CN=a,\\O=b"],
  ]
) {
  test(`readSubjectText() does not know the user of ${JSON.stringify(text)}`, () => {
    assert.equal(parseFormattedName(text), undefined);
    assert.equal(readSubjectText({ subject: text, fingerprint: "f" }), undefined);
  });
}

test("readSubjectText() knows no user of a record without a fingerprint whose subject was cut", () => {
  const cut = `CN=system:node:${"n".repeat(185)}… ${"0".repeat(64)}`;
  assert.equal(readSubjectText({ subject: cut }), undefined);
  assert.equal(readSubjectText({}), undefined);
  assert.deepEqual(readSubjectText({ subject: cut, fingerprint: "f" }), { username: cut.slice(3), groups: [] });
  assert.deepEqual(readSubjectText({ subject: "CN=system:node:m1,O=system:nodes" }), M1);
});

for (const identifies of ["al", null, 5, { username: 5 }, { groups: "grp" }, { groups: [5] }]) {
  test(`readIdentity() reads ${JSON.stringify(identifies)} as an unknown user`, () => {
    const status = { identifies } as unknown as IssuedCertificate["status"];
    assert.equal(readIdentity({ spec: { subject: "CN=al", fingerprint: "f" }, status }), undefined);
  });
}

test("verifyRecords() finds a user that is not the one in the subject", async () => {
  const record = toRecord(await issue(["CN", "al"]));
  const edited = { ...record, status: { identifies: { username: "bob" } } };
  const { fault } = await verifyRecords([edited], { cas: [] });
  assert.deepEqual(fault, {
    name: "0000000001",
    problem: "was changed: the user that it identifies is not the one in its subject",
  });
});

/** The schema of the kind as commit ea5dc07e has it: it has no `status.identifies`. */
function createEarlierSchema(): ObjectSchema {
  const { schema } = issuedCertificateKind;
  const { type } = schema.fields["status"]!;
  assert.ok(type.kind === "message");
  const { identifies: _identifies, ...fields } = type.fields;
  return {
    ...schema,
    fields: {
      ...schema.fields,
      status: { ...schema.fields["status"]!, type: { ...type, fields } },
    },
  };
}

const decode = (schema: ObjectSchema, bytes: Uint8Array): IssuedCertificate =>
  decodeMessage(schema, bytes, ElementBudget.unlimited()) as unknown as IssuedCertificate;

test("a register of commit ea5dc07e is read unchanged, and both builds continue its chain", async () => {
  const { schema } = issuedCertificateKind;
  const records = EARLIER_RECORDS.map(({ json, protobuf }) => {
    const record = decode(schema, decodeEnvelope(Buffer.from(protobuf, "base64")).raw);
    assert.deepEqual({ spec: record.spec, status: record.status }, JSON.parse(json));
    return record;
  });
  assert.equal(getChainHash(records.at(-1)!.spec), EARLIER_HEAD);
  assert.deepEqual(records.map(readIdentity), [
    { username: "system:node:n1", groups: ["system:nodes"] },
    { username: "al", groups: ["", "grp"] },
    M1,
    { username: "a,b\\+#;\u0001é\u0085 ", groups: ["#y", " x "] },
    { username: "", groups: [] },
  ]);
  const added = toRecord(await issue(["CN", "al"], ["O", ""]), 6, EARLIER_HEAD);
  const bytes = encodeMessage(schema, added);
  assert.deepEqual(decode(schema, bytes), { ...decode(schema, bytes), spec: added.spec, status: added.status });
  // The earlier build drops the field that it does not know, computes the same hash, and continues the chain.
  const seen = decode(createEarlierSchema(), bytes);
  assert.deepEqual(seen.status, {});
  assert.equal(hashRecord(seen.spec), hashRecord(added.spec));
  const next = asEarlier(toRecord(await issue(["CN", "bob"]), 7, hashRecord(seen.spec)));
  for (const one of [added, asEarlier(added)]) {
    const report = await verifyRecords([...records, one, next], { cas: [] });
    assert.deepEqual([report.fault, report.records], [undefined, 7]);
    assert.deepEqual(readIdentity(one), { username: "al", groups: [""] });
  }
  // In a file or in SQLite the earlier build keeps the field, and its hash does not cover it.
  const { spec } = JSON.parse(JSON.stringify(added)) as { readonly spec: IssuedCertificateSpec };
  assert.equal(hashRecord(spec), hashRecord(added.spec));
});
