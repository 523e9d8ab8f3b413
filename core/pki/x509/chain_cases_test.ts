// Each case before our own verification of paths and of hosts;
// client/transport/tls_transport_chain_test.ts puts it before a client.
import assert from "node:assert/strict";
import { test } from "node:test";
import { buildChainCases, type ChainCase } from "../../../tests/support/chain_cases.ts";
import type { Verdict } from "../../../tests/support/chain_drafts.ts";
import { NOW } from "../../../tests/support/test_authority.ts";
import { type CertificateFacts, parseCertificate } from "./certificate.ts";
import { verifyChain } from "./chain.ts";
import { findHostFault } from "../../../client/transport/server_identity.ts";

/** A path that costs too much never ends; these take milliseconds each. */
const NEVER_ENDING_MS = 120_000;

/** Built once, because the keys take long, and `deno task mutants` runs the test often. */
let built: Promise<readonly ChainCase[]> | undefined;

test("verifyChain() and findHostFault() judge as RFC 5280 and RFC 6125 do", async (t) => {
  const cases = await (built ??= buildChainCases(NOW));
  assert.ok(cases.length > 150, String(cases.length));
  for (const one of cases) {
    const options = { timeout: NEVER_ENDING_MS };
    // Deno verifies with RSA keys of up to 4096 bits.
    const want = "Deno" in globalThis && one.name.includes("RSA key of 7680 bits") ? "refuse" : one.want;
    await t.test(`${want}: ${one.name}`, options, () => assert.equal(findVerdict(one), want));
  }
});

function findVerdict({ chain, roots, host }: ChainCase): Verdict {
  const [leaf, ...behind] = chain.map(read);
  const trusted = roots.map(read).filter((root) => root !== undefined);
  if (leaf === undefined || behind.includes(undefined)) return "refuse";
  const intermediates = behind.filter((one) => one !== undefined);
  const path = verifyChain(leaf, intermediates, trusted, { at: NOW, usage: "server" });
  return path.ok && findHostFault(leaf, host) === undefined ? "accept" : "refuse";
}

function read(der: Uint8Array<ArrayBuffer>): CertificateFacts | undefined {
  const facts = parseCertificate(der);
  return facts.ok ? facts.value : undefined;
}
