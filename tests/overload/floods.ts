/** Attacks that send as much as possible over a few connections, and reopen those that the server closes. */
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { Agent } from "node:https";
import type { NodeAttestation, NodeAttestationSpec } from "../../core/kube/kinds/node_attestation.ts";
import { encodeBase64 } from "../../core/lib/encodings.ts";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { ask, type Reply } from "../support/https_request.ts";
import { FRAME, frame, literal, openHeadersFrame, requestFrame, resetFrame } from "../support/raw_http2.ts";
import { scaled, type Target } from "./attack.ts";
import { bearer, createNodeRequest, CSRS } from "./requests.ts";
import { type AttackConnection, open, type OpenOptions } from "./connection.ts";
import { ATTESTATIONS, createWrongProofs, nameMachine } from "./proofs.ts";
import { pause, repeat, waitUntil } from "./waiting.ts";

/** The number of parallel connections at scale 1. */
export const FLOODERS = 20;
/** The number of frames written at once. */
const BATCH = 50;
/** The number of streams that the server allows on one connection. */
const STREAMS = 100;

/** What an attacker does on each connection, until the connection is closed or the flood is over. */
type Flood = (connection: AttackConnection, target: Target, over: AbortSignal) => Promise<void>;

/** Repeats a flood on new connections. */
export function flood(target: Target, act: Flood, options: OpenOptions = { protocol: "h2" }): Promise<void> {
  return floodInParallel(target, async (_index, over) => {
    using connection = await open(target, options);
    await Promise.race([act(connection, target, over), once(over, "abort")]);
  });
}

/** Repeats the actions of all attackers for `target.ms` at least, and until the required counts are reached. */
async function floodInParallel(
  target: Target,
  act: (index: number, over: AbortSignal) => Promise<unknown>,
): Promise<void> {
  const enough = new AbortController();
  const over = AbortSignal.any([enough.signal, target.deadline]);
  const flooding = Promise.all(Array.from({ length: scaled(FLOODERS, target.scale) }, async (_, index) => {
    while (!over.aborted) {
      try {
        await act(index, over);
      } catch {
        // The refusal has been counted; try again.
        await pause(20, over);
      }
    }
  }));
  await pause(target.ms, target.deadline);
  await waitUntil(target.isEnough, target.deadline);
  enough.abort();
  await flooding;
}

/** A CONTINUATION frame with more headers for the first stream. */
export const CONTINUATION: Buffer = frame(
  FRAME.continuation,
  0,
  1,
  Buffer.concat(Array.from({ length: 16 }, (_, index) => literal(`x-${index}`, "y".repeat(1_000)))),
);

/** Creates a hundred requests on new streams, each cancelled at once. */
export function resetRequests(turn: number, path: string, headers: Readonly<Record<string, string>>): Buffer {
  return Buffer.concat(Array.from({ length: 100 }, (_, index) => {
    const stream = (turn * 100 + index) * 2 + 3;
    return Buffer.concat([requestFrame(stream, "GET", path, headers), resetFrame(stream)]);
  }));
}

/** Sends HTTP/2 headers that never end. */
export async function continuations(connection: AttackConnection, target: Target, over: AbortSignal): Promise<void> {
  await connection.write(openHeadersFrame(1));
  await writeOn(connection, target, over, 1, () => CONTINUATION);
}

/** Sends HTTP/1.1 headers that never end. */
export async function endlessHeaders(connection: AttackConnection, target: Target, over: AbortSignal): Promise<void> {
  await connection.write("GET /version HTTP/1.1\r\nhost: localhost\r\n");
  await writeOn(connection, target, over, 1, (turn) => `x-${turn}: ${"y".repeat(4_000)}\r\n`);
}

/** Creates a flood of streams that are cancelled as soon as they are opened. */
export function rapidReset(token: string): Flood {
  const headers = { authorization: `Bearer ${token}` };
  return (connection, target, over) =>
    writeOn(connection, target, over, 100, (turn) => resetRequests(turn, "/version", headers));
}

/** Sends frames that each require an answer, without reading the answers. */
export function pings(connection: AttackConnection, target: Target, over: AbortSignal): Promise<void> {
  const piece = Buffer.concat(
    Array.from({ length: 500 }, (_, index) => index % 2 ? frame(FRAME.ping, 0, 0, new Uint8Array(8)) : frame(4, 0, 0)),
  );
  return writeOn(connection, target, over, 500, () => piece);
}

/** Sends authenticated requests, as many at once as the server allows on one connection. */
export async function requests(connection: AttackConnection, target: Target, over: AbortSignal): Promise<void> {
  const headers = bearer(target.token);
  await writeOn(connection, target, over, BATCH, async (turn) => {
    const hasRoom = () => turn * BATCH - connection.settled() <= STREAMS - BATCH || connection.isClosed();
    await waitUntil(hasRoom, over);
    const streams = Array.from({ length: BATCH }, (_, index) => (turn * BATCH + index) * 2 + 1);
    return Buffer.concat(streams.map((stream) => requestFrame(stream, "GET", "/version", headers)));
  });
}

