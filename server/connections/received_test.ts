import assert from "node:assert/strict";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { createSystemClock } from "../../cli/system.ts";
import { createIssuingCa, issueServing } from "../../tests/support/issuing_ca.ts";
import { memoryServerOptions } from "../../tests/support/memory_server.ts";
import { sendRaw } from "../../tests/support/raw_http.ts";
import { type Server, startServer } from "../server.ts";

let server: Server;

describe("malformed requests", () => {
  before(async () => {
    const clock = createSystemClock();
    const serving = await issueServing(await createIssuingCa(clock.now()));
    server = await startServer(memoryServerOptions(clock, { serving, clientCaPem: undefined }));
  });
  after(() => server[Symbol.asyncDispose]());

  // Observed on kube-apiserver 1.37.2; tests/interop/certificates/malformed_requests_test.ts compares both servers.
  for (
    const [what, request, status] of [
      ["two hosts", "GET /version HTTP/1.1\r\nHost: x\r\nhost: x\r\n\r\n", "400 Bad Request"],
      ["two hosts over HTTP/1.0", "GET /version HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n", "400 Bad Request"],
      ["no host", "GET /version HTTP/1.1\r\n\r\n", "400 Bad Request: missing required Host header"],
      ["a host with a space", "GET /version HTTP/1.1\r\nHost: a b\r\n\r\n", "400 Bad Request: malformed Host header"],
      [
        "HTTP/2.0 in a request line",
        "GET /version HTTP/2.0\r\nHost: x\r\n\r\n",
        "505 HTTP Version Not Supported: unsupported protocol version",
      ],
      ["bytes that are not a request", "hello\r\n\r\n", "400 Bad Request"],
    ] as const
  ) {
    test(`a connection with ${what} ends with ${status}`, async () => {
      const answer = await sendRaw(server.port, request);
      const head = `HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close`;
      assert.equal(answer.text, `${head}\r\n\r\n${status}`);
    });
  }

  // Observed on net/http of Go 1.26. Node's parser itself refuses a last coding that is not "chunked", with 400.
  for (
    const codings of [
      ["identity, chunked"],
      ["gzip, chunked"],
      ["identity", "chunked"],
    ]
  ) {
    test(`a body in the transfer encodings ${JSON.stringify(codings)} ends the connection with 501`, async () => {
      const headers = codings.map((coding) => `Transfer-Encoding: ${coding}\r\n`).join("");
      const answer = await sendRaw(server.port, `POST /version HTTP/1.1\r\n${headers}Host: x\r\n\r\n0\r\n\r\n`);
      const head = "HTTP/1.1 501 Not Implemented\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close";
      assert.equal(answer.text, `${head}\r\n\r\nUnsupported transfer encoding`);
    });
  }

  test("a body in the transfer encoding CHUNKED is read", async () => {
    const head = "POST /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: CHUNKED";
    const { text } = await sendRaw(server.port, `${head}\r\n\r\n1\r\na\r\n0\r\n\r\n`);
    assert.match(text, /^HTTP\/1\.1 403 /);
  });

  for (
    const [request, headers] of [
      ["GET /livez HTTP/1.0\r\n\r\n", /\r\nConnection: close\r\n/],
      ["GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", /\r\nConnection: keep-alive\r\n/],
    ] as const
  ) {
    test(`a request of HTTP/1.0 keeps its connection only if it asks for that: ${JSON.stringify(request)}`, async () => {
      const answer = await sendRaw(server.port, request);
      assert.match(answer.text, /^HTTP\/1\.0 200 OK\r\n[^]*\r\ncontent-length: 2\r\n[^]*\r\n\r\nok$/);
      assert.match(answer.text, headers);
    });
  }

  /** Returns the answer of a port to bytes without TLS. */
  async function sendPlain(...pieces: readonly string[]): Promise<string> {
    const socket = connect(server.port, "127.0.0.1").setEncoding("latin1");
    for (const piece of pieces) socket.write(piece);
    return await text(socket).catch(() => "");
  }

  for (const request of ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "OPTIONS * HTTP/1.0\r\n\r\n", "PUT / HTTP/1.1\r\n"]) {
    test(`HTTP without TLS gets an answer that says so: ${JSON.stringify(request)}`, async () => {
      const want = "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
      assert.equal(await sendPlain(request, "x".repeat(100_000)), want);
    });
  }

  test("bytes that are neither TLS nor a request that Go recognizes get no text", async () => {
    for (const bytes of ["DELETE / HTTP/1.1\r\n\r\n", "hello hello hello"]) {
      assert.ok(!(await sendPlain(bytes)).includes("HTTP"), bytes);
    }
  });
});
