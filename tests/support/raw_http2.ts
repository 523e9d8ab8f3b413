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

/** The preface of a client, and empty SETTINGS. */
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

/** A request without a body, or one whose body follows. */
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

/** A request of which only the first piece of its headers is there. */
export function openHeadersFrame(stream: number): Buffer {
  const fields = { ":method": "GET", ":scheme": "https", ":authority": "localhost", ":path": "/version" };
  return frame(FRAME.headers, END_STREAM, stream, Buffer.concat(Object.entries(fields).map(([n, v]) => literal(n, v))));
}

/** Encodes an HTTP/2 RST_STREAM frame with the code CANCEL. */
export function resetFrame(stream: number): Buffer {
  return frame(FRAME.reset, 0, stream, Buffer.from([0, 0, 0, 8]));
}

/** A header that neither side remembers (RFC 7541 section 6.2.2). */
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

/** A TLS connection that a test writes on. */
export interface RawConnection extends Disposable {
  readonly socket: TLSSocket;
  /** Settles when the connection is gone. */
  readonly closed: Promise<void>;
  isClosed(): boolean;
  /** All received bytes, as long as it reads. */
  received(): Buffer;
  /** The frames that were received so far. */
  frames(): readonly { readonly type: number; readonly stream: number; readonly payload: Buffer }[];
  /** Writes and waits until the kernel has taken it, or the connection is gone. */
  write(bytes: Uint8Array | string): Promise<void>;
}

/** Opens a connection. `isReading` false leaves received bytes in the kernel; `stays` keeps it open when the server closes. */
export async function openRaw(
  port: number,
  protocol: "h2" | "http/1.1",
  isReading = true,
  stays = false,
): Promise<RawConnection> {
  const host = { host: "127.0.0.1", port, rejectUnauthorized: false, ALPNProtocols: [protocol] };
  // Node's types do not know that `connect` takes it.
  const socket = connect({ ...host, ...{ allowHalfOpen: stays } });
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

/** Waits for a reaction of the other end. */
export async function until(what: string, isSo: () => boolean): Promise<void> {
  await eventually(what, () => Promise.resolve(isSo() ? true : undefined));
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
