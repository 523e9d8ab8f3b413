/** Clients that take their leave: nothing of a connection is used after its end, on either runtime. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { writeFile } from "node:fs/promises";
import { connect } from "node:tls";
import { after, before, test } from "node:test";
import { type SiteProcess, startSiteProcess } from "../support/site_process.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";

/** A runtime that goes on with what it has freed ended after ten to a hundred of them. */
const GOODBYES = 1_000;

/** The server itself ends the connections of those whom it does not know. */
const TOKEN = "somebody.0123456789abcdef";

const DATA = 0;
const HEADERS = 1;
const SETTINGS = 4;
const GOAWAY = 7;
const ACK = 0x1;
const END_STREAM = 0x1;
const END_HEADERS = 0x4;

let folder: TempFolder;
let site: SiteProcess;
before(async () => {
  folder = await createTempFolder();
  await writeFile(folder.join("tokens.csv"), `${TOKEN},somebody,1\n`, { mode: 0o600 });
  site = await startSiteProcess(folder, ["--token-auth-file", folder.join("tokens.csv")], "serve");
});
after(async () => {
  await site[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

/** A frame of HTTP/2 (RFC 9113, section 4.1). */
function frame(type: number, flags: number, stream: number, payload: Uint8Array): Uint8Array {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header.writeUInt8(type, 3);
  header.writeUInt8(flags, 4);
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

/** GET, https, and path, authority and authorization as they stand (RFC 7541, sections 6.1 and 6.2.2, appendix A). */
function getHeaders(path: string): Uint8Array {
  const literal = (name: readonly number[], value: string) => [...name, value.length, ...Buffer.from(value)];
  return Buffer.from([
    ...[0x82, 0x87],
    ...literal([4], path),
    ...literal([1], "localhost"),
    ...literal([0x0f, 23 - 0x0f], `Bearer ${TOKEN}`),
  ]);
}

const HELLO = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  frame(SETTINGS, 0, 0, new Uint8Array()),
  frame(HEADERS, END_STREAM | END_HEADERS, 1, getHeaders("/version")),
]);
const SETTINGS_SEEN = frame(SETTINGS, ACK, 0, new Uint8Array());
/** No stream of the server's was seen, and there is no error. */
const GOODBYE = frame(GOAWAY, 0, 0, new Uint8Array(8));

/** A session whose client says goodbye when it has its answer. */
function sayGoodbye(): Promise<void> {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    let isLeaving = false;
    const socket = connect({ host: "127.0.0.1", port: site.port, rejectUnauthorized: false, ALPNProtocols: ["h2"] });
    socket.on("error", reject);
    socket.on("close", () => isLeaving ? resolve() : reject(new Error("the server ended a session before its answer")));
    socket.once("secureConnect", () => socket.write(HELLO));
    socket.on("data", (chunk: Uint8Array) => {
      received = Buffer.concat([received, chunk]);
      if (isLeaving || !hasAnswer(received)) return;
      isLeaving = true;
      // As Node's own client takes its leave: each in a turn of the event loop.
      socket.write(SETTINGS_SEEN);
      setImmediate(() => {
        socket.write(GOODBYE);
        setImmediate(() => socket.end());
      });
    });
  });
}

/** Whether these frames have the last one of an answer. */
function hasAnswer(bytes: Buffer): boolean {
  for (let at = 0; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
    if (bytes.readUInt8(at + 3) === DATA && bytes.readUInt8(at + 4) === END_STREAM) return true;
  }
  return false;
}

test(`a server that ${GOODBYES} clients take their leave of by GOAWAY goes on`, async () => {
  // One after the other: what is free has to be taken for something else meanwhile.
  for (let goodbye = 0; goodbye < GOODBYES; goodbye++) await sayGoodbye();
  assert.equal(site.running.hasEnded(), false, site.running.stderr());
});
