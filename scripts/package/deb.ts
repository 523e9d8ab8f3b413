/** A Debian package from files in memory (deb(5), deb-control(5)), written without Debian's tools: the same input, the same bytes. */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { createAr } from "./ar.ts";
import { createTar, type TarEntry } from "./tar.ts";

/** A file or a link that the package installs. */
export interface PackageFile {
  /** Where, without the first slash. */
  readonly path: string;
  readonly mode: number;
  /** The content of a file; absent for a link. */
  readonly data?: Uint8Array;
  /** The target of a symbolic link. */
  readonly target?: string;
}

/** The content of a package. */
export interface DebianPackage {
  readonly files: readonly PackageFile[];
  /** The text of `control`, with `@size@` for the kilobytes that it takes. */
  readonly control: string;
  /** The maintainer scripts postinst, prerm and postrm, by name. */
  readonly scripts: Readonly<Record<string, string>>;
  /** Paths of files that people edit: an upgrade keeps what they wrote. */
  readonly configurationFiles: readonly string[];
  /** The age of everything inside, seconds since 1970. */
  readonly modifiedSeconds: number;
}

/** The bytes of the package. */
export function createDeb({ files, control, scripts, configurationFiles, modifiedSeconds }: DebianPackage): Buffer {
  const sorted = [...files].sort((a, b) => a.path < b.path ? -1 : 1);
  const kilobytes = sorted.reduce((sum, { data }) => sum + Math.ceil((data?.length ?? 0) / 1024), 0);
  const sums = sorted.flatMap(({ path, data }) =>
    data === undefined ? [] : [`${createHash("md5").update(data).digest("hex")}  ${path}\n`]
  );
  const controlEntries: readonly TarEntry[] = [
    { path: "./", mode: 0o755 },
    text("./conffiles", configurationFiles.map((path) => `/${path}\n`).join("")),
    text("./control", control.replace("@size@", String(kilobytes))),
    text("./md5sums", sums.join("")),
    ...Object.entries(scripts).sort().map(([name, script]) => text(`./${name}`, script, 0o755)),
  ];
  const dataEntries = [...findFolders(sorted.map(({ path }) => path)), ...sorted]
    .map((entry) => ({ ...entry, path: `./${entry.path}` }))
    .sort((a, b) => a.path < b.path ? -1 : 1);
  const compress = (entries: readonly TarEntry[]): Buffer =>
    gzipSync(createTar(entries, modifiedSeconds), { level: 9 });
  return createAr([
    { name: "debian-binary", data: Buffer.from("2.0\n") },
    { name: "control.tar.gz", data: compress(controlEntries) },
    { name: "data.tar.gz", data: compress(dataEntries) },
  ], modifiedSeconds);
}

function text(path: string, content: string, mode = 0o644): TarEntry {
  return { path, mode, data: Buffer.from(content) };
}

/** Returns every folder above the files, the package's root included. */
export function findFolders(paths: readonly string[]): readonly TarEntry[] {
  const folders = new Set([""]);
  for (const path of paths) {
    const parts = path.split("/").slice(0, -1);
    parts.forEach((_, index) => folders.add(`${parts.slice(0, index + 1).join("/")}/`));
  }
  return [...folders].map((path) => ({ path, mode: 0o755 }));
}
