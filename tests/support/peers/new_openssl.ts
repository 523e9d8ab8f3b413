/** OpenSSL 3.5, which has ML-DSA, from a Debian that is newer than the machine's. */
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ensureReleasePackages } from "./debian_release.ts";

const PACKAGES = ["openssl", "libssl3t64", "libc6", "zlib1g", "libzstd1"];

/** Fetches OpenSSL 3.5; answers the path of a script that runs it with the C library of its release. */
export async function ensureNewOpenssl(): Promise<string> {
  const root = await ensureReleasePackages("trixie", PACKAGES);
  const folder = join(root, "usr", "lib");
  const name = (await readdir(folder)).find((one) => one.endsWith("-linux-gnu"));
  if (name === undefined) throw new Error(`no libraries in ${folder}`);
  const libraries = join(folder, name);
  const loader = (await readdir(libraries)).find((one) => one.startsWith("ld-linux"));
  const script = join(root, "openssl");
  const command = `"${join(libraries, loader ?? "")}" --library-path "${libraries}" "${join(root, "usr/bin/openssl")}"`;
  await writeFile(script, `#!/bin/sh\nexec ${command} "$@"\n`, { mode: 0o755 });
  return script;
}
