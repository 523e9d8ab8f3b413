import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { test } from "node:test";
import { findFreePort } from "../../tests/support/temp.ts";
import { startBalancer } from "./balancer.ts";

/** Says its name to whoever connects, and ends. */
async function startNamed(name: string): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer((socket) => void socket.end(name));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, port: (server.address() as AddressInfo).port };
}

function ask(port: number): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => void chunks.push(chunk));
    socket.on("close", () => resolve(Buffer.concat(chunks).toString()));
  });
}

test("startBalancer() takes servers in turn, passes over those that refuse, and lets go where all do", async () => {
  const [a, b] = [await startNamed("a"), await startNamed("b")];
  const port = await findFreePort();
  await using balancer = await startBalancer(port, [a.port, b.port]);
  assert.deepEqual([await ask(port), await ask(port), await ask(port)], ["a", "b", "a"]);
  assert.deepEqual(balancer.counts(), [2, 1]);
  await new Promise<void>((resolve) => void a.server.close(() => resolve()));
  assert.deepEqual([await ask(port), await ask(port)], ["b", "b"]);
  await new Promise<void>((resolve) => void b.server.close(() => resolve()));
  assert.equal(await ask(port), "");
});
