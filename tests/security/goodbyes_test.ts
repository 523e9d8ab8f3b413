/** Clients that take their leave: nothing of a connection is used after its end, on either runtime. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { FRAME, frame, openRaw, PREFACE, requestFrame } from "../support/raw_http2.ts";
import { describeFate, type InstanceProcess, startInstanceProcess } from "../support/instance_process.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";

/** A runtime that goes on with what it has freed ended after tens of them, seldom after hundreds. */
const GOODBYES = 1_000;
/** The server itself ends the connections of those whom it does not know. */
const TOKEN = "somebody.0123456789abcdef";

const ACK = 1;
/** `:status: 200` (RFC 7541, appendix A). */
const STATUS_200 = 0x88;

let folder: TempFolder;
let instance: InstanceProcess;
before(async () => {
  folder = await createTempFolder();
  await writeFile(folder.join("tokens.csv"), `${TOKEN},somebody,1\n`, { mode: 0o600 });
  instance = await startInstanceProcess(folder, ["--token-auth-file", folder.join("tokens.csv")], "serve");
});
after(async () => {
  await instance[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

/** A session whose client says goodbye when it has its answer, as Node's own does: each step in a turn of its loop. */
async function sayGoodbye(): Promise<void> {
  using client = await openRaw(instance.port, "h2");
  client.socket.write(PREFACE);
  client.socket.write(requestFrame(1, "GET", "/version", { authorization: `Bearer ${TOKEN}` }));
  const answer = () => client.frames().filter(({ stream }) => stream === 1);
  while (!answer().some(({ type }) => type === FRAME.data)) await once(client.socket, "data");
  assert.equal(answer()[0]?.payload[0], STATUS_200);
  client.socket.write(frame(FRAME.settings, ACK, 0));
  await setImmediate();
  // No stream of the server's was seen, and there is no error.
  client.socket.write(frame(FRAME.goaway, 0, 0, new Uint8Array(8)));
  await setImmediate();
  client.socket.end();
  await client.closed;
}

test(`a server that ${GOODBYES} clients take their leave of by GOAWAY goes on`, { timeout: 120_000 }, async () => {
  let goodbye = 0;
  try {
    // One after the other: what is free has to be taken for something else meanwhile.
    for (; goodbye < GOODBYES; goodbye++) await sayGoodbye();
  } catch (error) {
    throw new Error(`no answer at goodbye ${goodbye}: ${await describeFate(instance)}`, { cause: error });
  }
});
