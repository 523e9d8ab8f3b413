import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { Secret } from "../../core/lib/brand.ts";
import { AppError, isAppError } from "../../core/errors.ts";
import type { Clock, TransportResponse } from "../../core/ports.ts";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { startFakeApi } from "../../tests/support/fake_api.ts";
import { createIssuingCa, type IssuingCa } from "../../tests/support/issuing_ca.ts";
import { type ClientPair, createTlsTransport, type TlsTransport, type TlsTransportOptions } from "./tls_transport.ts";

// TLS stacks use the machine's time, so the certificates here do too.
const NOW = new Date();
const HOUR_MS = 3_600_000;
const clock: Clock = {
  now: () => NOW,
  sleepUntil: () => Promise.resolve(),
  elapsedMs: () => 0,
  sleep: () => Promise.resolve(),
};
const { signal } = new AbortController();

function open(server: string, edit: Partial<TlsTransportOptions>): TlsTransport {
  return createTlsTransport({ server, userAgent: "tlsboot/test", clock, ...edit });
}

function get(transport: TlsTransport, path = "/healthz", over = signal): Promise<TransportResponse> {
  return transport.send({ method: "GET", path, headers: {} }, over);
}

async function readText(answer: TransportResponse): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of answer.body) text += decoder.decode(chunk, { stream: true });
  return text;
}

async function issuePair(ca: IssuingCa, commonName: string): Promise<ClientPair> {
  const key = await generatePrivateKey("ecdsa-p256");
  const certificatePem = await ca.issue({ publicKeyDer: key.publicKeyDer(), subject: { commonName } });
  return { certificatePem, keyPem: new Secret(key.toPem()) };
}

test("send() authenticates the server and carries token, user agent and body", async () => {
  await using api = await startFakeApi({ now: NOW });
  await using transport = open(`${api.server}/base/`, {
    caPem: api.ca.caPem,
    token: () => Promise.resolve(new Secret("abc.def")),
  });
  api.intercept = () => ({ status: 201, headers: { "x-many": "1" }, body: "héllo" });
  const body = new TextEncoder().encode('{"a":"ü"}');
  const answer = await transport.send({ method: "POST", path: "/x?y=1", headers: { accept: "a/b" }, body }, signal);
  assert.equal(answer.status, 201);
  assert.equal(answer.headers["x-many"], "1");
  assert.equal(await readText(answer), "héllo");
  const [received] = api.received;
  assert.equal(received?.url, "/base/x?y=1");
  assert.deepEqual(received?.body, { a: "ü" });
  assert.equal(received?.headers["authorization"], "Bearer abc.def");
  assert.equal(received?.headers["user-agent"], "tlsboot/test");
  assert.equal(received?.headers["accept"], "a/b");
});

test("send() presents the current client certificate", async () => {
  await using api = await startFakeApi({ now: NOW });
  const pairs = [await issuePair(api.ca, "first"), await issuePair(api.ca, "second")];
  let current = pairs[0];
  await using transport = open(api.server, { caPem: api.ca.caPem, clientPair: () => Promise.resolve(current) });
  await readText(await get(transport));
  await readText(await get(transport));
  current = pairs[1];
  await readText(await get(transport));
  assert.deepEqual(api.received.map((request) => request.clientName), ["first", "first", "second"]);
});

test("send() trusts the CAs of the moment, and does not disturb what is on its way", async () => {
  const [oldCa, newCa] = [await createIssuingCa(NOW), await createIssuingCa(NOW)];
  await using before = await startFakeApi({ now: NOW, ca: oldCa });
  await using after = await startFakeApi({ now: NOW, ca: newCa });
  let caPem = oldCa.caPem;
  const trust = { caPem: () => Promise.resolve(caPem) };
  await using transport = open(before.server, trust);
  const over = new AbortController();
  const watch = await get(transport, "/apis/a/v1/things?watch=true&sendInitialEvents=true", over.signal);
  await readText(await get(transport));

  caPem = newCa.caPem;
  await assert.rejects(get(transport), (error) => isAppError(error, "tls_untrusted"));
  await using other = open(after.server, trust);
  assert.equal(await readText(await get(other)), "ok");
  assert.equal(before.openWatches, 1);
  await assert.rejects(async () => {
    for await (const _ of watch.body) over.abort(new Error("read"));
  }, /^Error: read$/);

  caPem = oldCa.caPem;
  assert.equal(await readText(await get(transport)), "ok");
});

test("send() tries once more when the server has closed a kept connection", async () => {
  await using api = await startFakeApi({ now: NOW });
  await using transport = open(api.server, { caPem: api.ca.caPem });
  await readText(await get(transport));
  let destroyed = 0;
  api.intercept = () => destroyed++ === 0 ? "destroy" : undefined;
  assert.equal(await readText(await get(transport)), "ok");
  assert.equal(api.requests.length, 3);
});

