import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock } from "../tests/support/fake_clock.ts";
import { createSystemRandom } from "../cli/system.ts";
import {
  createUiSessions,
  findCookie,
  findPeer,
  findRefusal,
  findSocketOwner,
  LINK_LIFETIME_MS,
  type LoopbackConnection,
  MAX_FORM_BYTES,
  type UiSessions,
} from "./access.ts";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { endianness } from "node:os";
import process from "node:process";

const HOUR_MS = 60 * 60 * 1000;

function open(sessions: UiSessions): string {
  const login = sessions.login(sessions.createKey());
  assert.equal(login.kind, "opened");
  return login.kind === "opened" ? login.cookie : "";
}

test("login() opens one session for a key, and a second use of the key ends it", () => {
  const sessions = createUiSessions({ clock: createFakeClock(), random: createSystemRandom() });
  const key = sessions.createKey();
  assert.ok(key.length >= 43, "256 bits in base64url");
  const login = sessions.login(key);
  assert.ok(login.kind === "opened");
  const session = sessions.find(login.cookie);
  assert.ok(session !== undefined);
  assert.deepEqual(sessions.login(key), { kind: "used" });
  assert.equal(sessions.find(login.cookie), undefined);
  assert.ok(session.signal.aborted);
  assert.deepEqual(sessions.login(key), { kind: "used" });
});

test("login() refuses unknown and expired keys", async () => {
  const clock = createFakeClock();
  const sessions = createUiSessions({ clock, random: createSystemRandom() });
  const key = sessions.createKey();
  for (const wrong of ["", key.slice(1), `${key}A`]) assert.deepEqual(sessions.login(wrong), { kind: "unknown" });
  await clock.advance(LINK_LIFETIME_MS);
  assert.deepEqual(sessions.login(key), { kind: "expired" });
  assert.equal(sessions.login(sessions.createKey()).kind, "opened");
});

test("find() finds a session for twelve hours, unless it is ended or sixteen newer ones begin", async () => {
  const clock = createFakeClock();
  const sessions = createUiSessions({ clock, random: createSystemRandom() });
  const [first, second] = [open(sessions), open(sessions)];
  assert.equal(sessions.find(`${first}x`), undefined);
  sessions.end(second);
  assert.equal(sessions.find(second), undefined);
  for (let count = 0; count < 15; count++) open(sessions);
  assert.ok(sessions.find(first) !== undefined);
  const last = open(sessions);
  assert.equal(sessions.find(first), undefined);
  await clock.advance(12 * HOUR_MS);
  assert.equal(sessions.find(last), undefined);
});

test("isOwnForm() accepts the token of the session and no other one", () => {
  const sessions = createUiSessions({ clock: createFakeClock(), random: createSystemRandom() });
  const [one, other] = [sessions.find(open(sessions)), sessions.find(open(sessions))];
  assert.ok(one !== undefined && other !== undefined);
  assert.ok(sessions.isOwnForm(one, one.formToken));
  for (const token of ["", other.formToken, `${one.formToken} `]) assert.ok(!sessions.isOwnForm(one, token));
});

const HOST = "127.0.0.1:8090";
const ORIGIN = `http://${HOST}`;
const FORM = { "content-type": "application/x-www-form-urlencoded", "content-length": "10" };
const NAVIGATION = { "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };

interface Case {
  readonly name: string;
  readonly method?: string;
  readonly target?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly want: number | undefined;
}

const post = (headers: Readonly<Record<string, string>>) => ({
  method: "POST",
  headers: { origin: ORIGIN, ...FORM, ...headers },
});

for (
  const { name, method = "GET", target = "/requests", headers = {}, want } of [
    { name: "a request by its address", want: undefined },
    { name: "a request by localhost", headers: { host: "localhost:8090" }, want: undefined },
    { name: "another name", headers: { host: "evil.example:8090" }, want: 421 },
    { name: "a name that begins with the address", headers: { host: "127.0.0.1.evil.example:8090" }, want: 421 },
    { name: "no port", headers: { host: "127.0.0.1" }, want: 421 },
    { name: "another port", headers: { host: "127.0.0.1:80" }, want: 421 },
    { name: "a number that means the address", headers: { host: "2130706433:8090" }, want: 421 },
    { name: "an empty host", headers: { host: "" }, want: 421 },
    { name: "a long target", target: `/requests?q=${"x".repeat(5_000)}`, want: 414 },
    { name: "PUT", method: "PUT", want: 405 },
    { name: "HEAD, for which a stream of events would have no reader", method: "HEAD", want: 405 },
    { name: "the preflight of another site", method: "OPTIONS", want: 405 },
    { name: "a link of another site", headers: { "sec-fetch-site": "cross-site", ...NAVIGATION }, want: undefined },
    { name: "an address that is typed", headers: { "sec-fetch-site": "none", ...NAVIGATION }, want: undefined },
    { name: "our own script", headers: { "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors" }, want: undefined },
    {
      name: "a frame in another site",
      headers: { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe" },
      want: 403,
    },
    {
      name: "a script of another port",
      headers: { "sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors" },
      want: 403,
    },
    { name: "an event stream of another site", headers: { origin: "http://evil.example" }, want: 403 },
    { name: "a form of ours", ...post({ "sec-fetch-site": "same-origin" }), want: undefined },
    { name: "a form without fetch metadata", ...post({}), want: undefined },
    {
      name: "a form by localhost",
      ...post({ host: "localhost:8090", origin: "http://localhost:8090" }),
      want: undefined,
    },
    { name: "a form of another site", ...post({ origin: "http://evil.example" }), want: 403 },
    { name: "a form of another port", ...post({ origin: "http://127.0.0.1:9999" }), want: 403 },
    { name: "a form of a sandboxed frame", ...post({ origin: "null" }), want: 403 },
    { name: "a form by localhost for the address", ...post({ origin: "http://localhost:8090" }), want: 403 },
    { name: "a form over https", ...post({ origin: `https://${HOST}` }), want: 403 },
    { name: "a form without an origin", method: "POST", headers: FORM, want: 403 },
    { name: "a form of the same site", ...post({ "sec-fetch-site": "same-site" }), want: 403 },
    { name: "a form after a link", ...post({ "sec-fetch-site": "none" }), want: 403 },
    { name: "JSON", ...post({ "content-type": "application/json" }), want: 415 },
    { name: "a form as text", ...post({ "content-type": "text/plain" }), want: 415 },
    { name: "a form in chunks", ...post({ "transfer-encoding": "chunked" }), want: 411 },
    { name: "a form of unknown length", ...post({ "content-length": "" }), want: 411 },
    { name: "a large form", ...post({ "content-length": String(MAX_FORM_BYTES + 1) }), want: 413 },
  ] satisfies Case[] as Case[]
) {
  test(`findRefusal() answers ${want ?? "nothing"} for ${name}`, () => {
    const all: Readonly<Record<string, string>> = { host: HOST, ...headers };
    assert.equal(findRefusal({ method, target, header: (key) => all[key] }, 8090)?.status, want);
  });
}

test("findCookie() finds a cookie by name", () => {
  const header = "a=1; tlsboot-80=x; tlsboot-8090=abc=; tlsboot-8090x=y";
  assert.equal(findCookie(header, "tlsboot-8090"), "abc=");
  for (const [text, name] of [[header, "tlsboot"], [undefined, "a"], ["", "a"], ["a", "a"]] as const) {
    assert.equal(findCookie(text, name), undefined);
  }
});

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