/** The number of elements of an expensive body, close to the limit of the server. */
const ELEMENTS = 29_000;

/** Sends certificate signing requests with thousands of invalid labels, annotations, finalizers or usages. */
export async function expensiveBodies(connection: AttackConnection, target: Target, over: AbortSignal): Promise<void> {
  const { metadata = {}, spec, ...csr } = await createNodeRequest("costly");
  const texts = Array.from({ length: ELEMENTS }, (_, index) => `!${index}`);
  const map = Object.fromEntries(texts.map((text) => [text, ""]));
  const bodies = [
    { ...csr, metadata: { ...metadata, labels: map }, spec },
    { ...csr, metadata: { ...metadata, annotations: map }, spec },
    { ...csr, metadata: { ...metadata, finalizers: texts }, spec },
    { ...csr, metadata, spec: { ...spec, usages: texts } },
  ].map((body) => JSON.stringify(body));
  await writeOn(connection, target, over, 1, async (turn) => {
    await waitUntil(() => connection.answers() >= turn || connection.isClosed(), over);
    const body = bodies[turn % bodies.length]!;
    const head = `POST ${CSRS} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${target.token}\r\n`;
    return Buffer.from(`${head}content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
  });
}

/** The largest number of pieces on one connection, so that the stream ids suffice. */
const MAX_PIECES = 10_000;

async function writeOn(
  connection: AttackConnection,
  { tally }: Target,
  over: AbortSignal,
  unitsInPiece: number,
  piece: (turn: number) => Buffer | string | Promise<Buffer>,
): Promise<void> {
  for (let turn = 0; turn < MAX_PIECES && !over.aborted; turn++) {
    if (!await connection.write(await piece(turn))) return;
    tally.sent += unitsInPiece;
  }
}

/** The largest number of unanswered requests on one connection, so that they do not pile up in the kernel. */
const MAX_UNANSWERED = 200;

/** Sends unknown tokens until all are answered; over HTTP/1.1, a connection accepts many. */
export async function badTokens(count: number, target: Target): Promise<void> {
  const { tally, deadline, random } = target;
  const wanted = scaled(count, target.scale);
  await repeat(scaled(50, target.scale), Infinity, deadline, async () => {
    while (tally.answered < wanted && !deadline.aborted) {
      using connection = await open(target, { protocol: "http/1.1", code: 401 });
      for (let sent = 0; tally.answered < wanted && !deadline.aborted && !connection.isClosed(); sent += BATCH) {
        const batch = Array.from({ length: BATCH }, () => {
          const digits = Math.floor(random() * 1e15).toString().padStart(16, "0");
          return `GET ${CSRS} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer abcdef.${digits}\r\n\r\n`;
        });
        if (!await connection.write(batch.join(""))) break;
        tally.sent += BATCH;
        const hasRoom = () => sent - connection.answers() < MAX_UNANSWERED || connection.isClosed();
        await waitUntil(() => hasRoom() || tally.answered >= wanted, deadline);
      }
    }
  });
}

/**
 * Sends wrong proofs for a machine in the inventory and for unknown ones. Each attacker has its own address, which
 * honest clients do not share. `sent` counts calls, `answered` refused proofs, and `created` accepted ones.
 */
export async function wrongProofs(target: Target): Promise<void> {
  const { port, tally, random } = target;
  const proofs = await createWrongProofs();
  const publicKey = encodeBase64((await generatePrivateKey("ecdsa-p256")).publicKeyDer());
  let turn = 0;
  await floodInParallel(target, async (index, over) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1, localAddress: `127.0.0.${index + 2}` });
    const call = async (spec: Partial<NodeAttestationSpec>, nodeName: string): Promise<Reply> => {
      const body = { apiVersion: "tlsboot/v1alpha1", kind: "NodeAttestation", spec: { nodeName, publicKey, ...spec } };
      const reply = await ask({ port, path: ATTESTATIONS, body, agent, rejectUnauthorized: false, signal: over });
      tally.sent++;
      return reply;
    };
    try {
      while (!over.aborted) {
        const { evidence, answer } = proofs[turn % proofs.length]!;
        const node = turn++ % 4 < 2 ? nameMachine(0) : `unknown-${Math.floor(random() * 1e15).toString(36)}`;
        const begun = await call({ evidence }, node);
        if (begun.code !== 201) continue;
        const { status: { challenge, state } } = JSON.parse(begun.text) as NodeAttestation;
        if (challenge === undefined || state === undefined) continue;
        const { code } = await call({ answer: await answer(challenge), state }, node);
        if (code === 403) tally.answered++;
        if (code === 201) tally.created++;
      }
    } finally {
      agent.destroy();
    }
  });
}
