import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import { createSystemClock } from "../../cli/system.ts";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { createIssuingCa, issueServing, type IssuingCa } from "../../tests/support/issuing_ca.ts";
import { type Server, startServer } from "../server.ts";
import { memoryServerOptions } from "../../tests/support/memory_server.ts";

const clock = createSystemClock();
const IS_DENO = process.versions["deno"] !== undefined;
const WHOAMI = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

let ca: IssuingCa;
let next: IssuingCa;
let credentials: { cert: string; key: string };
let server: Server;

describe("TLS", () => {
  before(async () => {
    ca = await createIssuingCa(clock.now());
    next = await createIssuingCa(clock.now(), "next-ca");
    const key = await generatePrivateKey("ecdsa-p256");
    const subject = { commonName: "tester", organizations: ["dev"] };
    credentials = { cert: await ca.issue({ subject, publicKeyDer: key.publicKeyDer() }), key: key.toPem() };
    server = await startServer(memoryServerOptions(clock, {
      serving: await issueServing(ca),
      clientCaPem: ca.caPem,
    }));
  });

  after(() => server[Symbol.asyncDispose]());

  /** Opens a connection, and resolves after its handshake. */
  function open(options: ConnectionOptions): Promise<TLSSocket> {
    return new Promise((resolve, reject) => {
      const socket = connect({
        host: "127.0.0.1",
        port: server.port,
        servername: "localhost",
        ca: ca.caPem,
        ...options,
      });
      socket.once("secureConnect", () => resolve(socket));
      socket.once("error", reject);
    });
  }

  /** The outcome of a connection to the port. */
  interface Identified {
    /** The status code, and the user as whom the server identifies the client. */
    readonly code: string;
    /** The TLS session, to be resumed later. */
    readonly session: Buffer | undefined;
    readonly isResumed: boolean;
  }

  async function identify(options: ConnectionOptions): Promise<Identified> {
    const socket = await open(options);
    const isResumed = socket.isSessionReused();
    // With TLS 1.2 the session is known by now; with TLS 1.3 a later event delivers it.
    let session: Buffer | undefined = socket.getSession();
    socket.on("session", (ticket: Buffer) => session = ticket);
    socket.write(
      `POST ${WHOAMI} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 2\r\n` +
        "connection: close\r\n\r\n{}",
    );
    const chunks: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    await new Promise((resolve) => socket.once("close", resolve));
    const text = Buffer.concat(chunks).toString();
    return { code: `${text.slice(9, 12)} ${/"username":"([^"]*)"/.exec(text)?.[1] ?? ""}`, session, isResumed };
  }

  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    test(`listen() identifies the user of a session resumed over ${version} while the CA is trusted`, async () => {
      server.setClientCa(ca.caPem);
      const tls: ConnectionOptions = { ...credentials, minVersion: version, maxVersion: version };
      const first = await identify(tls);
      assert.equal(first.code, "201 tester");
      const resuming = first.session === undefined ? tls : { ...tls, session: first.session };
      const second = await identify(resuming);
      assert.equal(second.code, "201 tester");
      // Deno's client never resumes a session; tests/interop/openssl_test.ts has a client that does.
      assert.equal(second.isResumed, !IS_DENO);
      // The removal of the CA also affects resumed sessions.
      server.setClientCa(next.caPem);
      assert.equal((await identify(resuming)).code, "401 ");
      server.setClientCa(ca.caPem);
      assert.equal((await identify(resuming)).code, "201 tester");
    });
  }

  for (const version of ["TLSv1", "TLSv1.1"] as const) {
    test(`listen() refuses ${version}`, async () => {
      await assert.rejects(open({ minVersion: version, maxVersion: version, ciphers: "DEFAULT@SECLEVEL=0" }));
    });
  }

  for (const ciphers of ["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "AES128-GCM-SHA256"]) {
    test(`listen() never agrees on ${ciphers}, also after its CAs have changed`, async () => {
      server.setClientCa(ca.caPem);
      // Deno's client offers other ciphers, and gets a better one.
      const agreed = await open({ maxVersion: "TLSv1.2", ciphers }).then((socket) => {
        const { name } = socket.getCipher();
        socket.destroy();
        return name;
      }, () => "nothing");
      assert.notEqual(agreed, ciphers);
    });
  }

  test("listen() speaks HTTP/2 and HTTP/1.1 by ALPN, HTTP/1.1 without it, and nothing else", async () => {
    for (
      const { offered, want } of [
        { offered: ["h2", "http/1.1"], want: "h2" },
        { offered: ["http/1.1"], want: "http/1.1" },
        { offered: undefined, want: false },
      ]
    ) {
      const socket = await open(offered === undefined ? {} : { ALPNProtocols: offered });
      assert.equal(socket.alpnProtocol, want);
      socket.destroy();
    }
    await assert.rejects(open({ ALPNProtocols: ["spdy/3"] }));
  });
});
