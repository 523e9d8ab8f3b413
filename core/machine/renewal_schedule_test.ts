import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../tests/support/properties.ts";
import {
  applyFailure,
  applyRenewal,
  applyRetirement,
  applyTemplateChange,
  type CaRetirement,
  type CertificateTemplate,
  decideNextStep,
  decideRenewalDeadline,
  findCaRetirement,
  getPairStatus,
  isSameRetirement,
  type RenewableCertificate,
  satisfiesTemplate,
  startRenewal,
} from "./renewal_schedule.ts";

const NOW = new Date("2026-01-01T00:00:00Z");
const SECOND = 1_000;
const HOUR = 3600 * SECOND;
const DAY = 24 * HOUR;

const TEMPLATE: CertificateTemplate = {
  commonName: "system:node:n1",
  organizations: ["system:nodes"],
  dnsNames: [],
  ipAddresses: [],
};

function at(ms: number): Date {
  return new Date(NOW.getTime() + ms);
}

function certificate(edit: Partial<RenewableCertificate> = {}): RenewableCertificate {
  return { ...TEMPLATE, notBefore: NOW, notAfter: at(10 * HOUR), ...edit };
}

// Conformance O.1.
for (
  const { name, notBefore, notAfter } of [
    { name: "just issued, still valid", notBefore: at(-HOUR), notAfter: at(99 * HOUR) },
    { name: "half way expired, still valid", notBefore: at(-24 * HOUR), notAfter: at(24 * HOUR) },
    { name: "mostly expired, still valid", notBefore: at(-69 * HOUR), notAfter: at(31 * HOUR) },
    { name: "just about expired", notBefore: at(-91 * HOUR), notAfter: at(9 * HOUR) },
    { name: "nearly expired", notBefore: at(-99 * HOUR), notAfter: at(HOUR) },
    { name: "already expired", notBefore: at(-10 * HOUR), notAfter: at(-HOUR) },
    { name: "long lifetime", notBefore: at(-6 * 30 * DAY), notAfter: at(6 * 30 * DAY) },
    { name: "short lifetime", notBefore: at(-30 * SECOND), notAfter: at(30 * SECOND) },
  ]
) {
  test(`decideRenewalDeadline() is at 70 to 90 % of the lifetime: ${name}`, () => {
    const lifetime = notAfter.getTime() - notBefore.getTime();
    assert.equal(
      decideRenewalDeadline({ notBefore, notAfter }, () => 0).getTime(),
      notBefore.getTime() + lifetime * 0.7,
    );
    assert.equal(
      decideRenewalDeadline({ notBefore, notAfter }, () => 1).getTime(),
      notBefore.getTime() + lifetime * 0.9,
    );
  });
}

test("decideRenewalDeadline() never leaves the window, whatever the randomness", () => {
  const lifetime = fc.integer({ min: 1, max: 10 * 365 * 24 * 3600 });
  fc.assert(fc.property(lifetime, fc.double({ min: 0, max: 0.999999, noNaN: true }), (seconds, random) => {
    const deadline = decideRenewalDeadline({ notBefore: NOW, notAfter: at(seconds * SECOND) }, () => random).getTime();
    const share = (deadline - NOW.getTime()) / (seconds * SECOND);
    assert.ok(share >= 0.7 - 1e-3 && share <= 0.9 + 1e-3, String(share));
  }));
});

// Conformance O.2.
const FULL = { dnsNames: ["a.example"], ipAddresses: ["10.0.0.1"] };
for (
  const { name, have, template, want } of [
    { name: "no certificate", have: undefined, template: TEMPLATE, want: false },
    { name: "no certificate and no template", have: undefined, template: undefined, want: false },
    { name: "no template", have: certificate(), template: undefined, want: true },
    { name: "another common name", have: certificate({ commonName: "x" }), template: TEMPLATE, want: false },
    { name: "a missing organization", have: certificate({ organizations: [] }), template: TEMPLATE, want: false },
    { name: "a missing DNS name", have: certificate(), template: { ...TEMPLATE, dnsNames: ["a"] }, want: false },
    { name: "a missing IP", have: certificate(), template: { ...TEMPLATE, ipAddresses: ["10.0.0.1"] }, want: false },
    {
      name: "an extra organization",
      have: certificate({ organizations: ["x", "system:nodes"] }),
      template: TEMPLATE,
      want: true,
    },
    { name: "extra DNS names and IPs", have: certificate(FULL), template: TEMPLATE, want: true },
    { name: "a full match", have: certificate(FULL), template: { ...TEMPLATE, ...FULL }, want: true },
  ]
) {
  test(`satisfiesTemplate() is ${want} with ${name}`, () => assert.equal(satisfiesTemplate(have, template), want));
}

