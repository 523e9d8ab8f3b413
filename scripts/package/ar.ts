/** Archives of `ar`, which Debian packages are (deb(5)). */
import { Buffer } from "node:buffer";

/** A file in the archive; names have at most 16 letters. */
export interface ArMember {
  readonly name: string;
  readonly data: Uint8Array;
}

/** The archive, its members as old as is said (seconds since 1970). */
export function createAr(members: readonly ArMember[], modifiedSeconds: number): Buffer {
  const parts = members.flatMap(({ name, data }) => {
    if (name.length > 16) throw new Error(`"${name}" is too long for ar`);
    const fields = [
      name.padEnd(16),
      String(modifiedSeconds).padEnd(12),
      "0".padEnd(6),
      "0".padEnd(6),
      "100644".padEnd(8),
      String(data.length).padEnd(10),
      "`\n",
    ];
    // Members begin at even places.
    return [Buffer.from(fields.join(""), "latin1"), data, Buffer.from(data.length % 2 === 1 ? "\n" : "")];
  });
  return Buffer.concat([Buffer.from("!<arch>\n"), ...parts]);
}
