import assert from "node:assert/strict";
import http from "node:http";
import https from "node:https";
import { type AddressInfo, createServer, isIPv6, type Socket } from "node:net";
import { test } from "node:test";
import { Buffer } from "node:buffer";
import { Secret } from "../../core/lib/brand.ts";
import { AppError, getErrorMessage, isAppError } from "../../core/errors.ts";
import type { Clock, TransportResponse } from "../../core/ports.ts";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { startFakeApi } from "../../tests/support/fake_api.ts";
import { createIssuingCa, type IssuingCa } from "../../tests/support/issuing_ca.ts";
import { createSystemClock } from "../../cli/system.ts";
import { encodePem } from "../../core/pki/asn1/pem.ts";
import { buildChainCases, type ChainCase } from "../../tests/support/chain_cases.ts";
import type { Verdict } from "../../tests/support/chain_drafts.ts";
import {
  type ClientPair,
  createServerIdentityCheck,
  createTlsTransport,
  type ServerIdentityOptions,
  type TlsTransport,
  type TlsTransportOptions,
} from "./tls_transport.ts";
import process from "node:process";
import tls, { type PeerCertificate } from "node:tls";

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
  const body = { a: "ü" };
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

test("send() trusts the current CAs, and does not disturb requests in progress", async () => {
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
  const write = transport.send({ method: "POST", path: "/apis/a/v1/things", headers: {}, body: {} }, signal);
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
      name: "a serving certificate that is not valid yet",
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
  await using transport = open("https://127.0.0.1:1", {});
  await assert.rejects(get(transport), (error) => {
    assert.ok(isAppError(error, "unreachable") && error.retryable);
    assert.equal(error.message, 'cannot reach "https://127.0.0.1:1": connection refused');
    assert.match(error.hint ?? "", /check that the server runs/);
    return true;
  });
});

test("send() reports a port that serves plain HTTP", async () => {
  const server = http.createServer((_, response) => void response.end("hi"));
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

// Each case runs a real handshake: the verdict of the TLS layer of this runtime, with the options of the transport.
const NEVER = new AbortController().signal;
const IS_DENO = process.versions["deno"] !== undefined;
/** The time limit of one case. An expensive path search would never end; each of these cases takes milliseconds. */
const NEVER_ENDING_MS = 120_000;

test("createTlsTransport() trusts a server as RFC 5280 and RFC 6125 require", async (t) => {
  const all = await buildChainCases(new Date());
  // A machine may have no IPv6 to listen on; the tests of createServerIdentityCheck check those.
  const cases = all.filter(({ host }) => !isIPv6(host));
  assert.ok(cases.length > 150, String(cases.length));
  for (const one of cases) {
    const want = IS_DENO ? one.deno : one.node;
    const options = { timeout: NEVER_ENDING_MS };
    await t.test(`${want}: ${one.name}`, options, async () => assert.equal(await connect(one), want));
  }
});

async function connect({ chain, key, roots, host }: ChainCase): Promise<Verdict> {
  const cert = chain.map((der) => encodePem("CERTIFICATE", der)).join("");
  // OpenSSL refuses small keys at the server already; rustls in Deno has no such option.
  const lenient = IS_DENO ? {} : { ciphers: "DEFAULT@SECLEVEL=0" };
  const server = https.createServer(
    { cert, key: key.toPem(), ...lenient },
    (_request, response) => void response.end("{}"),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    await using transport = createTlsTransport({
      server: `https://127.0.0.1:${address.port}`,
      caPem: roots.map((der) => encodePem("CERTIFICATE", der)).join(""),
      ...(host === "127.0.0.1" ? {} : { tlsServerName: host }),
      userAgent: "test",
      clock: createSystemClock(),
    });
    const answer = await transport.send({ method: "GET", path: "/", headers: {} }, NEVER);
    for await (const _chunk of answer.body);
    return "accept";
  } catch (error) {
    // Deno's server does not start with a certificate that rustls cannot parse.
    if (isAppError(error, "tls_untrusted") || /closed by the server$/.test(getErrorMessage(error))) return "refuse";
    throw error;
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

// TLS versions: the limit does not depend on the default of the runtime.
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

/** The time of the checks without a connection. */
const CHECKED_AT = new Date("2026-11-25T12:00:00Z");
const origin = "https://n1.example.org:6443";

test("createServerIdentityCheck() checks names, and paths when it knows the roots", async () => {
  const cases = await buildChainCases(CHECKED_AT);
  const find = (name: string): ChainCase => cases.find((one) => one.name === name)!;
  const decide = (one: ChainCase, edit: Partial<ServerIdentityOptions> = {}): string => {
    const caPem = one.roots.map((der) => encodePem("CERTIFICATE", der)).join("");
    const check = createServerIdentityCheck({ caPem, origin, verifiesPath: true, ...edit });
    return check(one.host, toPeerCertificate(one))?.message ?? "good";
  };
  const noCa = find("an intermediate of version 1");
  assert.equal(decide(find("two intermediates")), "good");
  assert.match(decide(noCa), /break a rule: x509: invalid signature: parent certificate cannot sign/);
  for (const edit of [{ verifiesPath: false }, { caPem: undefined }]) {
    assert.equal(decide(noCa, edit), "good");
    assert.equal(
      decide(find("host: a common name alone"), edit),
      `cannot trust "${origin}": its serving certificate is not valid for the name "n1.example.org"`,
    );
  }
});

test("createServerIdentityCheck() checks addresses, keys and, with a clock, the dates of roots", async () => {
  const cases = await buildChainCases(CHECKED_AT);
  const decide = (one: ChainCase, edit: Partial<ServerIdentityOptions>): string => {
    const caPem = one.roots.map((der) => encodePem("CERTIFICATE", der)).join("");
    const check = createServerIdentityCheck({ caPem, origin, verifiesPath: true, ...edit });
    return check(one.host, toPeerCertificate(one)) === undefined ? "accept" : "refuse";
  };
  const now = (): Date => CHECKED_AT;
  const ofAddresses = cases.filter(({ host }) => isIPv6(host));
  assert.ok(ofAddresses.length > 0, "some cases have an IPv6 address as the host");
  for (const one of ofAddresses) {
    for (const edit of [{ now }, { verifiesPath: false }]) assert.equal(decide(one, edit), one.want, one.name);
  }
  const find = (name: string): ChainCase => cases.find((one) => one.name === name)!;
  assert.equal(decide(find("an intermediate with an RSA key of 8704 bits"), { verifiesPath: false }), "refuse");
  assert.equal(decide(find("an intermediate with an RSA key of exponent 1"), { verifiesPath: false }), "refuse");
  assert.equal(decide(find("an expired root"), { now }), "refuse");
  assert.equal(decide(find("an expired root"), {}), "accept");
});

/** Builds a chain in the form of `getPeerCertificate(true)`. */
function toPeerCertificate({ chain }: ChainCase): PeerCertificate {
  const shown = chain.toReversed().reduce<object | undefined>(
    (issuerCertificate, der) => ({ raw: Buffer.from(der), issuerCertificate }),
    undefined,
  );
  return shown as PeerCertificate;
}
