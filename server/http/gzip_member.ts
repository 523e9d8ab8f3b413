/** gzip for a stream that is read while it is written (RFC 1952), like kube-apiserver's streaming lists (`watch.go`). */
import { Buffer } from "node:buffer";
import { promisify } from "node:util";
import { constants, crc32, deflateRaw } from "node:zlib";

/** The header of a member: magic number, deflate, no flags, no time, no hints, unknown system. */
const HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
/** An empty last block of a deflate stream. */
const LAST_BLOCK = Buffer.from([3, 0]);

const deflate = promisify(deflateRaw);

/**
 * Compresses bytes to one gzip member with an empty last block. Go's reader, and so client-go, returns the data before the
 * last block at once, but keeps the data of the last block until it has read the head of the next member.
 */
export async function gzipMember(bytes: Uint8Array): Promise<Uint8Array> {
  const blocks = await deflate(bytes, { finishFlush: constants.Z_SYNC_FLUSH });
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(crc32(bytes), 0);
  trailer.writeUInt32LE(bytes.length, 4);
  return Buffer.concat([HEADER, blocks, LAST_BLOCK, trailer]);
}
