/** PE files (Windows) without their Authenticode signature: it is for Node as it was, and ends with the first change. */
import { Buffer } from "node:buffer";

/** Offsets in the headers of PE32+ (Microsoft PE format, "Optional Header"). */
const AT = { peOffset: 0x3c, optionalHeader: 24, checkSum: 64, certificates: 112 + 4 * 8 } as const;
const PE32_PLUS = 0x20b;

/** The file without signature and checksum, which only drivers need. */
export function removePeSignature(pe: Uint8Array): Buffer {
  const file = Buffer.from(pe);
  const start = file.readUInt32LE(AT.peOffset);
  const optional = start + AT.optionalHeader;
  if (file.toString("latin1", start, start + 4) !== "PE\0\0" || file.readUInt16LE(optional) !== PE32_PLUS) {
    throw new Error("want a 64-bit PE file");
  }
  const [offset, size] = [optional + AT.certificates, optional + AT.certificates + 4];
  const signatureAt = file.readUInt32LE(offset);
  const end = signatureAt + file.readUInt32LE(size);
  if (signatureAt === 0) return file;
  if (end !== file.length) throw new Error("the PE file has more behind its signature");
  file.writeUInt32LE(0, offset);
  file.writeUInt32LE(0, size);
  file.writeUInt32LE(0, optional + AT.checkSum);
  return file.subarray(0, signatureAt);
}