for (
  const { name, have, want } of [
    {
      name: "no certificate",
      have: undefined,
      want: { kind: "request", credentials: "bootstrap", template: TEMPLATE },
    },
    {
      name: "an expired certificate",
      have: certificate({ notAfter: at(-1) }),
      want: { kind: "request", credentials: "bootstrap", template: TEMPLATE },
    },
    {
      name: "a certificate for another subject",
      have: certificate({ commonName: "system:node:n2" }),
      want: { kind: "request", credentials: "current", template: TEMPLATE },
    },
    {
      name: "a certificate past its deadline",
      have: certificate({ notBefore: at(-9 * HOUR), notAfter: at(HOUR) }),
      want: { kind: "request", credentials: "current", template: TEMPLATE },
    },
    { name: "a fresh certificate", have: certificate(), want: { kind: "sleep", until: at(8 * HOUR) } },
  ]
) {
  test(`decideNextStep() at start: ${want.kind}s with ${name}`, () => {
    const { state: _, ...step } = decideNextStep(startRenewal(have, TEMPLATE, NOW), NOW, () => 0.5);
    assert.deepEqual(step, want);
  });
}

test("decideNextStep() is idle without a template, and requests once there is one", () => {
  const idle = decideNextStep(startRenewal(undefined, undefined, NOW), NOW, () => 0);
  assert.equal(idle.kind, "idle");
  const step = decideNextStep(applyTemplateChange(idle.state, TEMPLATE), at(HOUR), () => 0);
  assert.deepEqual(step.kind === "request" && step.template, TEMPLATE);
});

test("decideNextStep() requests at once what a new template adds, and forgets failures", () => {
  const asleep = decideNextStep(startRenewal(certificate(), TEMPLATE, NOW), NOW, () => 0.5);
  const failing = applyFailure(asleep.state, NOW, () => 0);
  const wider = { ...TEMPLATE, ipAddresses: ["10.0.0.1"] };
  const step = decideNextStep(applyTemplateChange(failing, wider), NOW, () => 0.5);
  assert.deepEqual(step.kind === "request" && step.template, wider);
  assert.equal(step.state.failures, 0);
});

test("decideNextStep() keeps sleeping when the certificate already matches another template", () => {
  const wide = certificate({ ipAddresses: ["10.0.0.1", "10.0.0.2"] });
  const asleep = decideNextStep(startRenewal(wide, TEMPLATE, NOW), NOW, () => 0.5);
  const step = decideNextStep(
    applyTemplateChange(asleep.state, { ...TEMPLATE, ipAddresses: ["10.0.0.2"] }),
    NOW,
    () => 0.5,
  );
  assert.deepEqual(step.kind === "sleep" && step.until, at(8 * HOUR));
});

test("decideNextStep() keeps the deadline of a round and chooses another one for the next", () => {
  const first = decideNextStep(startRenewal(certificate(), TEMPLATE, NOW), NOW, () => 0);
  assert.equal(first.kind, "sleep");
  const again = decideNextStep(first.state, at(7 * HOUR), () => 1);
  assert.equal(again.kind, "request");
  const renewed = certificate({ notBefore: at(7 * HOUR), notAfter: at(17 * HOUR) });
  const next = decideNextStep(applyRenewal(again.state, renewed, at(7 * HOUR)), at(7 * HOUR), () => 1);
  assert.deepEqual(next.kind === "sleep" && next.until, at(16 * HOUR));
});

test("decideNextStep() pauses a second after a certificate that is due again at once", () => {
  const state = startRenewal(undefined, TEMPLATE, NOW);
  const step = decideNextStep(applyRenewal(state, certificate({ commonName: "other" }), NOW), NOW, () => 0);
  assert.equal(step.kind === "pause" && step.ms, SECOND);
});

