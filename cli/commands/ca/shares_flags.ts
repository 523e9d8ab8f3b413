/** The commands `tlsboot ca shares split`, `check` and `combine`: flags, help and examples. */
import { err, ok, type Result } from "../../../core/lib/result.ts";
import type { ShareCounts } from "./share_pages.ts";
import { CA_KEY_FLAGS, DATA_DIR_FLAG } from "../../flags/common.ts";
import { argument, defineCommand } from "../../framework/command.ts";
import { directoryFlag, fileFlag, parsedFlag } from "../../framework/flags.ts";

/** The largest number of shares of one set, as `splitPassphrase` documents it. */
const MAX_SHARES = 16;

/** The flag for the number of shares and the number that opens a key, for every command that makes shares. */
export const SHARES_FLAG = parsedFlag({
  placeholder: "M-of-N",
  completion: { kind: "suggestions", suggestions: ["2-of-3", "3-of-5"] },
  summary: "How many shares open the key, and how many there are: with 2-of-3, any two of three holders open it. " +
    "Without it, 2-of-3.",
  parse(text): Result<ShareCounts, string> {
    const [threshold = 0, count = 0] = /^\d+-of-\d+$/.test(text) ? text.split("-of-").map(Number) : [];
    if (threshold >= 2 && threshold <= count && count <= MAX_SHARES) return ok({ threshold, count });
    return err(`want M-of-N such as 2-of-3, where at least 2 of at most ${MAX_SHARES} shares open the key`);
  },
});

const KEY_FLAGS = {
  dataDir: DATA_DIR_FLAG,
  caKey: fileFlag({ summary: "Encrypted key that the passphrase opens, instead of the CA keys in --data-dir." }),
} as const;

export const caSharesSplitCommand = defineCommand({
  path: ["ca", "shares", "split"],
  environment: "strict",
  summary: "Split the passphrase of a CA key into shares on paper",
  description:
    `Split the passphrase of a CA key into shares on paper. As many of them as you choose open the key, and fewer reveal nothing.

 The passphrase is read, and must open the key, before anything is written. Each share becomes a page to print, for its
 holder alone: share-1-of-3.txt, and the same as HTML. Both are readable by their owner only. Remove the files when the
 pages are printed and checked.

 Each run makes a new set. Shares of different sets cannot be combined, and an older set still opens the key until the
 key gets a new passphrase.

 The shares are Shamir's, over GF(256), in Crockford's alphabet with a checksum in every group.`,
  group: "CA Commands",
  flags: {
    ...KEY_FLAGS,
    caPassphraseFile: CA_KEY_FLAGS.caPassphraseFile,
    shares: SHARES_FLAG,
    out: directoryFlag({ isRequired: true, summary: "Folder for the pages; each is a text and an HTML document." }),
  },
  examples: {
    "Give a share each to three people, two of whom can open the CA key in ./tlsboot-data":
      "tlsboot ca shares split --shares 2-of-3 --out shares",
    "Replace a set of shares by one for five people": "tlsboot ca shares split --shares 3-of-5 --out shares-2027",
  },
  exitCodes: { 0: "the pages are written" },
});

const SHARE_ARGUMENT = argument("[SHARE...]", "A file with a share, or - for those that are typed", { kind: "file" });

export const caSharesCheckCommand = defineCommand({
  path: ["ca", "shares", "check"],
  summary: "Check shares of a passphrase",
  description:
    `Check shares: that each is typed or copied correctly, that all of them are of one set, and, when there are enough of
 them, that they open the key.

 Without arguments, the shares are typed on the terminal; input ends after the last share that is needed, or with Ctrl-D.
 Without --ca-key, the encrypted CA keys in --data-dir are opened; where there are none, the shares alone are checked.`,
  group: "CA Commands",
  args: [SHARE_ARGUMENT],
  flags: KEY_FLAGS,
  examples: {
    "Check a page, which is typed": "tlsboot ca shares check",
    "Check all pages before they are printed": "tlsboot ca shares check shares/*.txt",
  },
  exitCodes: { 0: "no share has a fault", 3: "a share has a fault, or the shares do not open the key" },
});

export const caSharesCombineCommand = defineCommand({
  path: ["ca", "shares", "combine"],
  environment: "strict",
  summary: "Get the passphrase back from its shares",
  description:
    `Get the passphrase back from its shares, for a program that asks for a passphrase, such as openssl. The commands of
 tlsboot take the shares themselves, with --ca-passphrase-file.

 Without arguments, the shares are typed on the terminal.`,
  group: "CA Commands",
  args: [SHARE_ARGUMENT],
  flags: {
    out: fileFlag({
      isRequired: true,
      summary: "New file for the passphrase, readable by its owner only; - is stdout.",
    }),
  },
  examples: {
    "Open the key with openssl, on a machine without tlsboot's data":
      "tlsboot ca shares combine --out passphrase && openssl pkey -in root.key -passin file:passphrase -noout",
  },
  exitCodes: { 0: "the passphrase is written" },
});
