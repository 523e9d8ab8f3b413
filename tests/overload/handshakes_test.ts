/** Tests that many connections at once are accepted before waiting requests begin. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import process from "node:process";
import { connect, type TLSSocket } from "node:tls";
import { test } from "node:test";
import { createSystemClock } from "../../cli/system.ts";
import { listen } from "../../server/connections/listener.ts";
import { createIssuingCa, issueServing } from "../support/issuing_ca.ts";
import { createMemoryLogger } from "../support/memory_logger.ts";
import { FRAME, openRaw, PREFACE, requestFrame, until } from "../support/raw_http2.ts";

const BUSY = 10;
const STREAMS = 100;
const NEWCOMERS = 100;
/** Deno accepts all connections in one turn, before pacing can delay the requests. */
const MAX_BEGUN = process.versions["deno"] === undefined ? BUSY * STREAMS / 2 : BUSY * STREAMS;

test("the listener accepts a hundred connections before a thousand requests have begun", async () => {
  const ca = await createIssuingCa(createSystemClock().now());
  let begun = 0;
  await using listener = await listen({
    bindAddress: "127.0.0.1",
    port: 0,
    serving: await issueServing(ca),
    clientCaPem: undefined,
    clock: createSystemClock(),
    logger: createMemoryLogger(),
    answer: ({ connection }) => {
      begun++;
      connection?.authenticated("jane");
      return Promise.resolve({ status: 200, headers: {}, body: new Uint8Array(1) });
    },
  });
  const busy = await Promise.all(Array.from({ length: BUSY }, () => openRaw(listener.port, "h2")));
  for (const client of busy) {
    client.socket.write(Buffer.concat([PREFACE, requestFrame(1, "GET", "/version")]));
    await until("it is authenticated", () => client.frames().some(({ type }) => type === FRAME.data));
  }
  begun = 0;
  const newcomers: TLSSocket[] = [];
  const secured = Promise.all(Array.from({ length: NEWCOMERS }, () =>
    new Promise<void>((resolve, reject) => {
      const options = { host: "127.0.0.1", port: listener.port, ca: ca.caPem, ALPNProtocols: ["h2"] };
      newcomers.push(connect(options, resolve).on("error", reject));
    })));
  for (const client of busy) {
    const requests = Array.from({ length: STREAMS }, (_, index) => requestFrame(2 * index + 3, "GET", "/version"));
    client.socket.write(Buffer.concat(requests));
  }
  await secured;
  assert.ok(begun <= MAX_BEGUN, `${begun} requests had begun`);
  await until("all are answered", () => begun === BUSY * STREAMS);
  for (const socket of newcomers) socket.destroy();
  for (const client of busy) client[Symbol.dispose]();
});