test("send() does not repeat a write that the server had received when it closed a kept connection", async () => {
  await using api = await startFakeApi({ now: NOW });
  await using transport = open(api.server, { caPem: api.ca.caPem });
  await readText(await get(transport));
  api.intercept = () => "destroy";
  const body = new TextEncoder().encode("{}");
  const write = transport.send({ method: "POST", path: "/apis/a/v1/things", headers: {}, body }, signal);
  await assert.rejects(write, (error) => isAppError(error, "unreachable") && error.retryable);
  assert.equal(api.requests.length, 2);
});

test("send() reports a connection that is cut before the answer as unreachable", async () => {
  await using api = await startFakeApi({ now: NOW });
  await using transport = open(api.server, { caPem: api.ca.caPem });
  api.intercept = () => "destroy";
  await assert.rejects(get(transport), (error) => isAppError(error, "unreachable") && error.retryable);
});

test("send() rejects with the signal's reason, before and during a request", async () => {
  await using api = await startFakeApi({ now: NOW });
  await using transport = open(api.server, { caPem: api.ca.caPem });
  const reason = new Error("stop");
  await assert.rejects(get(transport, "/", AbortSignal.abort(reason)), reason);
  const over = new AbortController();
  const answer = await get(transport, "/apis/a/v1/things?watch=true&sendInitialEvents=true", over.signal);
  await assert.rejects(async () => {
    for await (const _ of answer.body) over.abort(reason);
  }, reason);
});

for (
  const { name, serving, edit, want, hint } of [
    {
      name: "another CA",
      serving: {},
      edit: { caPem: "other" },
      want: "its serving certificate is signed by an unknown authority",
      hint: /certificate-authority in the kubeconfig/,
    },
    {
      name: "no CA given",
      serving: {},
      edit: { caPem: "" },
      want: "its serving certificate is signed by an unknown authority",
      hint: /certificate-authority/,
    },
    {
      name: "another address",
      serving: { ipAddresses: ["10.0.0.1"] },
      edit: {},
      want: 'its serving certificate is not valid for the name "127.0.0.1"',
      hint: /tls-server-name/,
    },
    {
      name: "another tls-server-name",
      serving: {},
      edit: { tlsServerName: "wrong.example" },
      want: 'its serving certificate is not valid for the name "wrong.example"',
      hint: /tls-server-name/,
    },
    {
      name: "an expired serving certificate",
      serving: { notBefore: new Date(NOW.getTime() - 2 * HOUR_MS), notAfter: new Date(NOW.getTime() - HOUR_MS) },
      edit: {},
      want: /its serving certificate expired at .*Z \(this machine's clock says .*Z\)/,
      hint: /renew the server's certificate/,
    },
    {
      name: "a serving certificate of the future",
      serving: { notBefore: new Date(NOW.getTime() + HOUR_MS), notAfter: new Date(NOW.getTime() + 2 * HOUR_MS) },
      edit: {},
      want: /its serving certificate is not valid before .*Z \(this machine's clock says .*Z\)/,
      hint: /set this machine's clock/,
    },
  ]
) {
  test(`send() does not trust ${name}`, async () => {
    await using api = await startFakeApi({ now: NOW, serving });
    const caPem = edit.caPem === "other" ? (await createIssuingCa(NOW, "other")).caPem : api.ca.caPem;
    const { caPem: _, ...rest } = edit;
    await using transport = open(api.server, { ...(edit.caPem === "" ? {} : { caPem }), ...rest });
    await assert.rejects(get(transport), (error) => {
      assert.ok(error instanceof AppError);
      assert.equal(error.code, "tls_untrusted");
      assert.ok(error.message.startsWith(`cannot trust "${api.server}": `), error.message);
      assert.match(error.message, want instanceof RegExp ? want : new RegExp(RegExp.escape(want)));
      assert.match(error.hint ?? "", hint);
      return true;
    });
    assert.deepEqual(api.requests, [], "nothing was sent");
  });
}

test("send() accepts any serving certificate with insecureSkipTlsVerify", async () => {
  await using api = await startFakeApi({ now: NOW, serving: { ipAddresses: [] } });
  await using transport = open(api.server, { insecureSkipTlsVerify: true });
  assert.equal(await readText(await get(transport)), "ok");
});

test("send() reports a refused connection", async () => {
  const api = await startFakeApi({ now: NOW });
  await api[Symbol.asyncDispose]();
  await using transport = open(api.server, { caPem: api.ca.caPem });
  await assert.rejects(get(transport), (error) => {
    assert.ok(isAppError(error, "unreachable") && error.retryable);
    assert.equal(error.message, `cannot reach "${api.server}": connection refused`);
    assert.match(error.hint ?? "", /check that the server runs/);
    return true;
  });
});

test("send() reports a port that serves plain HTTP", async () => {
  const server = createServer((_, response) => void response.end("hi"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  await using transport = open(`https://127.0.0.1:${port}`, {});
  await assert.rejects(get(transport), (error) => {
    assert.ok(isAppError(error, "tls_untrusted"));
    assert.match(error.message, /it does not speak TLS$/);
    return true;
  });
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

for (const server of ["http://127.0.0.1:80", "127.0.0.1:6443", ""]) {
  test(`createTlsTransport() refuses the server "${server}"`, () => {
    assert.throws(() => open(server, {}), (error) => isAppError(error, "kubeconfig_invalid"));
  });
}
