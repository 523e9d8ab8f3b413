import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import "reflect-metadata";
import { X509Certificate as OracleCertificate, X509Crl } from "@peculiar/x509";
import { CRL_REASON_CODES } from "../../kube/kinds/constants.ts";
import { isFullRun } from "../../../tests/support/full_run.ts";
import { listElements } from "../../../tests/support/odd_certificate.ts";
import fc from "../../../tests/support/properties.ts";
import {
  createIntermediate,
  createTestAuthority,
  hoursFromNow,
  issueTestCertificate,
  NOW,
  planTestLeaf,
  unwrap,
} from "../../../tests/support/test_authority.ts";
import { hasMlDsa } from "../keys/ml_dsa.ts";
import {
  chooseCrlNumber,
  createCrl,
  type CrlEntry,
  type CrlPlan,
  type CrlReason,
  findCrlSignFault,
  isCrlOf,
  parseCrl,
  parseCrlEntries,
} from "./crl.ts";
import {
  encodeOctetString,
  encodeOid,
  encodeSequence,
  encodeSmallInteger,
  encodeTime,
  encodeValue,
} from "../asn1/der_writer.ts";

const NO_PAUSE = (): Promise<void> => Promise.resolve();
const REASONS = Object.keys(CRL_REASON_CODES) as readonly CrlReason[];

function planCrl(edit: Partial<CrlPlan> = {}): CrlPlan {
  return { entries: [], number: 1n, thisUpdate: NOW, nextUpdate: hoursFromNow(24), ...edit };
}

const entry = fc.record({
  serialNumber: fc.uint8Array({ minLength: 1, maxLength: 19 }).map((bytes) =>
    `01${Buffer.from(bytes).toString("hex")}`
  ),
  revokedAt: fc.integer({ min: -599_616_000, max: 5_648_745_600 }).map((seconds) => new Date(seconds * 1_000)),
  reason: fc.constantFrom(...REASONS),
});
const plans = fc.record({
  entries: fc.uniqueArray(entry, { maxLength: 8, selector: ({ serialNumber }) => serialNumber }),
  number: fc.bigInt({ min: 0n, max: (1n << 159n) - 1n }),
});

const ALGORITHMS = ["ecdsa-p256", "ecdsa-p384", "rsa-2048", "ed25519"] as const;

test("createCrl() writes lists that @peculiar/x509 and our own reader read alike, for any key", async () => {
  const roots = await Promise.all(ALGORITHMS.map((algorithm) => createTestAuthority(algorithm)));
  await fc.assert(
    fc.asyncProperty(plans, fc.constantFrom(...roots), async (edit, root) => {
      const issuer = new OracleCertificate(root.certificate.der);
      const plan = planCrl(edit);
      const der = await createCrl(plan, root, NO_PAUSE);
      const facts = unwrap(parseCrl(der));
      const oracle = new X509Crl(der);

      assert.ok(isCrlOf(facts, root.certificate));
      assert.ok(await oracle.verify({ publicKey: issuer.publicKey }));
      assert.equal(oracle.issuer, issuer.subject);
      assert.equal(facts.number, plan.number);
      assert.deepEqual([facts.thisUpdate, facts.nextUpdate], [plan.thisUpdate, plan.nextUpdate]);
      assert.deepEqual([oracle.thisUpdate, oracle.nextUpdate], [plan.thisUpdate, plan.nextUpdate]);
      assert.deepEqual(oracle.entries.map(readEntry), plan.entries.map(toRead));
      const entries = unwrap(parseCrlEntries(facts)).map((entry) => ({
        ...entry,
        serialNumber: BigInt(`0x${entry.serialNumber}`),
      }));
      assert.deepEqual(
        entries,
        plan.entries.map(({ serialNumber, revokedAt, reason }) => ({
          serialNumber: BigInt(`0x${serialNumber}`),
          revokedAt,
          reason,
        })),
      );
    }),
    isFullRun ? { numRuns: 400 } : {},
  );
});