test("decideNextStep() sends a request at once when the clock was set back during a pause", () => {
  const state = applyFailure(startRenewal(undefined, TEMPLATE, NOW), NOW, () => 0);
  assert.equal(decideNextStep(state, at(SECOND), () => 0).kind, "pause");
  for (const back of [-HOUR, -365 * 24 * HOUR]) assert.equal(decideNextStep(state, at(back), () => 0).kind, "request");
});

test("applyFailure() waits 2, 4, 8, 16 s, then 32 s for ever", () => {
  let state = startRenewal(undefined, TEMPLATE, NOW);
  const pauses: number[] = [];
  for (let failure = 0; failure < 7; failure++) {
    state = applyFailure(state, NOW, () => 0);
    pauses.push((state.notUntil?.getTime() ?? 0) - NOW.getTime());
  }
  assert.deepEqual(pauses, [2, 4, 8, 16, 32, 32, 32].map((seconds) => seconds * SECOND));
  const jittered = applyFailure(startRenewal(undefined, TEMPLATE, NOW), NOW, () => 1);
  assert.deepEqual(jittered.notUntil, at(2.2 * SECOND));
});

test("decideNextStep() uses the bootstrap credentials when the certificate expires while attempts fail", () => {
  const dying = startRenewal(certificate({ notBefore: at(-9 * HOUR), notAfter: at(SECOND) }), TEMPLATE, NOW);
  const first = decideNextStep(dying, NOW, () => 0);
  assert.equal(first.kind === "request" && first.credentials, "current");
  const later = decideNextStep(applyFailure(first.state, NOW, () => 0), at(3 * SECOND), () => 0);
  assert.equal(later.kind === "request" && later.credentials, "bootstrap");
});

const START = new Date("2026-01-01T00:00:00Z");
const LEAF = { notBefore: START, notAfter: new Date(START.getTime() + 10 * HOUR) };

for (
  const { hours, want } of [
    { hours: -1, want: "notYetValid" },
    { hours: 0, want: "valid" },
    { hours: 8.9, want: "valid" },
    { hours: 9, want: "renewalDue" },
    { hours: 10, want: "renewalDue" },
    { hours: 10.1, want: "expired" },
  ]
) {
  test(`getPairStatus() is ${want} after ${hours} of 10 hours`, () => {
    const status = getPairStatus(LEAF, new Date(START.getTime() + hours * HOUR));
    assert.deepEqual(status, {
      state: want,
      renewalFrom: new Date(START.getTime() + 7 * HOUR),
      renewalBy: new Date(START.getTime() + 9 * HOUR),
    });
  });
}

const OLD_KEY = "aa01";
const WINDOW = {
  "tlsboot/retiring-ca": OLD_KEY,
  "tlsboot/renew-from": "2026-01-01T01:00:00Z",
  "tlsboot/renew-by": "2026-01-01T02:00:00Z",
};

for (
  const { name, annotations, keyIds } of [
    { name: "one CA", annotations: [WINDOW], keyIds: [OLD_KEY] },
    { name: "two CAs", annotations: [{ ...WINDOW, "tlsboot/retiring-ca": "AA01, bb02" }], keyIds: [OLD_KEY, "bb02"] },
    { name: "a bundle next to others without annotations", annotations: [undefined, {}, WINDOW], keyIds: [OLD_KEY] },
    {
      name: "a later window, which counts",
      annotations: [
        WINDOW,
        {
          ...WINDOW,
          "tlsboot/retiring-ca": "bb02",
          "tlsboot/renew-from": "2026-01-01T01:30:00Z",
        },
      ],
      keyIds: ["bb02"],
    },
    { name: "nothing", annotations: [], keyIds: undefined },
    { name: "no CA", annotations: [{ ...WINDOW, "tlsboot/retiring-ca": " , " }], keyIds: undefined },
    { name: "no time", annotations: [{ ...WINDOW, "tlsboot/renew-by": "soon" }], keyIds: undefined },
    {
      name: "an end before the start",
      annotations: [{ ...WINDOW, "tlsboot/renew-by": "2025-01-01T00:00:00Z" }],
      keyIds: undefined,
    },
  ]
) {
  test(`findCaRetirement() understands ${name}`, () => {
    const found = findCaRetirement(annotations, "n1");
    assert.deepEqual(found?.keyIds, keyIds);
    if (found === undefined) return;
    assert.ok(found.renewAt >= at(HOUR) && found.renewAt < at(2 * HOUR), found.renewAt.toISOString());
    assert.ok(isSameRetirement(found, findCaRetirement(annotations, "n1")), "the same again after a restart");
  });
}

