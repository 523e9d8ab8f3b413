// The path of each case; names of hosts are the business of the TLS layer (client/transport_chain_test.ts).
import assert from "node:assert/strict";
import { test } from "node:test";
import { buildChainCases, type ChainCase } from "../../tests/support/chain_cases.ts";
import type { Verdict } from "../../tests/support/chain_drafts.ts";
import { NOW } from "./_test_authority.ts";
import { type CertificateFacts, parseCertificate } from "./certificate.ts";
import { verifyChain } from "./chain.ts";

test("verifyChain() judges paths as RFC 5280 does", async (t) => {
  const all = await buildChainCases(NOW);
  // As docs/decisions/0017-der-of-our-own.md tells.
  assert.ok(all.length > 80, String(all.length));
  const cases = all.filter(({ isAboutHost }) => !isAboutHost);
  for (const one of cases) {
    await t.test(`${one.want}: ${one.name}`, () => assert.equal(verdictOf(one), one.want));
  }
});

function verdictOf({ chain, roots }: ChainCase): Verdict {
  const [leaf, ...behind] = chain.map(read);
  const trusted = roots.map(read).filter((root) => root !== undefined);
  if (leaf === undefined || behind.includes(undefined)) return "refuse";
  const intermediates = behind.filter((one) => one !== undefined);
  return verifyChain(leaf, intermediates, trusted, { at: NOW, usage: "server" }).ok ? "accept" : "refuse";
}

function read(der: Uint8Array<ArrayBuffer>): CertificateFacts | undefined {
  const facts = parseCertificate(der);
  return facts.ok ? facts.value : undefined;
}
