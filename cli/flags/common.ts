/** Flags that several commands share. */
import { err, ok } from "../../core/lib/result.ts";
import { isDocumentUrl, MAX_URL_LENGTH } from "../../core/pki/x509/name_syntax.ts";
import {
  choiceFlag,
  directoryFlag,
  fileFlag,
  inGroup,
  integerFlag,
  listFlag,
  parsedFlag,
  switchFlag,
  textFlag,
} from "../framework/flags.ts";
import { atMostOneOf, needs } from "../framework/rules.ts";
import { DEFAULT_SETTINGS } from "../../instance/settings.ts";

/** The flags of the connection. ~/.kube/config is never used, so that a command reaches only clusters that the user names. */
export const API_FLAGS = inGroup("Connection", {
  dataDir: directoryFlag({
    default: DEFAULT_SETTINGS.dataDir,
    summary: "Folder of the CA, the database and the kubeconfigs.",
  }),
  kubeconfig: fileFlag({
    summary: "Kubeconfig for the API server. Without it, admin.kubeconfig in --data-dir.",
  }),
  context: textFlag({
    placeholder: "NAME",
    summary: "Context of the kubeconfig. Without it, the file's current context.",
  }),
});

/** The flag `--data-dir`, the same in every command. */
export const DATA_DIR_FLAG: typeof API_FLAGS.dataDir = API_FLAGS.dataDir;

/** The flags for the log of daemons, with Kubernetes' names. */
export const LOG_FLAGS = {
  loggingFormat: choiceFlag({
    group: "Logging",
    choices: ["text", "json"],
    summary: "Format of the log on stderr. Without it, text on a terminal and JSON elsewhere.",
  }),
  v: integerFlag({
    group: "Logging",
    short: "v",
    default: 0,
    max: 10,
    summary: "Verbosity of the log. With 4 or more, each step is logged.",
  }),
} as const;

/** The flags of commands that can run as a service of systemd. */
export const SERVICE_FLAGS = {
  installService: switchFlag({
    isCommandLineOnly: true,
    summary:
      "Install a systemd service that runs this command with these flags, start it, and wait until it is ready. " +
      "Shows each step and asks first. A second run changes only what differs.",
  }),
  uninstallService: switchFlag({
    isCommandLineOnly: true,
    summary: "Stop the service and remove it with its settings. Its data stays.",
  }),
  yes: switchFlag({
    isCommandLineOnly: true,
    summary: "With --install-service or --uninstall-service: do not ask. Required without a terminal.",
  }),
} as const;

/** The values of these flags for the command that the service runs. */
export const NO_SERVICE = { installService: false, uninstallService: false, yes: false } as const;

/** The rules between the flags of a service. */
export const SERVICE_RULES = [
  atMostOneOf("installService", "uninstallService"),
  needs("yes", "installService", "uninstallService"),
] as const;

const PASSPHRASE_FILES = listFlag({
  placeholder: "FILE",
  completion: { kind: "file" },
  summary:
    "File with the passphrase of encrypted CA keys, one line, readable by its owner only; or, repeated, a file for " +
    "each share that is needed, from tlsboot ca shares split. - reads stdin. Without it, the command prompts on a " +
    "terminal for the passphrase; press Enter there to type shares from paper instead.",
});

/** The flags for CA keys, for every command that opens one. */
export const CA_KEY_FLAGS = inGroup("CA Key", {
  caPassphraseFile: {
    ...PASSPHRASE_FILES,
    parse: (texts: readonly string[]) => {
      const files = PASSPHRASE_FILES.parse(texts);
      // An empty variable in a script must not lead to a key without a passphrase.
      return files.ok && files.value.length === 0 ? err("want the path of a file, or - for stdin") : files;
    },
  },
  signingKeyCommand: fileFlag({
    placeholder: "PROGRAM",
    summary:
      "Program that holds the CA key, for example in an HSM, instead of a key file: PROGRAM public-key prints the " +
      "public key, and PROGRAM sign ALGORITHM signs its stdin. See docs/guides/ca.md.",
  }),
});

/** The flag `--crl-url` for commands that sign. */
export const CRL_URL_FLAG = parsedFlag({
  group: "Certificate",
  placeholder: "URL",
  summary:
    "URL of the CA's revocation list (CRL), http, https or ldap, which is written into every certificate that is " +
    "signed from now on. If it ends with /, the name of the CA's file is appended: ca.crl for ca.crt. With https, a " +
    "client may need the list to verify the server that it gets the list from.",
  parse: (text) =>
    isDocumentUrl(text) ? ok(text) : err(
      `want an http, https or ldap URL of at most ${MAX_URL_LENGTH} characters, such as http://pki.example.com/ca.crl`,
    ),
});

/** The flag `--issued-log` for commands that sign with the CA in a data directory. */
export const ISSUED_LOG_FLAG = fileFlag({
  summary:
    "File to which a record of each certificate is appended before the certificate is written: a line of JSON with " +
    "the hash of the previous line. Without it, issued.jsonl in --data-dir, which the server imports into its " +
    "register; with a CA in other files, nothing is recorded.",
});

/** The flag `-o` for commands that print no API objects. Keys may be added, but never removed or changed. */
export const STRUCTURED_OUTPUT = choiceFlag({
  short: "o",
  choices: ["json", "yaml"],
  summary: "Output format. Without it, text.",
});

/** The flag `--offline` of commands that request a certificate. */
export const OFFLINE_FLAG = directoryFlag({
  isCommandLineOnly: true,
  summary:
    "Without a network: folder, such as a USB stick, that carries the request to the CA and the answer back. Run the " +
    "same command again for the answer; tlsboot sign FOLDER makes it.",
});

/** The flag `--qr` for commands that write a bundle. */
export const QR_FLAG = directoryFlag({
  summary: "Also write the bundle to this folder as an HTML document of QR codes, to print and to scan in any order.",
});
