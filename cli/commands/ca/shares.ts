/** Splits the passphrase of CA keys into shares, each on a page for its holder, and checks and combines them. */
import { join, resolve } from "node:path";
import { type FilePort, FOLDER_MODE, SECRET_MODE } from "../../../client/files.ts";
import { openPrivateKey } from "../../../controllers/signer/ca_provider.ts";
import { AppError, isAppError } from "../../../core/errors.ts";
import { detectKeyEncryption } from "../../../core/pki/keys/encrypted_key.ts";
import { Secret } from "../../../core/lib/brand.ts";
import type { Result } from "../../../core/lib/result.ts";
import type { PrivateKey } from "../../../core/pki/keys/keys.ts";
import { DERIVING_KEY, startProgress } from "../../output/progress.ts";
import { authorityPaths, CA_PURPOSES } from "../../../instance/authority/layout.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Tools } from "../../io.ts";
import { displayPath } from "../../output/files.ts";
import { escapeValue, line } from "../../../core/lib/printable.ts";
import { checkPrivateFile } from "../../../client/private_file.ts";
import {
  BEGIN_MARK,
  combineShares,
  createRandomPassphrase,
  describeShare,
  END_MARK,
  findShareFault,
  formatShareGroups,
  type NamedShare,
  type SecretShare,
  type ShareCounts,
  splitPassphrase,
} from "../../passphrases/secret_shares.ts";
import { readPassphraseOfShares, readShareFile, readShares, TYPED_SHARES } from "../../passphrases/typed_shares.ts";
import type { caSharesCheckCommand, caSharesCombineCommand, caSharesSplitCommand } from "./flags.ts";
import { escapeHtml } from "../../output/escape.ts";
import { createCaKeys } from "../../passphrases/passphrase.ts";
import { wrapWords } from "../../output/layout.ts";

export async function runSplitShares(
  { settings }: Input<typeof caSharesSplitCommand.flags>,
  tools: Tools,
): Promise<ExitCode> {
  const { files } = tools;
  const { shares: counts = DEFAULT_SHARES, out = "" } = settings;
  const keys = await findEncryptedKeys(settings, tools);
  const [first] = keys;
  if (first === undefined) {
    const where = settings.caKey ?? authorityPaths(settings.dataDir).key;
    throw new AppError("invalid", `cannot split a passphrase: the key "${where}" is not encrypted`, {
      hint:
        "encrypt it with: openssl pkcs8 -topk8 -v2 aes-256-cbc -in KEY -out NEW-KEY, and put it in place of the old one",
    });
  }
  const { passphrases, openKey } = createCaKeys(settings, tools);
  for (const key of keys) await checkOpening(key, () => openKey(key.pem, key.path), files);
  const passphrase = await passphrases.getForOpening(first.path);
  const to = { folder: resolve(tools.cwd, out), keyName: displayPath(first.path, tools.cwd), ...counts };
  const written = await writeSharePages(passphrase.reveal(), to, tools);
  for (const path of written) tools.stdout.write(line`${displayPath(path, tools.cwd)}\n`);
  tools.stderr.write(
    `${counts.threshold} of the ${counts.count} shares open the key. Print the pages, check them with tlsboot ca shares ` +
      "check, give them to their holders, and remove the files.\n",
  );
  return EXIT.done;
}

export async function runCheckShares(
  { args, settings }: Input<typeof caSharesCheckCommand.flags>,
  tools: Tools,
): Promise<ExitCode> {
  const shares: NamedShare[] = [];
  let isValid = true;
  for (const file of args.filter((arg) => arg !== TYPED_SHARES)) {
    try {
      const share = await readShareFile(file, tools);
      tools.stdout.write(line`${file}: ${describeShare(share.share)}\n`);
      shares.push(share);
    } catch (error) {
      if (!isAppError(error, "share_invalid")) throw error;
      isValid = false;
      tools.stdout.write(line`${file}: ${error.message}\n`);
    }
  }
  if (args.length === 0 || args.includes(TYPED_SHARES)) {
    const typed = await readShares([TYPED_SHARES], tools);
    if (!tools.stdin.isTerminal) {
      for (const { share } of typed) tools.stdout.write(line`${describeShare(share)}\n`);
    }
    shares.push(...typed);
  }
  if (!isValid) return EXIT.no;
  const fault = findShareFault(shares);
  if (fault !== undefined) {
    tools.stdout.write(line`${fault.message}\n`);
    return fault.kind === "too few" && shares.length > 0 ? EXIT.done : EXIT.no;
  }
  return await checkKeys(shares, settings, tools);
}

