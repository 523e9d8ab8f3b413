import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { AppError, isAppError } from "../../core/errors.ts";
import { type HttpProxy, parseProxyUrl } from "../../core/lib/proxy.ts";
import type { TransportResponse } from "../../core/ports.ts";
import { startFakeApi } from "../../tests/support/fake_api.ts";
import { startHttpProxy } from "../../tests/support/http_proxy.ts";
import { issueServing } from "../../tests/support/issuing_ca.ts";
import { createFakeClock, until } from "../../tests/support/fake_clock.ts";
import { createTlsTransport, type TlsTransport, type TlsTransportOptions } from "./tls_transport.ts";
import { createServerNames } from "./connect.ts";

// Only the proxy can resolve this name.
const HOST = "api.example.test";
const { signal } = new AbortController();

async function startServer() {
  const api = await startFakeApi({ now: new Date(), serving: { dnsNames: [HOST] } });
  return Object.assign(api, { url: api.server.replace("127.0.0.1", HOST) });
}

function parse(url: string): HttpProxy {
  const proxy = parseProxyUrl(url);
  assert.ok(proxy.ok);
  return proxy.value;
}

function open(server: string, proxy: string, rest: Partial<TlsTransportOptions>): TlsTransport {
  return createTlsTransport({ server, proxy: parse(proxy), userAgent: "test", ...rest });
}

async function get(transport: TlsTransport, over = signal): Promise<number> {
  const { status, body }: TransportResponse = await transport.send(
    { method: "GET", path: "/healthz", headers: {} },
    over,
  );
  for await (const _ of body); // read to the end, so that the connection is kept
  return status;
}

test("a transport reaches its server through a proxy, verifies it, and keeps the connection", async () => {
  await using api = await startServer();
  await using proxy = await startHttpProxy();
  await using transport = open(api.url, proxy.url, { caPem: api.ca.caPem });
  api.intercept = () => ({ status: 204 });
  assert.equal(await get(transport), 204);
  assert.equal(await get(transport), 204);
  const { port } = new URL(api.url);
  assert.deepEqual(proxy.heads, [`CONNECT ${HOST}:${port} HTTP/1.1\r\nHost: ${HOST}:${port}\r\n\r\n`]);
  await using other = open(api.url, proxy.url, { caPem: api.ca.caPem, tlsServerName: "other.example" });
  await assert.rejects(
    get(other),
    (error) => isAppError(error, "tls_untrusted") && /other\.example/.test(error.message),
  );
});

test("a transport authenticates at a proxy over TLS, and presents no client certificate to it", async () => {
  await using api = await startServer();
  await using proxy = await startHttpProxy(await issueServing(api.ca));
  const url = proxy.url.replace("//", "//anna:s%40cret@");
  await using transport = open(api.url, url, { caPem: api.ca.caPem });
  assert.equal(await get(transport), 200);
  assert.match(proxy.heads[0] ?? "", new RegExp(`Proxy-Authorization: Basic ${btoa("anna:s@cret")}\r\n`));
  for (const { headers } of api.received) assert.equal(headers["proxy-authorization"], undefined);
});

test("a serving certificate is read through the proxy of the cluster", async () => {
  await using api = await startServer();
  await using proxy = await startHttpProxy();
  const names = await createServerNames({ server: api.url, proxy: parse(proxy.url) }, { clock: createFakeClock() })();
  assert.ok(names.dns.includes(HOST));
  assert.equal(proxy.heads.length, 1);
});

for (
  const [name, answer, want, isRetryable] of [
    [
      "wants credentials",
      "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
      /wants another user name or password/,
      false,
    ],
    ["refuses the server", "HTTP/1.1 403 Forbidden\r\n\r\n", /it answered 403 Forbidden$/, true],
    ["closes the connection", "", /it closed the connection$/, true],
    ["is an SSH server", "SSH-2.0-OpenSSH\r\n\r\n", /it does not speak HTTP$/, true],
    ["never ends its answer", "x".repeat(20_000), /it does not speak HTTP$/, true],
    ["hangs", "hang", /through the proxy "http:\/\/127\.0\.0\.1:\d+": (connection timed out|no tunnel within)/, true],
  ] as const
) {
  test(`a proxy that ${name} is named in the error, without its user`, async () => {
    await using api = await startServer();
    await using proxy = await startHttpProxy();
    proxy.answer = answer;
    const url = proxy.url.replace("//", "//anna:s3cret@");
    // Only the proxy that never answers has a short time: the others may be slow.
    const timeouts = answer === "hang" ? { connectMs: 1_000 } : {};
    await using transport = open(api.url, url, { caPem: api.ca.caPem, timeouts });
    await assert.rejects(get(transport), (error) => {
      assert.ok(error instanceof AppError);
      assert.equal(error.code, "unreachable");
      assert.equal(error.retryable, isRetryable);
      assert.ok(error.message.includes(`through the proxy "${proxy.url}"`), error.message);
      assert.match(error.message, want);
      assert.doesNotMatch(inspect(error), /anna|s3cret|YW5uY/);
      return true;
    });
  });
}

test("a proxy that is down is named in the error, and a request can be aborted while a proxy hangs", async () => {
  await using proxy = await startHttpProxy();
  proxy.answer = "hang";
  const stop = new AbortController();
  await using transport = open("https://api.example.test", proxy.url, {});
  const sent = get(transport, stop.signal);
  await until(() => proxy.heads.length === 1);
  stop.abort(new Error("enough"));
  await assert.rejects(sent, /enough/);
  await using down = open("https://api.example.test", "http://127.0.0.1:1", {});
  await assert.rejects(get(down), /cannot reach "api\.example\.test:443" through the proxy "http:.*refused/i);
});
