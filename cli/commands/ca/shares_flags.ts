/** The commands `tlsboot ca shares split`, `check` and `combine`: flags, help and examples. */
import { CA_KEY_FLAGS, DATA_DIR_FLAG } from "../../flags/common.ts";
import { argument, defineCommand } from "../../framework/command.ts";
import { directoryFlag, fileFlag, integerFlag } from "../../framework/flags.ts";

/** The largest number of shares of one set, as `splitPassphrase` documents it. */
const MAX_SHARES = 16;

/** The flags for how many shares there are, for every command that makes some. */
export const SHARE_COUNT_FLAGS = {
  shares: integerFlag({ min: 2, max: MAX_SHARES, summary: "How many shares to make, one for each holder." }),
  threshold: integerFlag({ min: 2, max: MAX_SHARES, summary: "How many of the shares open the key." }),
} as const;

const PASSPHRASE_FLAGS = {
  caPassphraseFile: CA_KEY_FLAGS.caPassphraseFile,
  caPassphraseShare: CA_KEY_FLAGS.caPassphraseShare,
} as const;

const CREATE_FLAGS = {
  dataDir: DATA_DIR_FLAG,
  keyFile: fileFlag({ summary: "Encrypted key that the passphrase opens, instead of the CA keys in --data-dir." }),
  ...PASSPHRASE_FLAGS,
  ...SHARE_COUNT_FLAGS,
  out: directoryFlag({ isRequired: true, summary: "Folder for the pages; each is a text and an HTML document." }),
} as const;

/** The type of the flags of `ca shares split`. */
export type CaSharesCreateFlags = typeof CREATE_FLAGS;

/** The command that splits the passphrase of a CA key. */
export const caSharesSplitCommand = defineCommand({
  path: ["ca", "shares", "split"],
  environment: "strict",
  summary: "Split the passphrase of a CA key into shares on paper",
  description:
    `Split the passphrase of a CA key into shares, of which --threshold open the key, and fewer reveal nothing.

 The passphrase is read, and must open the key, before anything is written. Each share becomes a page to print, for its
 holder alone: share-1-of-3.txt, and the same as HTML. Both are readable by their owner only. Remove the files when the
 pages are printed and checked.

 Each run makes a new set. Shares of different sets cannot be combined, and an older set still opens the key: only a new
 passphrase ends it.

 The shares are Shamir's, over GF(256), in Crockford's alphabet with a checksum in every group.`,
  group: "CA Commands",
  args: [],
  flags: CREATE_FLAGS,
  examples: [
    {
      comment: "Give a share each to three people, two of whom can open the CA key in ./tlsboot-data",
      command: "tlsboot ca shares split --threshold 2 --shares 3 --out shares",
    },
    {
      comment: "Replace a set of shares by one for five people",
      command: "tlsboot ca shares split --threshold 3 --shares 5 --out shares-2027 --ca-passphrase-share -",
    },
  ],
  exitCodes: { 0: "the pages are written" },
});

const CHECK_FLAGS = {
  dataDir: DATA_DIR_FLAG,
  keyFile: CREATE_FLAGS.keyFile,
} as const;

/** The type of the flags of `ca shares check`. */
export type CaSharesCheckFlags = typeof CHECK_FLAGS;

/** The command that checks shares. */
export const caSharesCheckCommand = defineCommand({
  path: ["ca", "shares", "check"],
  summary: "Check shares of a passphrase",
  description:
    `Check shares: that each is typed or copied correctly, that all of them are of one set, and, when there are enough of
 them, that they open the key.

 Without arguments, the shares are typed on the terminal; input ends after the last share that is needed, or with Ctrl-D.
 Without --key-file, the encrypted CA keys in --data-dir are opened; where there are none, the shares alone are checked.`,
  group: "CA Commands",
  args: [argument("SHARE", "A file with a share, or - for those that are typed", {
    optional: true,
    variadic: true,
    completion: { kind: "file" },
  })],
  flags: CHECK_FLAGS,
  examples: [
    { comment: "Check a page, which is typed", command: "tlsboot ca shares check" },
    { comment: "Check all pages before they are printed", command: "tlsboot ca shares check shares/*.txt" },
  ],
  exitCodes: { 0: "no share has a fault", 3: "a share has a fault, or the shares do not open the key" },
});

const COMBINE_FLAGS = {
  caPassphraseShare: {
    ...CA_KEY_FLAGS.caPassphraseShare,
    summary: "File with a share; given for each share that is needed. Without it, or with -, the shares are typed.",
  },
  out: fileFlag({ isRequired: true, summary: "New file for the passphrase, readable by its owner only; - is stdout." }),
} as const;

/** The type of the flags of `ca shares combine`. */
export type CaSharesCombineFlags = typeof COMBINE_FLAGS;

/** The command that writes the passphrase that shares give. */
export const caSharesCombineCommand = defineCommand({
  path: ["ca", "shares", "combine"],
  environment: "strict",
  summary: "Get the passphrase back from its shares",
  description:
    `Get the passphrase back from its shares, for a program that asks for a passphrase, such as openssl. The commands of
 tlsboot take the shares themselves, with --ca-passphrase-share.`,
  group: "CA Commands",
  args: [],
  flags: COMBINE_FLAGS,
  examples: [
    {
      comment: "Open the key with openssl, on a machine without tlsboot's data",
      command: "tlsboot ca shares combine --out passphrase && openssl pkey -in root.key -passin file:passphrase -noout",
    },
  ],
  exitCodes: { 0: "the passphrase is written" },
});