async function checkKeys(shares: readonly NamedShare[], settings: KeyPlace, tools: Tools): Promise<ExitCode> {
  const passphrase = await combineShares(shares);
  if (!passphrase.ok) {
    tools.stdout.write(line`${passphrase.error.message}\n`);
    return EXIT.no;
  }
  const keys = await findEncryptedKeys(settings, tools);
  if (keys.length === 0) {
    tools.stdout.write("the shares belong together; there is no encrypted key to open\n");
    return EXIT.done;
  }
  const secret = new Secret(passphrase.value);
  let isOpen = true;
  for (const key of keys) {
    try {
      using _ = startProgress(tools, DERIVING_KEY);
      await checkOpening(key, () => openPrivateKey(key.pem, key.path, () => Promise.resolve(secret)), tools.files);
      tools.stdout.write(line`the shares open ${displayPath(key.path, tools.cwd)}\n`);
    } catch (error) {
      if (!isAppError(error, "passphrase_wrong")) throw error;
      isOpen = false;
      tools.stdout.write(line`the shares do not open ${displayPath(key.path, tools.cwd)}\n`);
    }
  }
  return isOpen ? EXIT.done : EXIT.no;
}

export async function runCombineShares(
  { args, settings: { out = "" } }: Input<typeof caSharesCombineCommand.flags>,
  tools: Tools,
): Promise<ExitCode> {
  const passphrase = await readPassphraseOfShares(args.length === 0 ? [TYPED_SHARES] : args, tools);
  const text = `${passphrase.reveal()}\n`;
  if (out === "-") tools.stdout.write(text);
  else await tools.files.createExclusive(resolve(tools.cwd, out), text, SECRET_MODE);
  return EXIT.done;
}

interface KeyPlace {
  readonly caKey: string | undefined;
  readonly dataDir: string;
}

interface EncryptedKey {
  readonly path: string;
  readonly pem: string;
}

/** Finds the encrypted key of `--ca-key`, or those of the CAs in the data directory. A missing `--ca-key` is an error. */
async function findEncryptedKeys({ caKey, dataDir }: KeyPlace, tools: Tools): Promise<readonly EncryptedKey[]> {
  const paths = caKey === undefined ? CA_PURPOSES.map((purpose) => authorityPaths(dataDir, purpose).key) : [caKey];
  const keys: EncryptedKey[] = [];
  for (const path of paths.map((name) => resolve(tools.cwd, name))) {
    const pem = await tools.files.readText(path);
    if (pem === undefined && caKey !== undefined) {
      throw new AppError("not_found", `cannot read key "${caKey}": file does not exist`, {
        hint: "check the path of --ca-key",
      });
    }
    if (pem !== undefined && detectKeyEncryption(pem) === "pkcs8") keys.push({ path, pem });
  }
  return keys;
}

/** Opens a key whose file must be private. Throws AppError if it cannot be opened. */
async function checkOpening(
  { path }: EncryptedKey,
  open: () => Promise<Result<PrivateKey, string>>,
  files: FilePort,
): Promise<void> {
  await checkPrivateFile(path, files);
  const key = await open();
  if (!key.ok) throw new AppError("key_invalid", `cannot open the key "${path}": ${key.error}`);
}

/** The counts of a set without `--shares`. */
export const DEFAULT_SHARES: ShareCounts = { threshold: 2, count: 3 };

/** Returns the paths of the text pages of a set, in order. */
export function getSharePaths(folder: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => join(folder, `share-${index + 1}-of-${count}.txt`));
}

/**
 * Splits a passphrase and writes two pages for each share, a text and an HTML document. Throws AppError `file_exists` before
 * it writes anything, because pages are never overwritten. If a page cannot be written, the others are removed.
 */
