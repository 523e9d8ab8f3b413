/**
 * The commands `tlsboot ca init`, `import`, `show`, `crl`, `request`, `sign` and `shares …`: flags, help and examples.
 */
import { err, ok, type Result } from "../../../core/lib/result.ts";
import { parseNetwork } from "../../../core/lib/ip_address.ts";
import { parseDnsSubtree } from "../../../core/pki/x509/name_syntax.ts";
import { API_FLAGS, CA_KEY_FLAGS, DATA_DIR_FLAG, STRUCTURED_OUTPUT } from "../../flags/common.ts";
import { argument, defineCommand } from "../../framework/command.ts";
import { CA_PURPOSES, getCaName } from "../../../instance/authority/layout.ts";
import {
  choiceFlag,
  directoryFlag,
  durationFlag,
  fileFlag,
  listFlag,
  parsedFlag,
  parsedListFlag,
  switchFlag,
  textFlag,
} from "../../framework/flags.ts";
import { atMostOneOf, excludes, needs } from "../../framework/rules.ts";
import { CLASSIC_KEY_ALGORITHM, KEY_ALGORITHM } from "../../flags/request.ts";
import type { ShareCounts } from "../../passphrases/secret_shares.ts";

/** The flag `--ca-key` of commands that take a CA in files. */
const CA_KEY_FILE_FLAG = fileFlag({ summary: "Key of --ca-cert, PEM, readable by its owner only." });

/** The rules of commands that take a CA in files instead of the one in the data directory. */
const CA_IN_FILES_RULES = [
  needs("caKey", "caCert"),
  needs("caCert", "caKey", "signingKeyCommand"),
  atMostOneOf("caKey", "signingKeyCommand"),
] as const;

/** The minimum lifetime of a CA. A shorter one is probably a mistake. */
const MIN_LIFETIME = "24h";

/** The flags for the name constraints of a new CA. */
const PERMIT_FLAGS = {
  permitDns: parsedListFlag({
    placeholder: "DOMAIN",
    summary: "Let the CA certify these DNS names and no others: example.org covers itself and all names below it, " +
      ".example.org only the names below it. IP addresses are not limited unless --permit-ip is given.",
    parse: parseDnsSubtree,
  }),
  permitIp: parsedListFlag({
    placeholder: "CIDR",
    summary: "Let the CA certify these IP addresses and no others: 10.0.0.0/8, or one address. DNS names are not " +
      "limited unless --permit-dns is given.",
    parse: parseNetwork,
  }),
} as const;

/** The largest number of shares of one set, as `splitPassphrase` documents it. */
const MAX_SHARES = 16;

