// TLS versions: the limit holds independently of the default of the runtime.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { test } from "node:test";
import tls from "node:tls";
import { isAppError } from "../../core/errors.ts";
import { createTlsTransport } from "./tls_transport.ts";

const NEVER = new AbortController().signal;

/** Runs with the defaults of NODE_OPTIONS=--tls-min-v1.0 and an old list of cipher suites; Deno has no such options. */
async function withOldDefaults(run: () => Promise<void>): Promise<void> {
  const { DEFAULT_MIN_VERSION, DEFAULT_CIPHERS } = tls;
  Object.assign(tls, { DEFAULT_MIN_VERSION: "TLSv1", DEFAULT_CIPHERS: "DEFAULT@SECLEVEL=0" });
  // Restored, because other tests run in this process.
  await run().finally(() => Object.assign(tls, { DEFAULT_MIN_VERSION, DEFAULT_CIPHERS }));
}

/** Record, then ServerHello: version, random, no session, ECDHE-RSA-AES128-SHA, no compression. */
const HELLO_OF_1_1 = `160302002a020000260302${"07".repeat(32)}00c01300`;
/** A record of TLS 1.1 with the alert protocol_version. */
const ALERT_OF_1_1 = "15030200020246";

for (
  const { name, answer } of [
    { name: "reports that it supports no common version", answer: ALERT_OF_1_1 },
    { name: "answers in TLS 1.1", answer: HELLO_OF_1_1 },
  ]
) {
  test(`send() refuses a server that ${name}`, async () => {
    const sockets: Socket[] = [];
    const server = createServer((socket) => {
      sockets.push(socket);
      socket.on("error", () => {});
      socket.once("data", () => socket.write(Buffer.from(answer, "hex")));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    await using transport = createTlsTransport({
      server: `https://127.0.0.1:${port}`,
      userAgent: "test",
      insecureSkipTlsVerify: true,
      timeouts: { connectMs: 60_000 },
    });
    const send = () => transport.send({ method: "GET", path: "/", headers: {} }, NEVER);
    const isOldVersion = (error: unknown): true => {
      assert.ok(isAppError(error, "tls_untrusted"), String(error));
      assert.equal(
        error.message,
        `cannot trust "https://127.0.0.1:${port}": it supports no secure TLS version: 1.2 is the oldest`,
      );
      assert.match(error.hint ?? "", /TLS 1\.2 or 1\.3/);
      return true;
    };
    await withOldDefaults(() => assert.rejects(send, isOldVersion)).finally(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
  });
}
