import assert from "node:assert/strict";
import { test } from "node:test";
import type { Event } from "../kube/kinds/core_v1.ts";
import { buildCsr } from "../../tests/support/csr_builder.ts";
import { createSigningCa } from "../../tests/support/signing_ca.ts";
import {
  createCaNotice,
  createCertificateNotice,
  createNotification,
  createPendingNotice,
  listNtfyHeaders,
  NoticeGroups,
  type NotifiedEvent,
  readEventNotice,
} from "./notification.ts";

const NOW = new Date("2026-01-01T00:00:00Z");
const PLACE = { server: "https://boot.example.com:6443", now: NOW };

function createEvent(reason: string, message = "what happened"): Event {
  return {
    metadata: { name: "e", namespace: "default" },
    involvedObject: { kind: "Revocation", name: "r1" },
    reason,
    message,
    source: {},
    firstTimestamp: null,
    lastTimestamp: null,
    eventTime: "2026-01-01T00:00:00.000000Z",
    reportingComponent: "tlsboot",
    reportingInstance: "tlsboot",
  };
}

for (
  const [reason, want] of [
    ["NameClaimed", "NameClaimed"],
    ["RevokedCredentialUsed", "CredentialRefused"],
    ["BootstrapTokenRefused", "CredentialRefused"],
    ["NodeRecoveryRefused", "CredentialRefused"],
    ["PolicyLeftPending", undefined],
    ["Started", undefined],
  ] as const
) {
  test(`readEventNotice() reads ${reason} as ${want ?? "nothing"}`, () => {
    assert.equal(readEventNotice(createEvent(reason))?.kind, want);
  });
}

test("readEventNotice() and createPendingNotice() escape what clients have sent", async () => {
  assert.equal(
    readEventNotice(createEvent("NameClaimed", "a\u001b[1m\n\u202eb"))?.sentence,
    "a\\u001b[1m\\u000a\\u202eb",
  );
  const notice = createPendingNotice(await buildCsr({ name: "x\u202ey", username: "ev\u001bil" }), NOW);
  // deno-lint-ignore no-control-regex -- none of them may be left
  assert.doesNotMatch(`${notice.sentence} ${notice.next}`, /[\x00-\x1f\u202e]/);
});

test("createPendingNotice() has the sentence of the request and the command to look at it", async () => {
  const notice = createPendingNotice(await buildCsr({ name: "csr-1" }), NOW);
  assert.match(notice.sentence, /^Node n1, with the token abcdef, asks for a client certificate/);
  assert.equal(notice.next, "To look at it: tlsboot describe csr csr-1");
});

test("createCaNotice() reports a CA ninety days before it ends", async () => {
  const { certificate } = await createSigningCa();
  const before = (days: number) => new Date(certificate.notAfter.getTime() - days * 86_400_000);
  assert.equal(createCaNotice(certificate, certificate.notAfter, before(90)), undefined);
  assert.match(createCaNotice(certificate, certificate.notAfter, before(89))?.sentence ?? "", /^CA ".+" ends at 20/);
});

test("createNotification() has the first sentence, the number of events, and a header for ntfy without texts of clients", () => {
  const notice = createCertificateNotice("{{evil}}\nn1", "example.com/web", NOW);
  const one = createNotification({ first: [notice], count: 1 }, PLACE);
  const many = createNotification({ first: [notice, notice], count: 3 }, PLACE);
  assert.deepEqual(one, {
    kind: "CertificateEnding",
    title: "tlsboot: A certificate ends soon",
    message:
      'The certificate of "{{evil}}\\nn1" from example.com/web ends at 2026-01-01T00:00:00Z, and is not renewed. ' +
      "To see which end soon: tlsboot get certificates --expires-within 30d",
    priority: 5,
    sentence:
      'The certificate of "{{evil}}\\nn1" from example.com/web ends at 2026-01-01T00:00:00Z, and is not renewed',
    objects: [{ kind: "Certificate", name: '"{{evil}}\\nn1"' }],
    server: PLACE.server,
    time: "2026-01-01T00:00:00Z",
    count: 1,
  });
  assert.equal(many.title, "tlsboot: 3 certificates end soon");
  assert.match(many.message, /\n2 more in this message\.$/);
  assert.deepEqual(listNtfyHeaders(many), {
    title: "tlsboot: 3 certificates end soon",
    priority: "3",
    tags: "warning",
    template: "yes",
    message: "{{.message}}",
  });
});

test("NoticeGroups create one message for each kind and minute, with the first ten objects", () => {
  const groups = new NoticeGroups();
  const make = (kind: NotifiedEvent["kind"], name: string): NotifiedEvent => ({
    kind,
    sentence: name,
    object: { kind: "X", name },
  });
  for (let index = 0; index < 12; index++) groups.add(make("RequestPending", `r${index}`), index * 100);
  groups.add(make("NameClaimed", "n"), 1_000);
  assert.deepEqual(groups.takeDue(4_999), []);
  const [first] = groups.takeDue(5_000);
  assert.deepEqual([first?.count, first?.first.length, first?.first[0].sentence], [12, 10, "r0"]);
  assert.deepEqual(groups.takeDue(6_000).map(({ first: [one] }) => one.kind), ["NameClaimed"]);
  groups.add(make("RequestPending", "later"), 7_000);
  groups.add(make("RequestPending", "latest"), 64_999);
  assert.deepEqual(groups.takeDue(64_999), []);
  assert.deepEqual(groups.takeDue(65_000).map(({ count }) => count), [2]);
  assert.deepEqual(groups.takeDue(999_999), []);
});
