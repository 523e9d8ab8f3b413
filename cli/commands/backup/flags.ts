/** The command `tlsboot backup`: its flags, help and examples. */
import { err } from "../../../core/lib/result.ts";
import { argument, defineCommand } from "../../framework/command.ts";
import { fileFlag, type Flag, type FlagOptions, listFlag, switchFlag } from "../../framework/flags.ts";
import { DATA_DIR_FLAG } from "../../flags/common.ts";
import { etcdFlags } from "../../flags/etcd.ts";

/** The flags that open a backup, for the commands that read one. */
export const OPENING_FLAGS = {
  passphraseFile: fileFlag({
    summary: "File with the passphrase, one line, readable by its owner only; - reads it from stdin. Without it, the " +
      "passphrase is prompted for on a terminal.",
  }),
  identity: fileFlag({
    summary: "File with the secret keys of age-keygen, readable by its owner only, for a backup made with --recipient.",
  }),
} as const;

const flags = {
  dataDir: DATA_DIR_FLAG,
  recipient: recipientFlag({
    placeholder: "KEY",
    summary:
      "Public key to encrypt the backup for, age1…, as age-keygen prints it; each of several can open it. Without one, " +
      "the backup is encrypted with a passphrase.",
  }),
  ...OPENING_FLAGS,
  ...etcdFlags("Take the objects from this etcd, where those of --data-dir are; URLs of its members."),
  verify: switchFlag({ summary: "Read an existing backup to its end, check each part of it, and write nothing." }),
  force: switchFlag({ summary: "Replace FILE." }),
} as const;

/** Creates a flag for public keys. A secret key in their place is not repeated in the error. */
function recipientFlag(options: FlagOptions): Flag<readonly string[]> {
  const list = listFlag(options);
  return {
    ...list,
    isSecret: true,
    parse(texts) {
      const keys = list.parse(texts);
      if (!keys.ok || !keys.value.some((key) => /^AGE-SECRET-KEY-/i.test(key))) return keys;
      return err(
        "a secret key was given, which all users who can list processes may have seen: make another one with " +
          "age-keygen, and give its public key, age1…",
      );
    },
  };
}

/** The flags of `backup`, for the action. */
export type BackupFlags = typeof flags;

/** The command that writes a data directory into one encrypted file. */
export const backupCommand = defineCommand({
  path: ["backup"],
  summary: "Write a data directory into one encrypted file",
  description:
    `Write the contents of --data-dir into one encrypted file: the objects, the CA keys, certificates, kubeconfigs. Logs are
 omitted. Links are followed. FILE must be outside of --data-dir.

 A server may be running: it returns all its objects as of one moment and continues. The objects of an instance on etcd
 are read from etcd itself, at one revision, whether servers run or not. Objects of a kube-apiserver whose kinds tlsboot
 does not serve are omitted and reported.

 The file is an age file (age-encryption.org): age can open it, and tar can unpack it. It is read back before it gets
 its name.`,
  group: "Key and File Commands",
  args: [argument("FILE", "file of the backup", { completion: { kind: "file" } })],
  flags,
  examples: [
    { comment: "Back up with a passphrase", command: "tlsboot backup tlsboot.backup" },
    {
      comment: "Back up each night, with the secret key kept elsewhere",
      command: "tlsboot backup tlsboot.backup --recipient age1… --force",
    },
    {
      comment: "Back up an instance on etcd",
      command: "tlsboot backup tlsboot.backup --etcd-servers https://etcd-0:2379 --etcd-cafile etcd-ca.crt " +
        "--etcd-certfile client.crt --etcd-keyfile client.key",
    },
    { comment: "Verify a backup", command: "tlsboot backup tlsboot.backup --verify" },
  ],
  exitCodes: {},
  load: () => import("./backup.ts"),
});
