// Each case runs a real handshake: the verdict of the TLS layer of this runtime, with the options of the transport.
import assert from "node:assert/strict";
import { createServer } from "node:https";
import { isIPv6 } from "node:net";
import process from "node:process";
import { test } from "node:test";
import { createSystemClock } from "../../cli/system.ts";
import { getErrorMessage, isAppError } from "../../core/errors.ts";
import { encodePem } from "../../core/pki/asn1/pem.ts";
import { buildChainCases, type ChainCase } from "../../tests/support/chain_cases.ts";
import type { Verdict } from "../../tests/support/chain_drafts.ts";
import { createTlsTransport } from "./tls_transport.ts";

const NEVER = new AbortController().signal;
const IS_DENO = process.versions["deno"] !== undefined;
/** The limit of one case. A too expensive path search would never end; these cases take milliseconds each. */
const NEVER_ENDING_MS = 120_000;

test("createTlsTransport() trusts a server as RFC 5280 and RFC 6125 require", async (t) => {
  const all = await buildChainCases(new Date());
  // A machine may have no IPv6 to listen on; server_identity_test.ts checks those.
  const cases = all.filter(({ host }) => !isIPv6(host));
  assert.ok(cases.length > 150, String(cases.length));
  for (const one of cases) {
    const want = IS_DENO ? one.deno : one.node;
    const options = { timeout: NEVER_ENDING_MS };
    await t.test(`${want}: ${one.name}`, options, async () => assert.equal(await connect(one), want));
  }
});

async function connect({ chain, key, roots, host }: ChainCase): Promise<Verdict> {
  const cert = chain.map((der) => encodePem("CERTIFICATE", der)).join("");
  // OpenSSL refuses small keys at the server already; rustls in Deno has no such option.
  const lenient = IS_DENO ? {} : { ciphers: "DEFAULT@SECLEVEL=0" };
  const server = createServer({ cert, key: key.toPem(), ...lenient }, (_request, response) => void response.end("{}"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    await using transport = createTlsTransport({
      server: `https://127.0.0.1:${address.port}`,
      caPem: roots.map((der) => encodePem("CERTIFICATE", der)).join(""),
      ...(host === "127.0.0.1" ? {} : { tlsServerName: host }),
      userAgent: "test",
      clock: createSystemClock(),
    });
    const answer = await transport.send({ method: "GET", path: "/", headers: {} }, NEVER);
    for await (const _chunk of answer.body);
    return "accept";
  } catch (error) {
    // Deno's server does not start with a certificate that rustls cannot parse.
    if (isAppError(error, "tls_untrusted") || /closed by the server$/.test(getErrorMessage(error))) return "refuse";
    throw error;
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}