/** Converts an entry of @peculiar/x509 to the form of `toRead`. */
function readEntry({ serialNumber, revocationDate, reason }: X509Crl["entries"][number]): readonly unknown[] {
  return [BigInt(`0x${serialNumber}`), revocationDate, reason];
}

function toRead({ serialNumber, revokedAt, reason }: CrlEntry): readonly unknown[] {
  // The reason `unspecified` is absent from a list.
  return [
    BigInt(`0x${serialNumber}`),
    revokedAt,
    reason === "unspecified" ? undefined : CRL_REASON_CODES[reason],
  ];
}

test("createCrl() identifies the key of the CA, also when its certificate has no identifier", async () => {
  const root = await createTestAuthority();
  const { subjectKeyId, ...bare } = root.certificate;
  const named = await createCrl(planCrl(), root, NO_PAUSE);
  const computed = await createCrl(planCrl(), { certificate: bare, key: root.key }, NO_PAUSE);
  for (const der of [named, computed]) assert.ok(Buffer.from(der).toString("hex").includes(`8014${subjectKeyId}`));
});

test("createCrl() writes no critical extension", async () => {
  const entries = [{ serialNumber: "02", revokedAt: NOW, reason: "keyCompromise" }] as const;
  const text = Buffer.from(await createCrl(planCrl({ entries }), await createTestAuthority(), NO_PAUSE)).toString(
    "hex",
  );
  // The identifier of the CA's key, the number, and the reason: the value follows the OID.
  for (const id of ["23", "14", "15"]) assert.ok(text.includes(`0603551d${id}04`), id);
});

const EXTENSIONS = 5;
const extensionsOf = (number: Uint8Array<ArrayBuffer>) =>
  encodeValue(0xa0, encodeSequence(encodeSequence(encodeOid("2.5.29.20"), encodeOctetString(number))));
for (
  const { name, at, parts, want } of [
    { name: "no next update", at: 4, parts: [], want: "1" },
    { name: "a number as a date", at: 3, parts: [encodeSmallInteger(1)], want: "x509: unsupported time format" },
    { name: "no extensions", at: EXTENSIONS, parts: [], want: "undefined" },
    {
      name: "no number among them",
      at: EXTENSIONS,
      parts: [encodeValue(0xa0, encodeSequence())],
      want: "undefined",
    },
    {
      name: "a malformed mark of a critical extension",
      at: EXTENSIONS,
      parts: [encodeValue(0xa0, encodeSequence(encodeSequence(encodeOid("1.2.3"), encodeValue(1, Uint8Array.of(1)))))],
      want: "asn1: syntax error: invalid boolean",
    },
    {
      name: "a negative number",
      at: EXTENSIONS,
      parts: [extensionsOf(encodeValue(2, Uint8Array.of(255)))],
      want: "x509: invalid CRL number",
    },
    {
      name: "a number of 21 bytes",
      at: EXTENSIONS,
      parts: [extensionsOf(encodeValue(2, new Uint8Array(21).fill(1)))],
      want: "x509: invalid CRL number",
    },
  ]
) {
  test(`parseCrl() finds "${want}" in a list with ${name}`, async () => {
    const [signed, ...rest] = listElements(await createCrl(planCrl(), await createTestAuthority(), NO_PAUSE));
    const edited = listElements(signed!).flatMap((part, index) => index === at ? parts : [part]);
    const parsed = parseCrl(encodeSequence(encodeSequence(...edited), ...rest));
    assert.equal(parsed.ok ? String(parsed.value.number) : parsed.error, want);
  });
}

test("parseCrlEntries() refuses a negative serial number", () => {
  const entry = encodeSequence(encodeValue(2, Uint8Array.of(255)), encodeTime(NOW));
  const parsed = parseCrlEntries({ entriesDer: encodeSequence(entry) });
  assert.deepEqual(parsed, { ok: false, error: "x509: negative serial number" });
});