async function writeSharePages(
  passphrase: string,
  to: ShareCounts & { readonly folder: string; readonly keyName: string },
  { files, random, cwd, clock }: Tools,
): Promise<readonly string[]> {
  const { folder, keyName, ...counts } = to;
  const shares = await splitPassphrase(passphrase, counts, random);
  if (!shares.ok) {
    throw new AppError("invalid", `cannot split the passphrase: ${shares.error}`, {
      hint: "choose a shorter passphrase",
    });
  }
  const madeOn = clock.now().toISOString().slice(0, 10);
  const pages = getSharePaths(folder, counts.count).flatMap((path, index) => {
    const share = shares.value[index];
    if (share === undefined) return [];
    const page = renderPage(share, keyName, madeOn);
    return [[path, page.text], [path.replace(/\.txt$/, ".html"), page.html]] as const;
  });
  for (const [path] of pages) {
    if (await files.lstat(path) === undefined) continue;
    throw new AppError("file_exists", `cannot write a share: "${displayPath(path, cwd)}" exists`, {
      hint: "shares are never overwritten: choose another folder, or move the old ones away",
    });
  }
  await files.makeDirectory(folder, FOLDER_MODE);
  const written: string[] = [];
  try {
    for (const [path, text] of pages) {
      await files.createExclusive(path, text, SECRET_MODE);
      written.push(path);
    }
  } catch (error) {
    for (const path of written) await files.unlink(path);
    throw error;
  }
  return written;
}

/**
 * Finds the complete set of shares that an interrupted run wrote into a folder; undefined when there is none. Throws
 * AppError `file_exists` for an incomplete set, which opens nothing, and for a set with other counts.
 */
async function findSharePages(
  folder: string,
  { threshold, count }: ShareCounts,
  { files, cwd }: Tools,
): Promise<readonly string[] | undefined> {
  const paths = getSharePaths(folder, count);
  const found: string[] = [];
  for (const path of paths) if (await files.lstat(path) !== undefined) found.push(path);
  if (found.length === 0) return undefined;
  const shares = [];
  for (const path of found) shares.push((await readShareFile(path, { cwd, files })).share);
  const setId = shares[0]?.setId;
  const isSet = shares.every((share) => share.setId === setId && share.threshold === threshold);
  if (isSet && found.length === count) return paths;
  const what = isSet ? `${found.length} of ${count} shares` : "shares of another set, or for another --shares";
  throw new AppError("file_exists", `cannot use the folder "${displayPath(folder, cwd)}": it has ${what}`, {
    hint: "shares are never overwritten: choose another folder; if no key was made with them, they open nothing",
  });
}

/**
 * Makes a random passphrase that no one sees and writes its shares, or finds the shares that an interrupted run wrote.
 * Returns the paths of as many shares as open a key. The shares are complete on disk before a key is encrypted with them.
 * Throws AppError `file_exists` as `findSharePages`, and for an existing key, which new shares would not open.
 */
export async function prepareShares(
  to: ShareCounts & { readonly folder: string; readonly keyPath: string; readonly keyName: string },
  tools: Tools,
): Promise<readonly string[]> {
  const { folder, keyPath, keyName, threshold, count } = to;
  const { files, random, cwd } = tools;
  const found = await findSharePages(folder, { threshold, count }, tools);
  if (found !== undefined) return found.slice(0, threshold);
  if (await files.lstat(keyPath) !== undefined) {
    throw new AppError("file_exists", `cannot make shares: the key "${displayPath(keyPath, cwd)}" exists`, {
      hint: "an existing key is never overwritten: move it away, or split its passphrase with: tlsboot ca shares split",
    });
  }
  await writeSharePages(createRandomPassphrase(random), { folder, keyName, threshold, count }, tools);
  return getSharePaths(folder, count).slice(0, threshold);
}

/** A part of a page, as text for a line printer and as HTML. */
interface Rendered {
  readonly text: string;
  readonly html: string;
}

