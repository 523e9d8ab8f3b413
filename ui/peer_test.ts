import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { endianness, platform } from "node:os";
import process from "node:process";
import { test } from "node:test";
import { findPeer, findSocketOwner, type LoopbackConnection } from "./peer.ts";

const CONNECTION: LoopbackConnection = {
  remoteAddress: "127.0.0.1",
  remotePort: 0xc3_50,
  localAddress: "127.0.0.1",
  localPort: 0x1f_9a,
};
const ADDRESS = endianness() === "LE" ? "0100007F" : "7F000001";
const HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

function socketLine(local: string, remote: string, state: string, uid: number, prefix = ""): string {
  const ends = [local, remote].map((port) => `${prefix}${ADDRESS}:${port}`).join(" ");
  return `   1: ${ends} ${state} 00000000:00000000 00:00000000 00000000 ${uid}        0 98765 1 0\n`;
}

const CLIENT = socketLine("C350", "1F9A", "01", 1000);
const SERVER = socketLine("1F9A", "C350", "01", 1001);
const MAPPED = "0000000000000000FFFF0000";

for (
  const { name, uid, tcp, tcp6 = "", want } of [
    { name: "the same user", uid: 1000, tcp: SERVER + CLIENT, want: "own" },
    { name: "another user", uid: 1001, tcp: SERVER + CLIENT, want: "foreign" },
    { name: "root", uid: 1001, tcp: socketLine("C350", "1F9A", "01", 0), want: "own" },
    {
      name: "a socket that is closed, which counts as root's",
      uid: 1001,
      tcp: socketLine("C350", "1F9A", "06", 0),
      want: "foreign",
    },
    { name: "no socket", uid: 1000, tcp: SERVER, want: "unknown" },
    { name: "a half-closed socket", uid: 1001, tcp: socketLine("C350", "1F9A", "05", 1000), want: "foreign" },
    {
      name: "a socket of IPv6",
      uid: 1001,
      tcp: "",
      tcp6: socketLine("C350", "1F9A", "01", 1000, MAPPED),
      want: "foreign",
    },
    { name: "a server of root", uid: 0, tcp: CLIENT, want: "unknown" },
    { name: "a system without the list", uid: 1000, tcp: undefined, want: "unknown" },
    { name: "a system without users", uid: undefined, tcp: CLIENT, want: "unknown" },
  ]
) {
  test(`findPeer() is ${want} for ${name}`, async () => {
    const readText = (path: string) =>
      Promise.resolve(path.endsWith("6") ? HEAD + tcp6 : tcp === undefined ? undefined : HEAD + tcp);
    assert.equal(await findPeer(CONNECTION, { uid, readText }), want);
  });
}

test("findSocketOwner() finds the user of a real connection", async () => {
  if (platform() !== "linux") return;
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = connect({ host: "127.0.0.1", port: (server.address() as AddressInfo).port });
  const [accepted] = await once(server, "connection") as [Socket];
  const { remoteAddress = "", remotePort = 0, localAddress = "", localPort = 0 } = accepted;
  const list = await readFile("/proc/net/tcp", "utf8");
  const owner = findSocketOwner(list, { remoteAddress, remotePort, localAddress, localPort });
  for (const socket of [client, accepted]) socket.destroy();
  server.close();
  assert.deepEqual(owner, { uid: process.getuid?.(), isOpen: true });
});