test("createCrl() pauses after each thousand entries and around the signature", async () => {
  const root = await createTestAuthority();
  const entries = Array.from({ length: 2_500 }, (_, index): CrlEntry => ({
    serialNumber: `7f${index.toString(16).padStart(30, "0")}`,
    revokedAt: NOW,
    reason: "superseded",
  }));
  let pauses = 0;
  const der = await createCrl(planCrl({ entries }), root, () => {
    pauses++;
    return Promise.resolve();
  });
  assert.equal(pauses, 3 + 2);
  // The other reader refuses so many values.
  const text = Buffer.from(der).toString("hex");
  assert.deepEqual(entries.filter(({ serialNumber }) => !text.includes(`0210${serialNumber}`)), []);
});

test("createCrl() refuses a number of more than 20 bytes", async () => {
  const root = await createTestAuthority();
  await createCrl(planCrl({ number: (1n << 159n) - 1n }), root, NO_PAUSE);
  await assert.rejects(createCrl(planCrl({ number: 1n << 159n }), root, NO_PAUSE), { code: "invalid" });
});

test("parseCrl() refuses or returns, whatever the bytes", async () => {
  const root = await createTestAuthority();
  const der = await createCrl(
    planCrl({ entries: [{ serialNumber: "02", revokedAt: NOW, reason: "keyCompromise" }] }),
    root,
    NO_PAUSE,
  );
  const changes = fc.record({ at: fc.nat(der.length - 1), to: fc.nat(255), length: fc.nat(der.length) });
  fc.assert(fc.property(changes, ({ at, to, length }) => {
    const changed = der.slice();
    changed[at] = to;
    const found = parseCrl(changed);
    if (found.ok) parseCrlEntries(found.value);
    if (found.ok && changed[at] !== der[at]) assert.equal(isCrlOf(found.value, root.certificate), false);
    parseCrl(changed.slice(0, length));
  }));
  assert.equal(parseCrl(Uint8Array.of(...der, 0)).ok, false);
  assert.equal(parseCrl(root.certificate.der).ok, false);
});

test("isCrlOf() refuses the list of another CA with the same name", async () => {
  for (const algorithm of ["ecdsa-p256", ...(hasMlDsa() ? ["ml-dsa-44" as const] : [])] as const) {
    const [one, other] = [await createTestAuthority(algorithm), await createTestAuthority(algorithm)];
    const facts = unwrap(parseCrl(await createCrl(planCrl(), one, NO_PAUSE)));
    assert.equal(isCrlOf(facts, one.certificate), true, algorithm);
    assert.equal(isCrlOf(facts, other.certificate), false, algorithm);
  }
});

test("findCrlSignFault() requires cRLSign of a CA whose certificate has a key usage", async () => {
  const root = await createTestAuthority();
  const kubeadm = await createIntermediate(root, "kubeadm", { usages: ["digital signature", "cert sign"] });
  assert.equal(findCrlSignFault(root.certificate), undefined);
  assert.match(findCrlSignFault(kubeadm.certificate) ?? "", /lacks cRLSign/);
  const leaf = await issueTestCertificate(root, planTestLeaf(root.privateKey, { usages: [] }));
  assert.equal(findCrlSignFault(leaf), undefined);
});

test("chooseCrlNumber() grows with the time, after a clock that went back, and differs within one millisecond", () => {
  const first = chooseCrlNumber(NOW, Uint8Array.of(0, 1), undefined);
  assert.equal(first, (BigInt(NOW.getTime()) << 16n) + 1n);
  assert.notEqual(chooseCrlNumber(NOW, Uint8Array.of(1, 0), undefined), first);
  assert.equal(chooseCrlNumber(hoursFromNow(1), Uint8Array.of(0, 0), first), BigInt(hoursFromNow(1).getTime()) << 16n);
  assert.equal(chooseCrlNumber(hoursFromNow(-1), Uint8Array.of(255, 255), first), first + 1n);
  assert.equal(chooseCrlNumber(NOW, Uint8Array.of(0, 1), first), first + 1n);
});
