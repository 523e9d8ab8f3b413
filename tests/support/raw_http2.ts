/** HTTP/2 written by hand, for behaviour that no library allows. */
import { Buffer } from "node:buffer";
import { connect, type TLSSocket } from "node:tls";
import { eventually } from "./eventually.ts";

/** Frame types (RFC 9113 section 6). */
export const FRAME = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

const END_STREAM = 1;
const END_HEADERS = 4;

/** The preface of a client, with empty SETTINGS. */
export const PREFACE: Buffer = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  frame(FRAME.settings, 0, 0),
]);

export function frame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Encodes the headers of a request with or without a body. */
export function requestFrame(
  stream: number,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
  hasBody = false,
): Buffer {
  const fields = { ":method": method, ":scheme": "https", ":authority": "localhost", ":path": path, ...headers };
  const block = Buffer.concat(Object.entries(fields).map(([name, value]) => literal(name, value)));
  return frame(FRAME.headers, END_HEADERS | (hasBody ? 0 : END_STREAM), stream, block);
}

/** Encodes the first fragment of the headers of a request, which are never completed. */
export function openHeadersFrame(stream: number): Buffer {
  const fields = { ":method": "GET", ":scheme": "https", ":authority": "localhost", ":path": "/version" };
  return frame(FRAME.headers, END_STREAM, stream, Buffer.concat(Object.entries(fields).map(([n, v]) => literal(n, v))));
}

/** Encodes an HTTP/2 RST_STREAM frame with the code CANCEL. */
export function resetFrame(stream: number): Buffer {
  return frame(FRAME.reset, 0, stream, Buffer.from([0, 0, 0, 8]));
}

/** Encodes a header field without indexing (RFC 7541 section 6.2.2). */
export function literal(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.of(0), text(name), text(value)]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  if (bytes.length < 127) return Buffer.concat([Buffer.of(bytes.length), bytes]);
  const length: number[] = [127];
  for (let rest = bytes.length - 127;; rest >>= 7) {
    if (rest < 128) {
      length.push(rest);
      break;
    }
    length.push((rest & 127) | 128);
  }
  return Buffer.concat([Buffer.from(length), bytes]);
}

/** A TLS connection on which a test writes. */
export interface RawConnection extends Disposable {
  readonly socket: TLSSocket;
  /** Resolves when the connection is closed. */
  readonly closed: Promise<void>;
  isClosed(): boolean;
  /** The received bytes, if the connection reads. */
  received(): Buffer;
  /** The frames that were received so far. */
  frames(): readonly { readonly type: number; readonly stream: number; readonly payload: Buffer }[];
  /** Writes, and waits until the kernel has accepted the bytes or the connection is closed. */
  write(bytes: Uint8Array | string): Promise<void>;
}

/**
 * Opens a connection. Without `isReading`, received bytes stay in the kernel; with `allowHalfOpen`, it stays open when
 * the server closes.
 */
export async function openRaw(
  port: number,
  protocol: "h2" | "http/1.1",
  isReading = true,
  allowHalfOpen = false,
): Promise<RawConnection> {
  const host = { host: "127.0.0.1", port, rejectUnauthorized: false, ALPNProtocols: [protocol] };
  // Node's types lack this option of `connect`.
  const socket = connect({ ...host, ...{ allowHalfOpen } });
  const chunks: Buffer[] = [];
  let isClosed = false;
  const closed = new Promise<void>((resolve) => {
    socket.once("close", () => {
      isClosed = true;
      resolve();
    });
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("secureConnect", () => resolve());
    socket.once("error", reject);
  });
  socket.on("error", () => socket.destroy());
  if (isReading) socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  else socket.pause();
  const received = () => Buffer.concat(chunks);
  return {
    socket,
    closed,
    isClosed: () => isClosed,
    received,
    frames: () => parseFrames(received()),
    write: (bytes) =>
      isClosed
        ? Promise.resolve()
        : Promise.race([closed, new Promise<void>((resolve) => socket.write(bytes, () => resolve()))]),
    [Symbol.dispose]: () => void socket.destroy(),
  };
}

/** Waits until a condition holds. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  await eventually(what, () => Promise.resolve(condition() ? true : undefined));
}

function parseFrames(bytes: Buffer): { type: number; stream: number; payload: Buffer }[] {
  const found = [];
  for (let at = 0; at + 9 <= bytes.length;) {
    const length = bytes.readUIntBE(at, 3);
    found.push({
      type: bytes[at + 3]!,
      stream: bytes.readUInt32BE(at + 5) & 0x7fffffff,
      payload: bytes.subarray(at + 9, at + 9 + length),
    });
    at += 9 + length;
  }
  return found;
}
