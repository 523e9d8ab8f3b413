import assert from "node:assert/strict";
import { test } from "node:test";
import { createSystemClock } from "../../cli/system.ts";
import { isAppError } from "../../core/errors.ts";
import { startFakeApi } from "../../tests/support/fake_api.ts";
import { createIssuingCa } from "../../tests/support/issuing_ca.ts";
import { createMemoryFiles } from "../../tests/support/memory_files.ts";
import { createConnector, createServerNames } from "./connect.ts";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";

const { signal } = new AbortController();

test("createConnector() reads a file of CAs again when it changes, and keeps the previous CAs while it is broken", async () => {
  const newCa = await createIssuingCa(new Date());
  await using api = await startFakeApi();
  const files = createMemoryFiles({ "/ca.crt": api.ca.caPem });
  const put = (text: string): void => void files.entries.set("/ca.crt", { kind: "file", text, mode: 0o644 });
  const connect = createConnector({ files, clock: createSystemClock(), userAgent: "test" });
  await using transport = await connect({
    server: api.server,
    insecureSkipTlsVerify: false,
    ca: { kind: "file", path: "/ca.crt" },
  });
  const ask = async (): Promise<number> => {
    const answer = await transport.send({ method: "GET", path: "/healthz", headers: {} }, signal);
    for await (const _ of answer.body);
    return answer.status;
  };
  assert.equal(await ask(), 200);
  for (const broken of ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]) {
    put(broken);
    assert.equal(await ask(), 200);
  }
  files.entries.delete("/ca.crt");
  assert.equal(await ask(), 200);
  put(newCa.caPem);
  await assert.rejects(ask(), (error) => isAppError(error, "tls_untrusted"));
  put(newCa.caPem + api.ca.caPem);
  assert.equal(await ask(), 200);
});

async function startServer(): Promise<Server> {
  const key = await generatePrivateKey("ecdsa-p256");
  const ca = await createIssuingCa(new Date());
  const cert = await ca.issue({
    publicKeyDer: key.publicKeyDer(),
    dnsNames: ["Boot.example"],
    ipAddresses: ["10.0.0.100", "2001:db8::64"],
    usages: ["server auth"],
  });
  const server = createServer({ cert, key: key.toPem() });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

test("createServerNames() returns the names of the certificate, the kubeconfig and the service, keeps them, and fails when the server is down", async () => {
  const server = await startServer();
  const { port } = server.address() as AddressInfo;
  const clock = createFakeClock();
  const names = createServerNames({ server: `https://127.0.0.1:${port}`, tlsServerName: "api.example" }, { clock });
  const found = await names();
  assert.deepEqual(found, {
    dns: [
      "kubernetes",
      "kubernetes.default",
      "kubernetes.default.svc",
      "kubernetes.default.svc.cluster.local",
      "api.example",
      "boot.example",
    ],
    ips: ["127.0.0.1", "10.0.0.100", "2001:db8::64"],
  });
  await new Promise<void>((resolve) => server.close(() => resolve()));
  assert.equal(await names(), found);
  await clock.advance(600_000);
  await assert.rejects(names(), /cannot read the serving certificate of "https:\/\/127\.0\.0\.1/);
  const others = createServerNames({ server: `https://127.0.0.1:${port}` }, { clock });
  await assert.rejects(others(), /cannot read the serving certificate/, "there are no earlier names");
});
