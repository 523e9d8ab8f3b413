/** Clients that end their HTTP/2 session: neither runtime uses memory of a connection after its end. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { FRAME, frame, openRaw, PREFACE, requestFrame } from "../support/raw_http2.ts";
import { isFullRun } from "../support/full_run.ts";
import { describeFate, describeInstance } from "../support/instance_process.ts";

/** A runtime that used freed memory crashed after tens of clients, and rarely only after hundreds. */
const CLIENTS = isFullRun ? 1_000 : 200;
/** The token, because the server itself ends the connections of unauthenticated clients. */
const TOKEN = "jane.0123456789abcdef";

const ACK = 1;
/** `:status: 200` (RFC 7541, appendix A). */
const STATUS_200 = 0x88;

/** Opens a session and sends GOAWAY after the answer, as Node does: each step in its own turn of the event loop. */
async function endByGoaway(port: number): Promise<void> {
  using client = await openRaw(port, "h2");
  client.socket.write(PREFACE);
  client.socket.write(requestFrame(1, "GET", "/version", { authorization: `Bearer ${TOKEN}` }));
  const answer = () => client.frames().filter(({ stream }) => stream === 1);
  while (!answer().some(({ type }) => type === FRAME.data)) await once(client.socket, "data");
  assert.equal(answer()[0]?.payload[0], STATUS_200);
  client.socket.write(frame(FRAME.settings, ACK, 0));
  await setImmediate();
  // The GOAWAY names no stream of the server and no error.
  client.socket.write(frame(FRAME.goaway, 0, 0, new Uint8Array(8)));
  await setImmediate();
  client.socket.end();
  await client.closed;
}

describeInstance("clients that end their session", {
  args: ["--token-auth-file", "tokens.csv"],
  command: "serve",
  prepare: (folder) => writeFile(folder.join("tokens.csv"), `${TOKEN},jane,1\n`, { mode: 0o600 }),
}, (instance) => {
  test(`a server keeps serving after the GOAWAY of ${CLIENTS} clients`, async () => {
    let index = 0;
    try {
      // The clients run one after the other, so that freed memory is reused.
      for (; index < CLIENTS; index++) await endByGoaway(instance.port);
    } catch (error) {
      throw new Error(`no answer at index ${index}: ${await describeFate(instance)}`, { cause: error });
    }
  });
});
