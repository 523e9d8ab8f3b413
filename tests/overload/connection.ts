/** An attacker's connections, which count their events in a tally. */
import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import { FRAME, frame, openRaw, PREFACE } from "../support/raw_http2.ts";
import type { Tally, Target } from "./attack.ts";

/** One connection of an attack. Disposing it closes the connection, which does not count as ended by the server. */
export interface AttackConnection extends Disposable {
  isClosed(): boolean;
  /** The number of answers received on this connection. */
  answers(): number;
  /** The number of HTTP/2 requests that have ended, with or without an answer. */
  settled(): number;
  /** The number of answered PINGs; the server has read everything before them. */
  pongs(): number;
  /** Writes bytes and waits until the kernel has taken them; returns false if the connection is gone. */
  write(bytes: Uint8Array | string): Promise<boolean>;
}

export interface OpenOptions {
  readonly protocol: "h2" | "http/1.1";
  /** The status code of HTTP/1.1 answers that count. Over HTTP/2, answers with 200 count. */
  readonly code?: number;
  /** If false, received bytes stay in the kernel, and no answer is counted. */
  readonly isReading?: boolean;
}

/** An attempt that takes longer counts as refused. TCP retries after 1, 3, 7, 15 and 31 seconds. */
const OPENED_WITHIN_MS = 40_000;
/** An HTTP/2 connection window that never limits the answers. */
const WIDE_WINDOW = frame(FRAME.windowUpdate, 0, 0, Uint8Array.of(0x7f, 0, 0, 0));

/** Opens a TLS connection, and sends the preface for HTTP/2. Rejects if the connection is refused. */
export async function open(
  { port, tally }: Target,
  { protocol, code = 200, isReading = true }: OpenOptions,
): Promise<AttackConnection> {
  const raw = await countAttempt(tally, () => openRaw(port, protocol, false));
  let [answers, settled, pongs, isOver] = [0, 0, 0, false];
  const answered = (): void => {
    answers++;
    tally.answered++;
  };
  const endedByServer = (): void => {
    if (!isOver) tally.ended++;
    isOver = true;
  };
  void raw.closed.then(endedByServer);
  if (isReading) {
    raw.socket.on(
      "data",
      protocol === "h2"
        ? createFrameReader(answered, () => settled++, () => pongs++)
        : createStatusReader(code, answered),
    );
    raw.socket.resume();
  }
  const write = async (bytes: Uint8Array | string): Promise<boolean> => {
    if (raw.isClosed()) return false;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    raw.socket.write(bytes, (error) => resolve(error === null || error === undefined));
    const isTaken = await Promise.race([promise, raw.closed.then(() => false)]);
    if (!isTaken) endedByServer();
    return isTaken;
  };
  if (protocol === "h2") await write(Buffer.concat([PREFACE, WIDE_WINDOW]));
  return {
    isClosed: raw.isClosed,
    answers: () => answers,
    settled: () => settled,
    pongs: () => pongs,
    write,
    [Symbol.dispose]() {
      isOver = true;
      raw[Symbol.dispose]();
    },
  };
}

/** Opens a connection that sends nothing. */
export async function openSilent({ port, tally }: Target): Promise<Disposable> {
  const socket = await countAttempt(tally, () =>
    new Promise<Socket>((resolve, reject) => {
      const opening = connect(port, "127.0.0.1");
      opening.on("error", reject);
      opening.once("connect", () => resolve(opening));
    }));
  let isClosedHere = false;
  socket.once("close", () => {
    if (!isClosedHere) tally.ended++;
  });
  socket.resume();
  return {
    [Symbol.dispose]() {
      isClosedHere = true;
      socket.destroy();
    },
  };
}

async function countAttempt<T>(tally: Tally, connect: () => Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error("no connection")), OPENED_WITHIN_MS);
  try {
    const opened = await Promise.race([connect(), late.promise]);
    tally.opened++;
    return opened;
  } catch (error) {
    tally.refused++;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Creates a reader that reports each HTTP/1.1 status line with the code, even if it arrives in pieces. */
export function createStatusReader(code: number, onAnswer: () => void): (chunk: Buffer) => void {
  const line = `HTTP/1.1 ${code}`;
  let rest = "";
  return (chunk) => {
    const text = rest + chunk.toString("latin1");
    for (let at = text.indexOf(line); at !== -1; at = text.indexOf(line, at + line.length)) onAnswer();
    rest = text.slice(1 - line.length);
  };
}

/** `:status: 200` in HPACK's static table; the server sends most other codes as text. */
const STATUS_OK = 0x88;
const ACK = 1;
const END_STREAM = 1;

/** Creates a reader that reports HTTP/2 answers with the code 200, streams that have ended, and answered PINGs. */
export function createFrameReader(
  onAnswer: () => void,
  onSettled: () => void,
  onPong: () => void,
): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    for (; at + 9 <= bytes.length;) {
      const end = at + 9 + bytes.readUIntBE(at, 3);
      if (end > bytes.length) break;
      const [type, flags] = [bytes[at + 3], bytes[at + 4]!];
      const isLast = (type === FRAME.headers || type === FRAME.data) && flags % 2 === END_STREAM;
      if (type === FRAME.headers && isOk(bytes.subarray(at + 9, end))) onAnswer();
      if (isLast || type === FRAME.reset) onSettled();
      if (type === FRAME.ping && flags === ACK) onPong();
      at = end;
    }
    rest = bytes.subarray(at);
  };
}

/** Reports whether a header block, which may begin with a table size (RFC 7541, section 6.3), has the status 200. */
function isOk(block: Buffer): boolean {
  let at = 0;
  while ((block[at] ?? 0) >> 5 === 1) {
    const isLong = block[at++]! % 32 === 31;
    while (isLong && block[at++]! >= 128);
  }
  return block[at] === STATUS_OK;
}
