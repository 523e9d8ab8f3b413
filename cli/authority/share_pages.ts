/** Writes each share of a passphrase as a page for its holder, and finds the pages that an interrupted run wrote. */
import { join } from "node:path";
import type { FilePort } from "../../client/files.ts";
import { AppError } from "../../core/errors.ts";
import {
  createRandomPassphrase,
  formatShareGroups,
  type SecretShare,
  splitPassphrase,
} from "../../core/pki/secret_shares.ts";
import type { Random } from "../../core/ports.ts";
import { FOLDER_MODE, SECRET_MODE } from "../instance/data_dir.ts";
import type { Io } from "../io.ts";
import { displayPath } from "../output/display_path.ts";
import { type Page, renderPageHtml, renderPageText } from "../output/page.ts";
import { readShareFile } from "./passphrase_shares.ts";

/** How many shares there are, and how many of them give the passphrase back. */
export interface ShareCounts {
  readonly threshold: number;
  readonly count: number;
}

/** The counts of a set when the user chooses none. */
export const DEFAULT_SHARES: ShareCounts = { threshold: 2, count: 3 };

/** The ports that writing pages uses. */
export interface SharePageDeps {
  readonly files: FilePort;
  readonly random: Random;
  readonly io: Pick<Io, "cwd" | "clock" | "stdin" | "stderr">;
}

/** Returns the paths of the texts of a set's pages in a folder, in order. */
export function getSharePaths(folder: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => join(folder, `share-${index + 1}-of-${count}.txt`));
}

/**
 * Splits a passphrase and writes two pages for each share, a text and an HTML document. Throws AppError `file_exists` before
 * it writes anything, as a page is never overwritten; the pages that it wrote are removed when one cannot be written.
 */
export async function writeSharePages(
  passphrase: string,
  to: ShareCounts & { readonly folder: string; readonly keyName: string },
  { files, random, io }: SharePageDeps,
): Promise<readonly string[]> {
  const { folder, keyName, ...counts } = to;
  const shares = await splitPassphrase(passphrase, counts, random);
  if (!shares.ok) {
    throw new AppError("invalid", `cannot split the passphrase: ${shares.error}`, {
      hint: "choose a shorter passphrase",
    });
  }
  const made = io.clock.now().toISOString().slice(0, 10);
  const pages = getSharePaths(folder, counts.count).flatMap((path, index) => {
    const share = shares.value[index];
    if (share === undefined) return [];
    const page = describePage(share, keyName, made);
    return [[path, renderPageText(page)], [path.replace(/\.txt$/, ".html"), renderPageHtml(page)]] as const;
  });
  for (const [path] of pages) {
    if (await files.lstat(path) === undefined) continue;
    throw new AppError("file_exists", `cannot write a share: "${displayPath(path, io.cwd)}" exists`, {
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
 * AppError `file_exists` for an incomplete set, which opens nothing, and for one of other counts.
 */
async function findSharePages(
  folder: string,
  { threshold, count }: ShareCounts,
  { files, io }: Omit<SharePageDeps, "random">,
): Promise<readonly string[] | undefined> {
  const paths = getSharePaths(folder, count);
  const found: string[] = [];
  for (const path of paths) if (await files.lstat(path) !== undefined) found.push(path);
  if (found.length === 0) return undefined;
  const shares = [];
  for (const path of found) shares.push((await readShareFile(path, { io, files })).share);
  const setId = shares[0]?.setId;
  const isSet = shares.every((share) => share.setId === setId && share.threshold === threshold);
  if (isSet && found.length === count) return paths;
  const what = isSet ? `${found.length} of ${count} shares` : "shares of another set, or for another --threshold";
  throw new AppError("file_exists", `cannot use the folder "${displayPath(folder, io.cwd)}": it has ${what}`, {
    hint: "shares are never overwritten: choose another folder; if no key was made with them, they open nothing",
  });
}

/**
 * Makes a random passphrase that no one sees and writes its shares, or finds the shares that an interrupted run wrote.
 * Returns the paths of as many as are needed. The shares are complete on disk before a key is encrypted with them. Throws
 * AppError `file_exists` as `findSharePages`, and when there is a key already, which other shares would not open.
 */
export async function prepareShares(
  to: ShareCounts & { readonly folder: string; readonly keyPath: string; readonly keyName: string },
  deps: SharePageDeps,
): Promise<readonly string[]> {
  const { folder, keyPath, keyName, threshold, count } = to;
  const { files, random, io } = deps;
  const found = await findSharePages(folder, { threshold, count }, deps);
  if (found !== undefined) return found.slice(0, threshold);
  if (await files.lstat(keyPath) !== undefined) {
    throw new AppError("file_exists", `cannot make shares: the key "${displayPath(keyPath, io.cwd)}" exists`, {
      hint: "an existing key is never overwritten: move it away, or split its passphrase with: tlsboot ca shares split",
    });
  }
  await writeSharePages(createRandomPassphrase(random), { folder, keyName, threshold, count }, deps);
  return getSharePaths(folder, count).slice(0, threshold);
}

/** Describes the page that one holder gets. */
function describePage(share: SecretShare, keyName: string, made: string): Page {
  const { number, count, threshold, setId } = share;
  const groups = formatShareGroups(share).map((group, index) =>
    `${String(index + 1).padStart(2)}  ${group.slice(0, 4)}-${group.slice(4)}`
  );
  const rows = groups.filter((_, index) => index % 2 === 0).map((group, row) => `${group}     ${groups[2 * row + 1]}`);
  return {
    title: `Share ${number} of ${count}`,
    blocks: [
      {
        kind: "facts",
        rows: [["Of the passphrase of", keyName], ["Set", setId], ["Needed", `${threshold} of the ${count} shares`], [
          "Made on",
          made,
        ]],
      },
      { kind: "code", lines: ["-----BEGIN TLSBOOT SHARE-----", ...rows, "-----END TLSBOOT SHARE-----"] },
      {
        kind: "text",
        text: `${threshold} shares of the set ${setId} open the key, and ${
          threshold - 1 === 1 ? "one alone reveals" : `${threshold - 1} of them reveal`
        } nothing. Keep this page where the other holders have no access, and never beside the key.`,
      },
      { kind: "text", text: "To check the page:" },
      { kind: "code", lines: ["tlsboot ca shares check"] },
      {
        kind: "text",
        text:
          "To open the key, give --ca-passphrase-share - to the command that needs it, and type the groups of each " +
          "share in the order of their numbers.",
      },
      {
        kind: "text",
        text: "The digits 0 and 1 may be typed as the letters O and I; hyphens and small letters do not matter. " +
          "The last character of each group shows whether the group is typed correctly.",
      },
      { kind: "blanks", labels: ["Holder", "Received on"] },
    ],
  };
}
