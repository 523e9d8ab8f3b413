/** The commands `tlsboot ca ceremony` and `ca request`: flags, help and examples. */
import { KEY_ALGORITHMS } from "../../../core/pki/key_algorithm.ts";
import { CA_KEY_FLAGS, DATA_DIR_FLAG } from "../../flags/common.ts";
import { defineCommand } from "../../framework/command.ts";
import { choiceFlag, directoryFlag, durationFlag, fileFlag, listFlag, textFlag } from "../../framework/flags.ts";
import { PERMIT_FLAGS } from "./flags.ts";
import { SHARE_COUNT_FLAGS } from "./shares_flags.ts";

const KEY_ALGORITHM_FLAG = choiceFlag({
  choices: KEY_ALGORITHMS,
  default: "ecdsa-p256",
  placeholder: "ALGORITHM",
  summary: "Algorithm of the keys that are made.",
});

const CEREMONY_FLAGS = {
  out: directoryFlag({
    isRequired: true,
    summary: "Folder of the ceremony, which is made. An interrupted ceremony continues in it.",
  }),
  rootName: textFlag({ default: "tlsboot root CA", summary: "Common name of the new root." }),
  rootDuration: durationFlag({
    default: "20y",
    summary: "Lifetime of the new root.",
  }),
  ...PERMIT_FLAGS,
  keyAlgorithm: KEY_ALGORITHM_FLAG,
  rootCert: fileFlag({ summary: "Certificate of a root from an earlier ceremony, which signs a new intermediate CA." }),
  rootKey: fileFlag({ summary: "Key of --root-cert." }),
  ...SHARE_COUNT_FLAGS,
  ...CA_KEY_FLAGS,
  intermediateName: textFlag({
    summary: "Common name of the intermediate CA. Without it, that of --intermediate-csr, or tlsboot-ca with the date.",
  }),
  intermediateDuration: durationFlag({
    default: "5y",
    summary: "Lifetime of the intermediate CA.",
  }),
  intermediateCsr: fileFlag({
    summary: "Request of the online server, from tlsboot ca request, whose key stays there. Without it, the ceremony " +
      "makes a key under a passphrase of its own.",
  }),
  intermediatePassphraseFile: fileFlag({
    summary: "File with the passphrase for the key of the intermediate CA; - reads it from stdin. Without it, the " +
      "passphrase is prompted for on a terminal.",
  }),
  present: listFlag({
    placeholder: "NAME",
    isCommandLineOnly: true,
    summary: "Someone who is present and signs the protocol; given for each.",
  }),
} as const;

/** The type of the flags of `ca ceremony`. */
export type CaCeremonyFlags = typeof CEREMONY_FLAGS;

/** The command that makes a root, an intermediate CA and the protocol. */
export const caCeremonyCommand = defineCommand({
  path: ["ca", "ceremony"],
  environment: "strict",
  summary: "Make a root CA and an intermediate CA, with a protocol to sign",
  description:
    `Make a root CA that stays offline, an intermediate CA for the online server, and a protocol to print and sign by hand,
 on a machine without a network.

 root/ has the root and its key, which never leaves the safe: its key is under a passphrase, or with --shares under one
 that no one sees, whose shares are pages in shares/. online/ is what is carried to the server: ca.crt, the chain that tlsboot
 ca import takes, and ca.key, under a passphrase of its own, unless the server made the request that
 --intermediate-csr signs. protocol.txt and protocol.html say what was done when, by which program, before whom, with the
 fingerprints.

 With --root-cert, the root of an earlier ceremony signs another intermediate CA: before the first one ends, or because its
 key is lost.

 Nothing is ever overwritten. A ceremony that was interrupted continues with the same command; the protocol says so.`,
  group: "CA Commands",
  args: [],
  flags: CEREMONY_FLAGS,
  examples: [
    {
      comment: "Make a root that two of three people open, and sign the request of the online server",
      command:
        'tlsboot ca ceremony --out ceremony --shares 3 --threshold 2 --intermediate-csr ca.csr --present "Ada Lovelace" ' +
        '--present "Charles Babbage"',
    },
    {
      comment: "Five years later: type two shares, and sign the next one",
      command: "tlsboot ca ceremony --out ceremony-2031 --root-cert root/root.crt --root-key root/root.key " +
        "--ca-passphrase-share - --intermediate-csr next.csr",
    },
  ],
  exitCodes: { 0: "the CAs and the protocol are written" },
});

const REQUEST_FLAGS = {
  dataDir: DATA_DIR_FLAG,
  commonName: textFlag({ default: "tlsboot-ca", summary: "Common name of the CA that is requested." }),
  keyAlgorithm: KEY_ALGORITHM_FLAG,
  ...CA_KEY_FLAGS,
  out: fileFlag({ isRequired: true, summary: "New file for the request, PEM." }),
} as const;

/** The type of the flags of `ca request`. */
export type CaRequestFlags = typeof REQUEST_FLAGS;

/** The command that requests a CA certificate for the key of a data directory. */
export const caRequestCommand = defineCommand({
  path: ["ca", "request"],
  environment: "strict",
  summary: "Request the certificate of an intermediate CA",
  description:
    `Make the key of an intermediate CA in --data-dir, and a request (PKCS#10) for its certificate, which another CA signs:
 tlsboot ca ceremony --intermediate-csr, or any other. The key never leaves the data directory.

 The certificate that comes back is imported with: tlsboot ca import --ca-cert CHAIN.

 The key is encrypted when --ca-passphrase-file or --ca-passphrase-share gives a passphrase. Run again, the command makes
 another request for the same key.`,
  group: "CA Commands",
  args: [],
  flags: REQUEST_FLAGS,
  examples: [
    { comment: "Request a CA for the server in ./tlsboot-data", command: "tlsboot ca request --out ca.csr" },
    {
      comment: "Import what the ceremony made of it",
      command: "tlsboot ca import --ca-cert online/ca.crt",
    },
  ],
  exitCodes: { 0: "the request is written", 1: "failed, or there is a CA already" },
});
