/** The commands `tlsboot backup` and `tlsboot restore`: flags, help and examples. */
import { err } from "../../../core/lib/result.ts";
import { DATA_DIR_FLAG } from "../../flags/common.ts";
import { argument, defineCommand } from "../../framework/command.ts";
import { fileFlag, type Flag, type FlagOptions, listFlag, switchFlag } from "../../framework/flags.ts";
import { atMostOneOf, excludes, needs } from "../../framework/rules.ts";
import { ETCD_FLAGS, ETCD_RULES } from "../../flags/server.ts";

/** The flags that open a backup, for the commands that read one. */
const OPENING_FLAGS = {
  passphraseFile: fileFlag({
    summary: "File with the passphrase, one line, readable by its owner only; - reads it from stdin. Without it, the " +
      "passphrase is prompted for on a terminal.",
  }),
  identity: fileFlag({
    summary: "File with the secret keys of age-keygen, readable by its owner only, for a backup made with --recipient.",
  }),
} as const;

/** Creates a flag for public keys. A secret key in their place is not repeated in the error. */
function recipientFlag(options: FlagOptions): Flag<readonly string[]> {
  const list = listFlag(options);
  return {
    ...list,
    isSecret: true,
    parse(texts) {
      const keys = list.parse(texts);
      // An empty value is probably an unset variable; the backup would not be for that key.
      if (keys.ok && (keys.value.length === 0 || texts.includes(""))) {
        return err("want a public key, age1…, as age-keygen prints it");
      }
      if (!keys.ok || !keys.value.some((key) => /^AGE-SECRET-KEY-/i.test(key))) return keys;
      return err(
        "a secret key was given, which all users who can list processes may have seen: make another one with " +
          "age-keygen, and give its public key, age1…",
      );
    },
  };
}

export const backupCommand = defineCommand({
  path: ["backup"],
  environment: "strict",
  summary: "Write a data directory into one encrypted file",
  description:
    `Write the contents of --data-dir into one encrypted file: the objects, the CA keys, certificates, kubeconfigs. Logs are
 omitted. Links are followed. FILE must be outside of --data-dir.

 A server may be running: it returns all its objects as of one moment and continues. The objects of an instance on etcd
 are read from etcd itself, at one revision, whether servers run or not. Objects of a kube-apiserver whose kinds tlsboot
 does not serve are omitted and reported.

 The file is an age file (age-encryption.org): age can open it, and tar can unpack it. It is read back before it
 replaces FILE.`,
  group: "File Commands",
  args: [argument("FILE", "File of the backup", { kind: "file" })],
  flags: {
    dataDir: DATA_DIR_FLAG,
    recipient: recipientFlag({
      placeholder: "KEY",
      summary:
        "Public key to encrypt the backup for, age1…, as age-keygen prints it; each of several can open it. Without one, " +
        "the backup is encrypted with a passphrase.",
    }),
    ...OPENING_FLAGS,
    ...ETCD_FLAGS,
    verify: switchFlag({ summary: "Read an existing backup to its end, check each part of it, and write nothing." }),
    force: switchFlag({ summary: "Replace FILE." }),
  },
  examples: {
    "Back up with a passphrase": "tlsboot backup tlsboot.backup",
    "Back up each night, with the secret key kept elsewhere": "tlsboot backup tlsboot.backup --recipient age1… --force",
    "Back up an instance on etcd":
      "tlsboot backup tlsboot.backup --etcd-servers https://etcd-0:2379 --etcd-cafile etcd-ca.crt " +
      "--etcd-certfile client.crt --etcd-keyfile client.key",
    "Verify a backup": "tlsboot backup tlsboot.backup --verify",
  },
  rules: [
    excludes("recipient", "passphraseFile", "verify"),
    atMostOneOf("identity", "passphraseFile"),
    needs("identity", "verify"),
    ...ETCD_RULES,
  ],
});

export const restoreCommand = defineCommand({
  path: ["restore"],
  environment: "strict",
  summary: "Restore a data directory from a backup",
  description:
    `Restore --data-dir from a backup. The new folder is built under another name and checked; until then nothing in the
 old one changes. No server may be running on it.

 Resource versions continue far beyond those of the backup, so that no number has two meanings: clients with a watch
 list again.

 With --etcd-servers the objects go into an etcd, whichever store the backup was made from, and resource versions are
 etcd's; without it, they go into a database. There must be no keys below --etcd-prefix: --force does not change that,
 but --force-etcd moves them aside. Until everything is written no tlsboot server starts on the etcd; after an
 interruption the same command continues.`,
  group: "File Commands",
  args: [argument("FILE", "File that tlsboot backup wrote", { kind: "file" })],
  flags: {
    dataDir: DATA_DIR_FLAG,
    ...OPENING_FLAGS,
    ...ETCD_FLAGS,
    force: switchFlag({ summary: "Move an existing --data-dir aside: it is renamed, not removed." }),
    forceEtcd: switchFlag({
      summary: "Move existing keys below --etcd-prefix in etcd aside: they are renamed, not removed.",
    }),
  },
  examples: {
    "Restore on a new machine": "tlsboot restore tlsboot.backup --data-dir /var/lib/tlsboot",
    "Go back to a backup that is encrypted for a key": "tlsboot restore tlsboot.backup --identity key.txt --force",
    "Move an instance into etcd":
      "tlsboot restore tlsboot.backup --data-dir /var/lib/tlsboot --force --etcd-servers https://etcd-0:2379 " +
      "--etcd-cafile etcd-ca.crt --etcd-certfile client.crt --etcd-keyfile client.key",
    "Restore an instance on etcd from its backup":
      "tlsboot restore tlsboot.backup --force --force-etcd --etcd-servers http://127.0.0.1:2379",
  },
  rules: [atMostOneOf("identity", "passphraseFile"), needs("forceEtcd", "etcdServers"), ...ETCD_RULES],
});
