// Each case by a real handshake: what the TLS layer below this runtime makes of it, with what the transport tells it.
import assert from "node:assert/strict";
import { createServer } from "node:https";
import process from "node:process";
import { test } from "node:test";
import { isAppError, messageOf } from "../core/errors.ts";
import { encodePem } from "../core/pki/pem.ts";
import { buildChainCases, type ChainCase } from "../tests/support/chain_cases.ts";
import type { Verdict } from "../tests/support/chain_drafts.ts";
import { createTlsTransport } from "./transport.ts";

const NEVER = new AbortController().signal;

test("createTlsTransport() believes a server as RFC 5280 and RFC 6125 do", async (t) => {
  const cases = await buildChainCases(new Date());
  assert.ok(cases.length > 80, String(cases.length));
  const isDeno = process.versions["deno"] !== undefined;
  for (const one of cases) {
    const want = isDeno ? one.rustls : one.want;
    await t.test(`${want}: ${one.name}`, async () => assert.equal(await verdictOf(one), want));
  }
});

async function verdictOf({ chain, key, roots, host }: ChainCase): Promise<Verdict> {
  const cert = chain.map((der) => encodePem("CERTIFICATE", der)).join("");
  const server = createServer({ cert, key: key.toPem() }, (_request, response) => void response.end("{}"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    await using transport = createTlsTransport({
      server: `https://127.0.0.1:${address.port}`,
      caPem: roots.map((der) => encodePem("CERTIFICATE", der)).join(""),
      ...(host === "127.0.0.1" ? {} : { tlsServerName: host }),
      userAgent: "test",
    });
    const answer = await transport.send({ method: "GET", path: "/", headers: {} }, NEVER);
    for await (const _chunk of answer.body);
    return "accept";
  } catch (error) {
    // Deno's server does not even start with a certificate that rustls cannot read.
    if (isAppError(error, "tls_untrusted") || /closed by the server$/.test(messageOf(error))) return "refuse";
    throw error;
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}
