/** Compares the answers of kube-apiserver and tlsboot to requests that no HTTP library sends, byte for byte. */
import assert from "node:assert/strict";
import { connect as connectTcp, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { type Pair, startPair } from "../comparison/sides.ts";

let pair: Pair;

async function sendToBoth(connect: (port: number) => Socket, request: string): Promise<readonly string[]> {
  return await Promise.all(pair.sides.map(async ({ port }) => {
    const socket = connect(port);
    socket.write(request);
    return await text(socket);
  }));
}

const plain = (port: number): Socket => connectTcp(port, "127.0.0.1");
const secure = (port: number): Socket =>
  connectTls({ host: "127.0.0.1", port, rejectUnauthorized: false, ALPNProtocols: ["http/1.1"] });

const REQUESTS = {
  "HTTP without TLS": {
    connect: plain,
    requests: [
      "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
      "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
      "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
      "PUT / HTTP/1.0\r\n\r\n",
      "OPTIONS / HTTP/1.0\r\n\r\n",
    ],
  },
  "a malformed request": {
    connect: secure,
    requests: [
      "GET /version HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
      "GET /version HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n",
      "GET /version HTTP/1.1\r\n\r\n",
      "GET /version HTTP/1.1\r\nHost: a b\r\n\r\n",
      "GET /version HTTP/2.0\r\nHost: x\r\n\r\n",
      "GET /version HTTP/1.0\r\nA b\r\n\r\n",
      "POST /version HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
      "hello\r\n\r\n",
    ],
  },
};

describe("malformed requests", () => {
  before(async () => {
    pair = await startPair();
  });
  after(() => pair[Symbol.asyncDispose]());

  for (const [what, { connect, requests }] of Object.entries(REQUESTS)) {
    for (const request of requests) {
      test(`${what} gets the same answer: ${JSON.stringify(request)}`, async () => {
        const [want, got] = await sendToBoth(connect, request);
        assert.equal(got, want);
      });
    }
  }

  test("an HTTP/1.0 request gets kube-apiserver's status line, length and body, and the connection ends", async () => {
    const [want, got] = await sendToBoth(secure, "GET /livez HTTP/1.0\r\n\r\n");
    const parts = (answer: string) => {
      const [head = "", body] = answer.split("\r\n\r\n");
      return { status: head.split("\r\n", 1)[0], length: /\r\ncontent-length: (\d+)/i.exec(head)?.[1], body };
    };
    assert.deepEqual(parts(got!), parts(want!));
    assert.equal(parts(got!).status, "HTTP/1.0 200 OK");
  });
});