const WIDTH = 78;
const BLANK = "_".repeat(32);
const STYLE = "body{font:12pt/1.4 sans-serif;max-width:44em;margin:2em auto;padding:0 1em}" +
  "h1{font-size:16pt;border-bottom:2px solid}" +
  "th{text-align:left;vertical-align:top;padding-right:1.5em;white-space:nowrap}" +
  "td{white-space:pre-wrap;overflow-wrap:anywhere}" +
  "pre{font:14pt/1.7 monospace;border:1px solid;padding:.5em 1em;white-space:pre-wrap;overflow-wrap:anywhere}" +
  ".blank{display:flex;gap:1em;margin-top:2.2em}.blank i{flex:1;border-bottom:1px solid}" +
  "tr,pre,.blank{break-inside:avoid}@page{margin:2cm}";

/** Renders the page of one holder: as text of 78 columns, and as an HTML document without scripts, fonts or images. */
function renderPage(share: SecretShare, keyName: string, madeOn: string): Rendered {
  const { number, count, threshold, setId } = share;
  const groups = formatShareGroups(share).map((group, index) =>
    `${String(index + 1).padStart(2)}  ${group.slice(0, 4)}-${group.slice(4)}`
  );
  const rows = groups.filter((_, index) => index % 2 === 0).map((group, row) => `${group}     ${groups[2 * row + 1]}`);
  const fewer = threshold === 2 ? "one alone reveals" : `${threshold - 1} of them reveal`;
  const title = `Share ${number} of ${count}`;
  const blocks = [
    renderFacts([
      ["Passphrase of", keyName],
      ["Set", setId],
      ["Needed", `${threshold} of the ${count} shares`],
      ["Made on", madeOn],
    ]),
    renderCode(BEGIN_MARK, ...rows, END_MARK),
    renderText(
      `${threshold} shares of the set ${setId} open the key, and ${fewer} nothing. Keep this page where the other ` +
        "holders have no access, and never together with the key.",
    ),
    renderText("To check the page:"),
    renderCode("tlsboot ca shares check"),
    renderText(
      "To open the key, press Enter where a command asks for its passphrase, and type the groups of each share in the " +
        "order of their numbers.",
    ),
    renderText(
      "The digits 0 and 1 may be typed as the letters O and I; hyphens and small letters do not matter. The last " +
        "character of each group shows whether the group is typed correctly.",
    ),
    renderBlanks("Holder", "Received on"),
  ];
  const html = [
    `<!DOCTYPE html>`,
    `<html lang="en"><head><meta charset="utf-8"><title>${title}</title><style>${STYLE}</style></head><body>`,
    `<h1>${title}</h1>`,
    ...blocks.map((block) => block.html),
    `</body></html>`,
    "",
  ].join("\n");
  return { text: `${title}\n${"=".repeat(title.length)}\n\n${blocks.map((block) => block.text).join("\n\n")}\n`, html };
}

function renderText(text: string): Rendered {
  return { text: wrapWords(text, WIDTH).join("\n"), html: `<p>${escapeHtml(text)}</p>` };
}

/** Renders lines that are typed or compared character by character. */
function renderCode(...lines: readonly string[]): Rendered {
  return { text: lines.join("\n"), html: `<pre>${lines.map(escapeHtml).join("\n")}</pre>` };
}

/** Renders names and values. Values are escaped: what a user chose must not start a new line or be invisible. */
function renderFacts(rows: readonly (readonly [name: string, value: string])[]): Rendered {
  const width = Math.max(...rows.map(([name]) => name.length)) + 3;
  const cells = rows.map(([name, value]) => `<tr><th>${name}</th><td>${escapeHtml(value)}</td></tr>`);
  return {
    text: rows.map(([name, value]) => `${name}:`.padEnd(width) + escapeValue(value)).join("\n"),
    html: `<table>${cells.join("\n")}</table>`,
  };
}

/** Renders lines to be filled in by hand. */
function renderBlanks(...labels: readonly string[]): Rendered {
  return {
    text: labels.map((label) => label.padEnd(WIDTH - BLANK.length) + BLANK).join("\n\n"),
    html: labels.map((label) => `<div class="blank"><span>${label}</span><i></i></div>`).join("\n"),
  };
}
