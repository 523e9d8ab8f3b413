import assert from "node:assert/strict";
import { test } from "node:test";
import { buildCsr, condition } from "../tests/support/csr_builder.ts";
import { createRequestView } from "../core/report/create_request_view.ts";
import { type FactSection, listFactSections } from "./request_rows.ts";
import type { RequestView } from "../core/report/request_view.ts";

const CREATED = "2026-03-02T10:00:00Z";

async function list(more: Partial<RequestView> = {}): Promise<ReadonlyMap<string, FactSection>> {
  const csr = await buildCsr({ commonName: "system:node:n7", username: "system:bootstrap:abc123" });
  const view = createRequestView({ csr, now: new Date("2026-03-02T12:00:00Z") });
  return new Map(listFactSections({ ...view, ...more }).map((section) => [section.title, section]));
}

test("listFactSections() lists known facts only, and the signer's lifetime where none is requested", async () => {
  const facts = (await list()).get("Requested certificate")?.facts ?? [];
  assert.ok(facts.every(([, value]) => value !== ""));
  assert.deepEqual(facts[0], ["Signer", "kubernetes.io/kube-apiserver-client-kubelet"]);
  assert.ok(facts.every(([name]) => name !== "DNS names"));
  assert.equal(new Map(facts).get("Lifetime"), "left to the signer");
});

test("listFactSections() lists the known facts about a token, and keeps its times unformatted", async () => {
  const token = { id: "abc123", createdAt: CREATED, usesLeft: 0 };
  const requester = { text: "the holder of token abc123", user: "system:bootstrap:abc123", groups: ["a", "b"], token };
  const requesterFacts = (await list({ requester })).get("Requester")?.facts;
  assert.deepEqual(requesterFacts, [
    ["Requester", "the holder of token abc123"],
    ["User", "system:bootstrap:abc123"],
    ["Groups", "a, b"],
    ["Token", "abc123"],
    ["Token created", { time: CREATED }],
    ["Token's uses left", "0"],
  ]);
});

test("listFactSections() has no section without facts", async () => {
  const { others: _others, ...rest } = createRequestView({ csr: await buildCsr({}), now: new Date(CREATED) });
  const titles = listFactSections(rest).map(({ title }) => title);
  for (const title of ["Last certificate", "Other open requests", "Conditions", "Certificate"]) {
    assert.ok(!titles.includes(title), title);
  }
});

test("listFactSections() links other requests, and shows conditions with the user that the server recorded", async () => {
  const csr = await buildCsr({ conditions: [condition("Denied")] });
  const view = createRequestView({ csr, now: new Date(CREATED) });
  const sections = await list({
    conditions: view.conditions,
    decision: { type: "Denied", user: "alice", address: "10.0.0.9" },
    others: [{ name: "other", state: "pending", requestedBy: "jane", shares: "node n7", sameKey: false }],
  });
  assert.deepEqual(sections.get("Other open requests")?.table?.rows, [
    [{ request: "other" }, "pending", "node n7", "a different key", "jane", ""],
  ]);
  assert.deepEqual(sections.get("Conditions")?.paragraphs, ["The server recorded: Denied by alice from 10.0.0.9"]);
  assert.equal(sections.get("Conditions")?.table?.rows[0]?.[0], "Denied");
});
