/** gzip for what is read while it is written (RFC 1952), as kube-apiserver writes its streaming lists (`watch.go`). */
import { Buffer } from "node:buffer";
import { promisify } from "node:util";
import { constants, crc32, deflateRaw } from "node:zlib";

/** Magic number, deflate, no flags, no time, no hints, an unknown system. */
const HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
/** The last block of a deflate stream, with nothing in it. */
const LAST_BLOCK = Buffer.from([3, 0]);

const deflate = promisify(deflateRaw);

/**
 * A member of its own, flushed before it ends. Go's reader hands out what stands before the last block; what is in the
 * last block it keeps until it has seen the head of the next member, and so would every client-go.
 */
export async function gzipMember(bytes: Uint8Array): Promise<Uint8Array> {
  const blocks = await deflate(bytes, { finishFlush: constants.Z_SYNC_FLUSH });
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(crc32(bytes), 0);
  trailer.writeUInt32LE(bytes.length, 4);
  return Buffer.concat([HEADER, blocks, LAST_BLOCK, trailer]);
}
