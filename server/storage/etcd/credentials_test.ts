import assert from "node:assert/strict";
import { type AddressInfo, connect as connectPlain } from "node:net";
import { before, test } from "node:test";
import { createSecureContext, createServer } from "node:tls";
import { createSystemClock } from "../../../cli/system.ts";
import { createIssuingCa, issueServing, type IssuingCa } from "../../../tests/support/issuing_ca.ts";
import { EtcdCredentials } from "./credentials.ts";

let ca: IssuingCa;
before(async () => {
  ca = await createIssuingCa(createSystemClock().now());
});

/** Shakes hands with a server of a certificate as with the member at a host. */
async function shakeHands(host: string, names: { readonly dnsNames?: string[]; readonly ipAddresses?: string[] }) {
  const { certificatePem: cert, keyPem: key } = await issueServing(ca, { dnsNames: [], ipAddresses: [], ...names });
  const server = createServer({ key, cert, ALPNProtocols: ["h2"] });
  server.on("tlsClientError", () => undefined);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const socket = connectPlain((server.address() as AddressInfo).port, "127.0.0.1");
  try {
    await new Promise((resolve) => socket.once("connect", resolve));
    const connector = new EtcdCredentials(host, createSecureContext({ ca: ca.caPem }))._createSecureConnector();
    const { secure, socket: secured } = await connector.connect(socket);
    secured.destroy();
    return secure;
  } finally {
    socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}

for (
  const { host, names, isNamed } of [
    { host: "127.0.0.1", names: { ipAddresses: ["127.0.0.1"] }, isNamed: true },
    { host: "[::1]", names: { ipAddresses: ["::1"] }, isNamed: true },
    { host: "etcd-0.example.com", names: { dnsNames: ["etcd-0.example.com"] }, isNamed: true },
    { host: "127.0.0.1", names: { ipAddresses: ["127.0.0.2"] }, isNamed: false },
    { host: "127.0.0.1", names: { dnsNames: ["localhost"] }, isNamed: false },
    { host: "[::1]", names: { ipAddresses: ["127.0.0.1"] }, isNamed: false },
    { host: "etcd-0.example.com", names: { dnsNames: ["etcd-1.example.com"] }, isNamed: false },
    { host: "localhost", names: { ipAddresses: ["127.0.0.1"] }, isNamed: false },
  ]
) {
  test(`EtcdCredentials ${isNamed ? "take" : "refuse"} ${JSON.stringify(names)} at ${host}`, async () => {
    const shaking = shakeHands(host, names);
    if (isNamed) assert.equal(await shaking, true);
    else await assert.rejects(shaking, /does not match certificate's altnames|not valid for/i);
  });
}
