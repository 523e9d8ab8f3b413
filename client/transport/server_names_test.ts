import assert from "node:assert/strict";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createIssuingCa } from "../../tests/support/issuing_ca.ts";
import { createServerNames } from "./server_names.ts";

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
  await assert.rejects(names(), /cannot see the serving certificate of "https:\/\/127\.0\.0\.1/);
  const others = createServerNames({ server: `https://127.0.0.1:${port}` }, { clock });
  await assert.rejects(others(), /cannot see the serving certificate/, "there is nothing to keep");
});
