/** A program that holds a CA key, for `--signing-key-command`: honest, or broken in one of many ways. */
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

/**
 * Writes the program and its key; answers the program's path. Each run adds a line to the file `runs`. With a next key, it
 * uses the one of the certificate, and the next one for a certificate `next-…` that does not exist yet.
 */
export async function writeKeyProgram(
  folder: TempFolder,
  keyPem: string,
  breakage: Breakage = "none",
  nextKeyPem: string = keyPem,
): Promise<string> {
  await writeFile(folder.join("held.key"), keyPem, { mode: 0o600 });
  await writeFile(folder.join("next.key"), nextKeyPem, { mode: 0o600 });
  const source = `
const { createPrivateKey, createPublicKey, sign, X509Certificate } = require("node:crypto");
const { appendFileSync, existsSync, readFileSync } = require("node:fs");
const held = createPrivateKey(readFileSync(${JSON.stringify(folder.join("held.key"))}));
const next = createPrivateKey(readFileSync(${JSON.stringify(folder.join("next.key"))}));
const file = process.env.TLSBOOT_CA_CERTIFICATE;
const isNext = existsSync(file)
  ? new X509Certificate(readFileSync(file)).publicKey.equals(createPublicKey(next))
  : file.includes("next-");
const key = isNext ? next : held;
const [verb, algorithm] = process.argv.slice(2);
const breakage = ${JSON.stringify(breakage)};
appendFileSync(${JSON.stringify(folder.join("runs"))}, verb + " " + process.env.TLSBOOT_CA_CERTIFICATE + "\\n");
if (verb === "public-key") {
  if (breakage === "prints no public key") console.log("hello");
  else process.stdout.write(createPublicKey(key).export({ format: "pem", type: "spki" }));
} else if (breakage === "waits for four others") {
  const runs = () => readFileSync(${JSON.stringify(folder.join("runs"))}, "utf8").split("\\n");
  const look = setInterval(() => {
    if (runs().filter((line) => line.startsWith("sign")).length < 5) return;
    clearInterval(look);
    process.stdout.write(sign("sha256", readFileSync(0), key));
    appendFileSync(${JSON.stringify(folder.join("runs"))}, "end\\n");
  }, 20);
} else if (breakage === "never ends") {
  setInterval(() => {}, 1000);
} else if (breakage === "exits with 3 when it signs") {
  console.error("the token\\nis not there");
  process.exit(3);
} else if (breakage === "prints too much") {
  process.stdout.write(Buffer.alloc(100_000));
} else if (breakage !== "prints nothing for a signature") {
  const data = readFileSync(0);
  const isRaw = algorithm === "Ed25519" || algorithm.startsWith("ML-DSA-");
  const hash = isRaw ? null : { "ECDSA-SHA384": "sha384", "ECDSA-SHA512": "sha512" }[algorithm];
  const signed = breakage === "signs something else" ? Buffer.from("else") : data;
  process.stdout.write(sign(hash === undefined ? "sha256" : hash, signed, key));
}
`;
  // CommonJS, which starts in two thirds of the time of a module.
  await writeFile(folder.join("program.cjs"), source);
  const runtime = process.versions["deno"] === undefined ? "" : "run -A --no-check --quiet ";
  const path = folder.join("hsm program");
  const script = `#!/bin/sh\nexec "${process.execPath}" ${runtime}"${folder.join("program.cjs")}" "$@"\n`;
  await writeFile(path, script, { mode: 0o700 });
  return path;
}