test("findCaRetirement() spreads two hundred machines evenly over the window", () => {
  const tenths = Array.from({ length: 10 }, () => 0);
  for (let index = 0; index < 200; index++) {
    const { renewAt } = findCaRetirement([WINDOW], `node-${index}`) ?? assert.fail();
    tenths[Math.floor((renewAt.getTime() - at(HOUR).getTime()) / (HOUR / 10))]!++;
  }
  assert.ok(Math.min(...tenths) >= 10 && Math.max(...tenths) <= 32, tenths.join(" "));
});

const RETIREMENT: CaRetirement = { keyIds: [OLD_KEY], begin: at(HOUR), renewAt: at(2 * HOUR) };

for (
  const { name, authorityKeyId, retirement = RETIREMENT, want } of [
    { name: "at its time, not at 70 %", authorityKeyId: OLD_KEY, want: at(2 * HOUR) },
    { name: "at 70 % when another CA issued it", authorityKeyId: "bb02", want: at(7 * HOUR) },
    { name: "at 70 % when its CA is unknown", authorityKeyId: undefined, want: at(7 * HOUR) },
    {
      name: "at 70 % when that is earlier",
      authorityKeyId: OLD_KEY,
      retirement: { ...RETIREMENT, renewAt: at(9 * HOUR) },
      want: at(7 * HOUR),
    },
    {
      name: "at 70 % when it was issued after the start",
      authorityKeyId: OLD_KEY,
      retirement: { ...RETIREMENT, begin: at(-HOUR), renewAt: NOW },
      want: at(7 * HOUR),
    },
  ]
) {
  test(`decideNextStep() renews a certificate of a CA that is being replaced: ${name}`, () => {
    const start = startRenewal(certificate({ authorityKeyId }), TEMPLATE, NOW);
    const step = decideNextStep(applyRetirement(start, retirement), NOW, () => 0);
    assert.deepEqual(step.kind === "sleep" && step.until, want);
  });
}

test("decideNextStep() renews at once, and only once, when the time has passed, such as after a restart", () => {
  const retiring = certificate({ authorityKeyId: OLD_KEY });
  const start = applyRetirement(startRenewal(retiring, TEMPLATE, at(3 * HOUR)), RETIREMENT);
  const first = decideNextStep(start, at(3 * HOUR), () => 0);
  assert.equal(first.kind, "request");

  // The signer still uses the old CA: the next renewal is that of every certificate.
  const same = applyRenewal(first.state, { ...retiring, notAfter: at(20 * HOUR) }, at(3 * HOUR));
  const second = decideNextStep(same, at(4 * HOUR), () => 0);
  assert.deepEqual(second.kind === "sleep" && second.until, at(14 * HOUR));

  // The CA is replaced again, so there is another attempt.
  const again = applyRetirement(second.state, { ...RETIREMENT, renewAt: at(5 * HOUR) });
  const third = decideNextStep(again, at(4 * HOUR), () => 0);
  assert.deepEqual(third.kind === "sleep" && third.until, at(5 * HOUR));

  // With a certificate of another CA nothing is due; after an abort, that CA is the one being replaced.
  const other = applyRenewal(third.state, { ...retiring, authorityKeyId: "bb02" }, at(5 * HOUR));
  assert.deepEqual(decideNextStep(other, at(6 * HOUR), () => 0.5).kind, "sleep");
  const aborted = applyRetirement(other, { keyIds: ["bb02"], begin: at(6 * HOUR), renewAt: at(6 * HOUR) });
  assert.equal(decideNextStep(aborted, at(6 * HOUR), () => 0.5).kind, "request");
});

test("decideNextStep() keeps sleeping when the replacement of the CA ends before its time", () => {
  const start = applyRetirement(startRenewal(certificate({ authorityKeyId: OLD_KEY }), TEMPLATE, NOW), RETIREMENT);
  const step = decideNextStep(applyRetirement(start, undefined), at(3 * HOUR), () => 0);
  assert.deepEqual(step.kind === "sleep" && step.until, at(7 * HOUR));
});