/** The flag for the number of shares and the number that opens a key, for every command that makes shares. */
const SHARES_FLAG = parsedFlag({
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

export const caInitCommand = defineCommand({
  path: ["ca", "init"],
  environment: "strict",
  summary: "Make a certificate authority",
  description: `Make a certificate authority.

 Writes pki/ca.crt and pki/ca.key below --data-dir. An existing CA is never overwritten.

 --permit-dns and --permit-ip write critical name constraints (RFC 5280) into the CA certificate: every verifier refuses
 a certificate with a name outside of them, even one that was signed with a stolen CA key. They limit the subject
 alternative names of a certificate, not its common name, and so not the user name that the API reads from it. A
 constrained CA signs a serving certificate for tlsboot up only if the address in kubeconfigs is permitted.

 --split writes client-ca, kubelet-client-ca, kubelet-serving-ca and custom-ca as well as ca; tlsboot up then uses each
 for its purpose only. The API accepts clients of the first two, and kubeconfigs trust ca for the server.

 An encrypted key is PKCS#8 (PBES2: PBKDF2 with HMAC-SHA256, AES-256-CBC), which openssl pkey reads.`,
  group: "CA Commands",
  flags: {
    dataDir: DATA_DIR_FLAG,
    commonName: textFlag({ default: "tlsboot-ca", summary: "Common name of the CA." }),
    duration: durationFlag({ default: "10y", min: MIN_LIFETIME, summary: "Lifetime of the CA certificate." }),
    keyAlgorithm: KEY_ALGORITHM,
    ...PERMIT_FLAGS,
    encryptKey: switchFlag({
      summary:
        "Encrypt the key with a passphrase that is typed twice; --ca-passphrase-file alone encrypts it with the " +
        "one in the file. Every command that opens the key then needs the passphrase.",
    }),
    ...CA_KEY_FLAGS,
    shares: SHARES_FLAG,
    sharesOut: directoryFlag({
      summary: "Encrypt the key with a random passphrase that no one sees, and write --shares shares of it into this " +
        "folder, as pages to print.",
    }),
    split: switchFlag({
      summary: "Make a CA for each purpose: the API server's certificate, clients of the API, kubelets as clients, " +
        "kubelets as servers, custom signers.",
    }),
  },
  rules: [
    needs("shares", "sharesOut"),
    excludes("sharesOut", "encryptKey", "caPassphraseFile", "signingKeyCommand"),
    atMostOneOf("encryptKey", "signingKeyCommand"),
  ],
  examples: {
    "Make a CA in ./tlsboot-data": "tlsboot ca init",
    "Make one with an RSA key that lasts two years": "tlsboot ca init --key-algorithm rsa-3072 --duration 2y",
    "Make one for one domain and one network":
      "tlsboot ca init --permit-dns example.org --permit-ip 10.0.0.0/8 --permit-ip 127.0.0.1",
    "Make one with an encrypted key, and type the passphrase": "tlsboot ca init --encrypt-key",
    "Make one whose key two of three people open together": "tlsboot ca init --shares 2-of-3 --shares-out shares",
    "Make a CA for each purpose": "tlsboot ca init --split",
  },
  exitCodes: { 0: "the CA is written", 1: "failed, or there is a CA already" },
});

export const caImportCommand = defineCommand({
  path: ["ca", "import"],
  environment: "strict",
  summary: "Import a certificate authority from files",
  description: `Import a certificate authority from files, such as an intermediate CA of your organization.

 Before anything is written, the command checks that the CA may sign and has not expired, the order, signatures, path
 lengths and keys of the chain up to its root, and that the key belongs to the CA. Each certificate that the CA issues is
 followed by the intermediates.

 Writes pki/ca.crt and pki/ca.key below --data-dir. An existing CA is never overwritten.`,
  group: "CA Commands",
  flags: {
    dataDir: DATA_DIR_FLAG,
    caCert: fileFlag({
      isRequired: true,
      summary: "CA to import: PEM, the CA first, then each issuer up to the root.",
    }),
    caKey: fileFlag({
      summary:
        "Key of --ca-cert, PEM, readable by its owner only. Without it, pki/ca.key in --data-dir, which tlsboot " +
        "ca request makes.",
    }),
    encryptKey: switchFlag({
      summary:
        "Encrypt the key with a passphrase that is typed twice; --ca-passphrase-file alone encrypts it with the " +
        "one in the file. A key that is encrypted keeps its passphrase.",
    }),
    ...CA_KEY_FLAGS,
  },
  rules: [excludes("signingKeyCommand", "caKey", "encryptKey")],
  examples: {
    "Import an intermediate CA of your organization": "tlsboot ca import --ca-cert chain.pem --ca-key intermediate.key",
    "Import the certificate for the key that tlsboot ca request made": "tlsboot ca import --ca-cert ca.crt",
  },
  exitCodes: { 0: "the CA is written", 1: "failed, or there is a CA already" },
});

export const caShowCommand = defineCommand({
  path: ["ca", "show"],
  summary: "Show the certificate authority",
  description:
    `Show the certificate authority in --data-dir, or each one of a split set: its issuer, its validity, and the names for
 which it may issue.

 The last line is the value for kubeadm join --discovery-token-ca-cert-hash.`,
  group: "CA Commands",
  flags: { dataDir: DATA_DIR_FLAG, output: STRUCTURED_OUTPUT },
  examples: {
    "Show the CA": "tlsboot ca show",
    "Get its pin only": "tlsboot ca show -o json | jq -r .publicKeyPin",
  },
});

export const caCrlCommand = defineCommand({
  path: ["ca", "crl"],
  environment: "strict",
  summary: "Get the list of revoked certificates (CRL)",
  description:
    `Get the list of the revoked certificates of a CA (CRL), signed by it, for programs that check certificates.

 A running server makes a new CRL for each of its CAs at every revocation and once a day, serves it to everyone at
 /pki/NAME.crl, and this command fetches it. Without a running server, the command makes the CRL from the objects and the
 CA in --data-dir, and writes it to pki/NAME.crl as the server does.

 A CRL is valid for a week. After that, programs without a newer one refuse every certificate, so fetch it at least once a
 day and reload the programs that read it.

 For a cluster without a tlsboot server, name the CA with --ca-cert, and add certificates to its CRL with --revoke.
 kube-apiserver reads no CRL; other programs do.

 NAME is the name of a CA's file, such as ca or client-ca. Without one, the CRLs of all CAs are printed one after another,
 which nginx (ssl_crl), HAProxy (crl-file) and openssl (-CRLfile) read from one file.`,
  group: "CA Commands",
  args: [
    argument("[NAME]", "The CA, by the name of its file", {
      kind: "suggestions",
      suggestions: CA_PURPOSES.map(getCaName),
    }),
  ],
  flags: {
    ...API_FLAGS,
    ...CA_KEY_FLAGS,
    caCert: fileFlag({
      summary:
        "Certificate of a CA in files, for a cluster without a tlsboot server: its CRL is kept in --out, PEM, and every " +
        "run adds --revoke and renews it.",
    }),
    caKey: CA_KEY_FILE_FLAG,
    revoke: listFlag({
      placeholder: "SERIAL",
      summary:
        "Serial numbers to add, each alone or as SERIAL=REASON, with the reasons of tlsboot revoke, which is the " +
        "command for the CA of a server. An entry is never removed.",
    }),
    output: choiceFlag({
      short: "o",
      choices: ["pem", "der"],
      default: "pem",
      summary: "Format. nginx, HAProxy and openssl read PEM; a web server for --crl-url must serve DER.",
    }),
    out: fileFlag({ summary: "File for the CRL instead of stdout. An older one is replaced." }),
  },
  examples: {
    "Write the CRL for nginx": "tlsboot ca crl --out /etc/nginx/ca.crl",
    "Show what it lists": "tlsboot ca crl | openssl crl -noout -text",
    "Revoke a certificate of a cluster's CA for programs that read its CRL":
      "tlsboot ca crl --ca-cert ca.crt --ca-key ca.key --revoke 0a1b2c=keyCompromise --out ca.crl",
    "Publish it where --crl-url points": "tlsboot ca crl ca -o der --out /var/www/pki/ca.crl",
  },
  rules: [
    ...CA_IN_FILES_RULES,
    needs("revoke", "caCert"),
    needs("caCert", "out"),
    excludes("caCert", "NAME"),
    needs("output=der", "out"),
    { ...excludes("output=der", "caCert"), hint: "convert the CRL with: openssl crl -outform der" },
  ],
  exitCodes: { 0: "the CRL is printed or written" },
});

export const caRequestCommand = defineCommand({
  path: ["ca", "request"],
  environment: "strict",
  summary: "Request the certificate of an intermediate CA",
  description:
    `Make the key of an intermediate CA in --data-dir, and a request (PKCS#10) for its certificate, which another CA signs
 with tlsboot ca sign or any other program. The key never leaves the data directory.

 Import the certificate that comes back, followed by its issuers, with: tlsboot ca import --ca-cert CHAIN.

 The key is encrypted when --ca-passphrase-file gives a passphrase. Run again, the command makes
 another request for the same key. For a key in an HSM, make the request with the software of the HSM.`,
  group: "CA Commands",
  flags: {
    dataDir: DATA_DIR_FLAG,
    commonName: textFlag({ default: "tlsboot-intermediate-ca", summary: "Common name of the CA that is requested." }),
    keyAlgorithm: CLASSIC_KEY_ALGORITHM,
    caPassphraseFile: CA_KEY_FLAGS.caPassphraseFile,
    out: fileFlag({ isRequired: true, summary: "New file for the request, PEM." }),
  },
  examples: {
    "Request a CA for the server in ./tlsboot-data": "tlsboot ca request --out ca.csr",
    "Import the certificate that came back": "tlsboot ca import --ca-cert ca.crt",
  },
  exitCodes: { 0: "the request is written", 1: "failed, or there is a CA already" },
});

export const caSignCommand = defineCommand({
  path: ["ca", "sign"],
  environment: "strict",
  summary: "Sign the request of an intermediate CA",
  description: `Sign the request of an intermediate CA, from tlsboot ca request or any other program (PKCS#10, PEM).

 Everything that trusts the signing CA then accepts the certificates of the intermediate CA too. First make sure that the
 request is the right one: compare its SHA-256 on both machines.

 Only the public key and the common name of the request are used, and its signature is checked. The certificate may not
 expire after the signing CA, whose path length must allow a CA below it. Its name constraints also hold for everything
 below it; --permit-dns and --permit-ip can only narrow them. The certificate has no path length, because the CA that
 replaces it may be cross-signed by it. When a CA in --data-dir signs, the certificate is recorded in issued.jsonl.
 To sign with one CA of a split set, give --ca-cert and --ca-key.`,
  group: "CA Commands",
  args: [argument("FILE", "The request, PEM", { kind: "file" })],
  flags: {
    dataDir: DATA_DIR_FLAG,
    caCert: fileFlag({ summary: "Signing CA, followed by its issuers, PEM. Without it, the CA in --data-dir." }),
    caKey: CA_KEY_FILE_FLAG,
    ...CA_KEY_FLAGS,
    commonName: textFlag({ summary: "Common name of the intermediate CA. Without it, that of the request." }),
    duration: durationFlag({ default: "5y", min: MIN_LIFETIME, summary: "Lifetime of its certificate." }),
    ...PERMIT_FLAGS,
    out: fileFlag({ isRequired: true, summary: "New file for its certificate, followed by its issuers, PEM." }),
  },
  rules: CA_IN_FILES_RULES,
  examples: {
    "Sign with a CA whose key is split, after two people type their shares":
      "tlsboot ca sign ca.csr --data-dir root --out ca.crt",
    "Sign with a CA in files, for one domain":
      "tlsboot ca sign ca.csr --ca-cert root.crt --ca-key root.key --permit-dns example.org --out ca.crt",
  },
  exitCodes: { 0: "the certificate is written" },
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

const SHARE_ARGUMENT = argument("[SHARE...]", "A file with a share, or - to type shares", { kind: "file" });

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
    "Check a page by typing it": "tlsboot ca shares check",
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
