/** A program for `--signing-key-command` that holds a CA key, and may be faulty. */
import { createPublicKey } from "node:crypto";
import { writeFile } from "node:fs/promises";
import process from "node:process";
import type { TempFolder } from "./temp.ts";

/** The faults that the program can have. */
export type Breakage =
  | "none"
  | "exits with 3 when it signs"
  | "signs something else"
  | "prints nothing for a signature"
  | "prints too much"
  | "never ends"
  | "waits for four others"
  | "prints no public key";

/** The shell commands that answer a request for a signature without a key. */
const KEYLESS: Partial<Readonly<Record<Breakage, string>>> = {
  "exits with 3 when it signs": 'printf "the token\\nis not there\\n" >&2; exit 3',
  "prints nothing for a signature": "exit 0",
  "prints too much": "exec head -c 100000 /dev/zero",
  "never ends": "exec tail -f /dev/null",
};

/**
 * Writes the program and its key, and returns its path. Each run adds a line to the file `runs`. With a next key, it
 * uses the first key for the first certificate that it sees, and the next key for others and for a certificate `next-…`
 * that does not exist yet. The script starts another program only for signatures.
 */
export async function writeKeyProgram(
  folder: TempFolder,
  keyPem: string,
  breakage: Breakage = "none",
  nextKeyPem: string = keyPem,
): Promise<string> {
  for (const [name, pem] of [["held", keyPem], ["next", nextKeyPem]] as const) {
    await writeFile(folder.join(`${name}.key`), pem, { mode: 0o600 });
    await writeFile(folder.join(`${name}.pub`), createPublicKey(pem).export({ format: "pem", type: "spki" }));
  }
  const source = `
const { createPrivateKey, sign } = require("node:crypto");
const { appendFileSync, readFileSync } = require("node:fs");
const [runs, path, algorithm] = process.argv.slice(2);
const key = createPrivateKey(readFileSync(path));
const breakage = ${JSON.stringify(breakage)};
if (breakage === "waits for four others") {
  const look = setInterval(() => {
    if (readFileSync(runs, "utf8").split("\\n").filter((line) => line.startsWith("sign")).length < 5) return;
    clearInterval(look);
    process.stdout.write(sign("sha256", readFileSync(0), key));
    appendFileSync(runs, "end\\n");
  }, 20);
} else {
  const data = readFileSync(0);
  const isRaw = algorithm === "Ed25519" || algorithm.startsWith("ML-DSA-");
  const hash = isRaw ? null : { "ECDSA-SHA384": "sha384", "ECDSA-SHA512": "sha512" }[algorithm];
  const signed = breakage === "signs something else" ? Buffer.from("else") : data;
  process.stdout.write(sign(hash === undefined ? "sha256" : hash, signed, key));
}
`;
  // CommonJS starts in two thirds of the time of a module.
  await writeFile(folder.join("program.cjs"), source);
  const runtime = process.versions["deno"] === undefined ? "" : "run -A --no-check --quiet ";
  const path = folder.join("hsm program");
  const script = `#!/bin/sh
at="${folder.path}"
file=$TLSBOOT_CA_CERTIFICATE
echo "$1 $file" >>"$at/runs"
if test -e "$file"; then
  test -e "$at/first.crt" || cp "$file" "$at/first.crt"
  if cmp -s "$file" "$at/first.crt"; then key=held; else key=next; fi
else
  case $file in *next-*) key=next;; *) key=held;; esac
fi
if test "$1" = public-key; then
  ${breakage === "prints no public key" ? "echo hello" : 'cat "$at/$key.pub"'}
  exit
fi
${KEYLESS[breakage] ?? `exec "${process.execPath}" ${runtime}"$at/program.cjs" "$at/runs" "$at/$key.key" "$2"`}
`;
  await writeFile(path, script, { mode: 0o700 });
  return path;
}
