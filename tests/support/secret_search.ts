/** Searches the output of a run for its secrets, in every form that they may take. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createPrivateKey } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseKubeconfig } from "../../core/kube/kubeconfig/kubeconfig.ts";
import { decryptPrivateKey } from "../../core/pki/keys/encrypted_key.ts";
import { type Finished, type Running, runTlsboot, startTlsboot } from "./child.ts";

/** A secret and its origin. */
export interface Known {
  readonly name: string;
  readonly value: Value;
}

type Value = string | Buffer;

/** A piece of output and its source. */
interface RunOutput {
  readonly where: string;
  readonly text: string;
}

/** The shortest piece of a secret that counts as a leak. Twelve equal characters are not a coincidence. */
export const PIECE = 12;

/** Lists the forms of a secret: unchanged, in base64 at each of three offsets, in hexadecimal, in URLs, and in JSON. */
export function listForms(value: Value): readonly string[] {
  const bytes = typeof value === "string" ? Buffer.from(value, "utf8") : value;
  const base64 = [0, 1, 2].flatMap((skip) => {
    const cut = bytes.subarray(skip, bytes.length - ((bytes.length - skip) % 3));
    return [cut.toString("base64"), cut.toString("base64url")];
  });
  const hex = bytes.toString("hex");
  const text = typeof value === "string" ? [value, encodeURIComponent(value), JSON.stringify(value).slice(1, -1)] : [];
  return [...text, ...base64, hex, hex.toUpperCase()];
}

/** Lists overlapping pieces of a form, so that any long part of it contains one. */
function listPieces(form: string): readonly string[] {
  if (form.length <= PIECE) return [form];
  const pieces: string[] = [];
  for (let at = 0; at + PIECE <= form.length; at++) pieces.push(form.slice(at, at + PIECE));
  return pieces;
}

/**
 * Finds the private parts of the keys in a text, each as its bytes and as in PEM. Their public parts may be printed.
 */
function privateParts(text: string): readonly Value[] {
  const blocks = text.match(/-----BEGIN (?:EC )?PRIVATE KEY-----[^-]*-----END (?:EC )?PRIVATE KEY-----/g) ?? [];
  return blocks.flatMap((pem) => {
    const der = Buffer.from(pem.replace(/-----[^-]*-----/g, ""), "base64");
    const scalar = Buffer.from(createPrivateKey(pem).export({ format: "jwk" }).d ?? "", "base64url");
    const at = der.indexOf(scalar);
    assert.ok(scalar.length > 0 && at > 0, "the key has no private scalar");
    const first = Math.ceil(at / 3) * 3;
    const inPem = der.subarray(first, first + Math.floor((at + scalar.length - first) / 3) * 3).toString("base64");
    return [scalar, inPem];
  });
}

/** Creates an index of every piece of each secret, with the secret's name. */
function createIndex(secrets: readonly Known[]): ReadonlyMap<string, string> {
  const index = new Map<string, string>();
  for (const { name, value } of secrets) {
    for (const form of listForms(value)) for (const piece of listPieces(form)) index.set(piece, name);
  }
  return index;
}

/** Finds secrets in outputs, with the text before them. */
export function findSecrets(outputs: readonly RunOutput[], secrets: readonly Known[]): readonly string[] {
  const index = createIndex(secrets);
  const found = new Map<string, string>();
  for (const { where, text } of outputs) {
    for (let at = 0; at + PIECE <= text.length; at++) {
      const name = index.get(text.slice(at, at + PIECE));
      const place = `${name} in ${where}`;
      if (name !== undefined && !found.has(place)) found.set(place, text.slice(Math.max(0, at - 80), at));
    }
  }
  return [...found].map(([place, before]) => `${place}, after: ${before}`);
}

/** The options of a command of a run. */
interface CommandOptions {
  /** Whether the command prints a secret on stdout on request. */
  readonly isAnswerSecret?: boolean;
  readonly stdin?: string;
}

/** Commands at the highest verbosity in one folder, their output, and the secrets that it must not contain. */
export interface SecretRun {
  record(where: string, text: string): void;
  getOutput(where: string): string;
  know(name: string, value: Value): void;
  succeeds(words: string, options?: CommandOptions): Promise<string>;
  fails(words: string, options?: CommandOptions): Promise<string>;
  tlsboot(words: string, options?: CommandOptions): Promise<Finished>;
  /** Starts a server or a role; its output is searched when `end` ends it. */
  start(words: string): Running;
  end(running: Running): Promise<Finished>;
  /** Adds the keys in all files of the folder, including encrypted ones, to the secrets, and returns their number. */
  knowKeys(passphrase: string): Promise<number>;
  /** Returns every place where a secret was printed. */
  found(): readonly string[];
}

export function createSecretRun(cwd: string): SecretRun {
  const outputs: RunOutput[] = [];
  const secrets: Known[] = [];
  const started = new Map<Running, string>();
  const record = (where: string, text: string): void => void outputs.push({ where, text });
  const know = (name: string, value: Value): void => void secrets.push({ name, value });

  async function tlsboot(words: string, options: CommandOptions = {}): Promise<Finished> {
    const { isAnswerSecret = false, stdin = "" } = options;
    const finished = await runTlsboot([...words.split(" "), "--debug"], { cwd, stdin });
    record(`stderr of ${words}`, finished.stderr);
    if (!isAnswerSecret) record(`stdout of ${words}`, finished.stdout);
    return finished;
  }

  return {
    record,
    know,
    tlsboot,
    getOutput: (where) => outputs.filter((one) => one.where === where).map(({ text }) => text).join("\n"),
    async succeeds(words, options) {
      const { code, stdout, stderr } = await tlsboot(words, options);
      assert.equal(code, 0, `${words}: ${stderr}`);
      return stdout;
    },
    async fails(words, options) {
      const { code, stderr } = await tlsboot(words, options);
      assert.notEqual(code, 0, words);
      return stderr;
    },
    start(words) {
      const running = startTlsboot([...words.split(" "), "--debug"], { cwd });
      started.set(running, words);
      return running;
    },
    async end(running) {
      running.kill("SIGTERM");
      const finished = await running.finished();
      record(`stdout of ${started.get(running)}`, finished.stdout);
      record(`stderr of ${started.get(running)}`, finished.stderr);
      return finished;
    },
    async knowKeys(passphrase) {
      const before = secrets.length;
      for (const path of await filesBelow(cwd)) {
        const text = await readFile(path, "latin1");
        const config = /kubeconfig$/.test(path) ? parseKubeconfig(text, path) : undefined;
        const embedded = config?.ok === true ? config.value.users[0]?.user.clientKeyData?.reveal() ?? "" : "";
        const opened = text.startsWith("-----BEGIN ENCRYPTED") ? await decryptPrivateKey(text, passphrase) : undefined;
        const underPassphrase = opened?.ok === true ? opened.value : "";
        for (const value of privateParts(text + embedded + underPassphrase)) know(`a key in ${path}`, value);
      }
      return secrets.length - before;
    },
    found: () => findSecrets(outputs, secrets),
  };
}

async function filesBelow(root: string): Promise<readonly string[]> {
  const entries = await readdir(root, { withFileTypes: true, recursive: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}
