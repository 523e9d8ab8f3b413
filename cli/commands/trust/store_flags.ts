/** The commands `tlsboot trust show …`: flags, help and examples. */
import { parsePublicKeyPin } from "../../../core/pki/keys/public_key_pin.ts";
import { DATA_DIR_FLAG } from "../../flags/common.ts";
import { parseServerUrl } from "../../flags/request.ts";
import { defineCommand } from "../../framework/command.ts";
import { fileFlag, listFlag, parsedFlag, parsedListFlag, switchFlag } from "../../framework/flags.ts";
import { atMostOneOf, excludes, together } from "../../framework/rules.ts";

/** The names of the stores, in the order in which they are changed. */
export const TRUST_STORES = ["debian", "rhel", "firefox", "nss", "java"] as const;

export type TrustStoreName = (typeof TRUST_STORES)[number];

const CA_SOURCE_FLAGS = {
  dataDir: DATA_DIR_FLAG,
  certificateAuthority: fileFlag({ summary: "File with the CA, PEM. Without it, the CA in --data-dir." }),
  server: parsedFlag({
    isCommandLineOnly: true,
    placeholder: "URL",
    summary: "Instead of a file: address of an API server that publishes its CA, with --ca-cert-hash.",
    parse: parseServerUrl,
  }),
  caCertHash: parsedListFlag({
    isCommandLineOnly: true,
    placeholder: "HASH",
    summary: "With --server: sha256:... of the CA's public key, as tlsboot up and tlsboot ca show print it.",
    parse: parsePublicKeyPin,
  }),
} as const;

const CA_SOURCE_RULES = [
  atMostOneOf("server", "certificateAuthority"),
  together("server", "caCertHash"),
] as const;

const STORE_FLAG = listFlag({
  placeholder: "STORE",
  completion: { kind: "choices", choices: TRUST_STORES },
  summary: "Stores to change: debian, rhel, firefox, nss, java. Without it, all that this machine has.",
});

export const trustShowCommand = defineCommand({
  path: ["trust", "show"],
  summary: "Show where this machine trusts the CA, or print the CA",
  description: `Show where this machine trusts the CA, or print the CA.

 Lists the stores of trusted CAs on this machine, and whether each has the CA. With --print the CA is printed as PEM, to be
 put into any other store, such as that of a phone.`,
  group: "Trust Commands",
  flags: {
    ...CA_SOURCE_FLAGS,
    print: switchFlag({ summary: "Print the CA as PEM, for any other store." }),
  },
  examples: {
    "Show the stores of this machine": "tlsboot trust show",
    "Write the CA into a file for a phone": "tlsboot trust show --print > home-ca.crt",
  },
  rules: CA_SOURCE_RULES,
});

export const trustInstallCommand = defineCommand({
  path: ["trust", "install"],
  summary: "Let the programs and browsers of this machine trust the CA",
  description: `Let the programs and browsers of this machine trust the CA.

 Puts the CA into the stores of trusted CAs: Debian's and RHEL's for the whole system (curl, wget, Python, Go), the policies
 of Firefox, the databases of Chromium and of Firefox' profiles (nss), and Java's. The stores of the system need root, and
 nss is that of the user who runs the command. Whoever has the CA's key can then impersonate every web site.`,
  group: "Trust Commands",
  flags: { ...CA_SOURCE_FLAGS, store: STORE_FLAG },
  examples: {
    "On the machine of the server": "sudo tlsboot trust install",
    "On another machine, by the line that tlsboot up prints":
      "sudo tlsboot trust install --server https://192.168.1.2:6443 --ca-cert-hash sha256:...",
    "For the browsers of this user alone": "tlsboot trust install --store nss",
  },
  rules: CA_SOURCE_RULES,
  exitCodes: { 1: "failed in one of the stores" },
});

export const trustUninstallCommand = defineCommand({
  path: ["trust", "uninstall"],
  summary: "Take the CA out of the stores of this machine",
  description: `Take the CA out of the stores of this machine, as trust install put it there.`,
  group: "Trust Commands",
  flags: {
    ...CA_SOURCE_FLAGS,
    store: STORE_FLAG,
    all: switchFlag({ summary: "Remove every CA that tlsboot has installed." }),
  },
  examples: {
    "Remove the CA in --data-dir": "sudo tlsboot trust uninstall",
    "Remove every CA that tlsboot has installed": "sudo tlsboot trust uninstall --all",
  },
  rules: [...CA_SOURCE_RULES, excludes("all", "certificateAuthority", "server")],
  exitCodes: { 1: "failed in one of the stores" },
});
